"""How measured times spread, as one line."""

import statistics


def spread(times_ms: list[float]) -> str:
    """Median, 99th percentile and the longest of some milliseconds."""
    ordered = sorted(times_ms)
    p99 = ordered[int(0.99 * (len(ordered) - 1))]
    return (
        f"median {statistics.median(ordered):.1f} ms, p99 {p99:.1f} ms, most {ordered[-1]:.1f} ms"
    )
