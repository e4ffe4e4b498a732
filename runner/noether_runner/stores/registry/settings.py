"""The figures of a registry's client in one place (`stages.md` §8.3–§8.5)."""

from noether_contract.lean_dataclass import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """How long answers count, and how much a registry may take. Seconds and bytes.

    `state_seconds` is for stages found by a signature or by default pinning, `pinned_seconds` for
    those that a graph pins to one implementation. `stale_on_error_seconds` bounds what is served
    from the cache while the registry cannot be asked; pinned stages have no such bound.
    """

    state_seconds: float = 60.0
    pinned_seconds: float = 300.0
    index_seconds: float = 60.0
    index_max_stale_seconds: float = 600.0
    stale_on_error_seconds: float = 24 * 3600.0

    connect_seconds: float = 3.0
    read_seconds: float = 10.0
    resolution_seconds: float = 20.0
    attempts: int = 3
    delays_seconds: tuple[float, ...] = (0.25, 1.0)
    unasked_wait_seconds: float = 2.0
    """What a 429 without `Retry-After` is waited for."""

    connections: int = 4
    body_bytes: int = 16 * _MIB
    redirects: int = 3
    page_limit: int = 200
    pages: int = 1000
    cache_bytes: int = 256 * _MIB
