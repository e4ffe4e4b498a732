"""The answers of `status`, `history` and `show` as text."""

from dataclasses import replace
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest

from history_samples import DUE, failed, fire, minute, stage_entry, trace
from noether_contract.messages import Usage, write_message
from noether_contract.outcomes import RunStatus
from noether_supervisor.history.reading import JobSummary, RunDetails
from noether_supervisor.history.tables import history_lines, show_lines, status_lines, why
from noether_supervisor.history.text import ago_text, duration_text, one_line, size_text, visible
from noether_supervisor.records import LedgerEntry

BERLIN = ZoneInfo("Europe/Berlin")


def entry(status: RunStatus = RunStatus.SUCCEEDED, number: int = 0) -> LedgerEntry:
    return LedgerEntry(
        run_id=fire(number).run_id,
        job="digest",
        manual=False,
        due=minute(number),
        due_last=minute(number),
        due_count=1,
        status=status,
        started_at=minute(number),
        ended_at=minute(number) + timedelta(seconds=2),
        duration_ms=2000,
        composition_id="c" * 64,
    )


def test_status_has_one_line_a_job() -> None:
    stand = [
        JobSummary("digest", minute(0), entry(), running=1, waiting=2),
        JobSummary("new", minute(0), None, running=0, waiting=0),
    ]
    due = {"digest": minute(60), "new": None}
    assert status_lines(stand, minute(3), next_due=due, zone=BERLIN) == [
        "JOB     LAST RUN     ENDED           TOOK    NOW                 NEXT DUE (CEST)",
        "digest  ✓ succeeded  2 min 58 s ago  2.00 s  running, 2 waiting  2026-04-14 11:30:00",
        "new     –                                                        –",
    ]
    assert "NEXT DUE" not in status_lines(stand, minute(3))[0]


def test_history_says_why() -> None:
    missed = replace(
        entry(RunStatus.MISSED), due_count=3, due_last=minute(2), reason="service was down"
    )
    broken = replace(entry(RunStatus.TIMED_OUT, 5), error=failed("too slow\nat last").error)
    skipped = replace(entry(RunStatus.SKIPPED, 6), reason="overlap", duration_ms=None)
    heading, first, second, third = history_lines([broken, missed, skipped], zone=UTC)
    assert heading.split() == ["RUN", "STATUS", "DUE", "(UTC)", "TOOK", "WHY"]
    assert first == (
        "digest@20260414T083500Z  ✗ timed out  2026-04-14 08:35:00  2.00 s  too slow …"
    )
    assert second.endswith("3 fires until 2026-04-14T08:32:00Z: service was down")
    assert third.endswith("2026-04-14 08:36:00          overlap")
    assert why(entry()) == ""


def test_an_empty_history_is_a_heading() -> None:
    assert len(history_lines([])) == 1


def test_colours_change_no_column() -> None:
    plain = history_lines([entry(), entry(RunStatus.FAILED, 1)])
    coloured = history_lines([entry(), entry(RunStatus.FAILED, 1)], colour=True)
    assert "\x1b[32m✓ succeeded\x1b[0m" in coloured[1]
    assert "\x1b[31m✗ failed\x1b[0m" in coloured[2]
    for code in ("\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"):
        coloured = [line.replace(code, "") for line in coloured]
    assert coloured == plain


def test_show_tells_everything() -> None:
    full = replace(
        entry(RunStatus.FAILED),
        error=failed("the stage fetch failed").error,
        notes=("a remark",),
        delivery="owed",
        trace_text=write_message(trace(stage_entry("root.stages[0]"))).decode(),
    )
    usage = Usage(cpu_ms=12, peak_memory_bytes=12_300_000, stage_calls=3)
    lines = show_lines(RunDetails(full, usage, "last words\n"), zone=BERLIN)
    text = "\n".join(lines)
    assert lines[0] == "digest@20260414T083000Z"
    for expected in (
        "✗ failed",
        "2026-04-14 10:30:00 CEST",
        "2.00 s",
        "3 stage calls, 12 ms of CPU, 12.3 MB at most",
        "c" * 64,
        "the stage fetch failed (at root)",
        "a remark",
        "owed",
        "└─ stages[0]  ✓ fetch",
        "last words",
    ):
        assert expected in text


@pytest.mark.parametrize("message", ["stopped, at root", "root: no such stage"])
def test_show_gives_the_place_of_an_error_once(message: str) -> None:
    told = replace(entry(RunStatus.FAILED), error=failed(message).error)
    text = "\n".join(show_lines(RunDetails(told, Usage(), "")))
    assert f"{message}\n" in f"{text}\n"
    assert "(at root)" not in text


def test_show_cuts_a_large_output_and_says_so() -> None:
    large = replace(entry(), output_text=f'"{"x" * 5000}"')
    text = "\n".join(show_lines(RunDetails(large, Usage(), "")))
    assert "1002 more characters" in text
    assert len(text) < 4600


def test_show_survives_a_trace_of_another_version() -> None:
    odd = replace(entry(), trace_text='{"unheard": "of"}')
    assert "another version" in "\n".join(show_lines(RunDetails(odd, Usage(), "")))


def test_show_of_an_outage_names_both_ends() -> None:
    missed = replace(
        entry(RunStatus.MISSED),
        due_count=3,
        due_last=minute(2),
        started_at=None,
        duration_ms=None,
        reason="service was down",
    )
    text = "\n".join(show_lines(RunDetails(missed, Usage(), "")))
    assert "3 fires until 2026-04-14 08:32:00" in text
    assert "started" not in text


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1240, "1.24 s"),
        (200_000, "3 min 20 s"),
        (7_500_000, "2 h 05 min"),
        (273_600_000, "3 d 04 h"),
    ],
)
def test_durations(milliseconds: int, expected: str) -> None:
    assert duration_text(milliseconds) == expected


def test_instants_are_told_relative_to_now() -> None:
    assert ago_text(DUE, minute(1) + timedelta(seconds=5)) == "1 min 05 s ago"
    assert ago_text(minute(1), DUE) == "in 1 min 00 s"
    assert ago_text(DUE, DUE) == "0 s ago"


def test_sizes() -> None:
    assert [size_text(size) for size in (5, 1500, 12_300_000, 2 * 10**9)] == [
        "5 B",
        "1.5 kB",
        "12.3 MB",
        "2.0 GB",
    ]


def test_foreign_text_is_made_harmless() -> None:
    assert visible("a\x1b[0m\tb\nc\u202e\x85") == "a\\x1b[0m\tb\nc\\u{202e}\\x85"
    assert one_line("first\nsecond") == "first …"
    assert one_line("x" * 99, width=10) == "xxxxxxxxx…"
    assert one_line("") == ""
