"""What a person sees while a graph runs, on a terminal and elsewhere."""

import io

import pytest

from noether_contract.messages import (
    FailedStatus,
    GraphRead,
    StageEnded,
    StageEntry,
    StageFailure,
    StageStarted,
)
from noether_runner.progress import Progress


class Terminal(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> str:
        """What stands on the screen: erasing is done, colours are left out."""
        lines: list[str] = [""]
        text = self.getvalue()
        for colour in ("\033[32m", "\033[31m", "\033[2m", "\033[0m"):
            text = text.replace(colour, "")
        for piece in text.split("\033["):
            if piece.endswith("A\r") and piece[:-2].isdigit():
                del lines[len(lines) - 1 - int(piece[:-2]) :]
                lines.append("")
                continue
            for letter in piece.removeprefix("J"):
                if letter == "\n":
                    lines.append("")
                else:
                    lines[-1] += letter
        return "\n".join(lines)


def started(call: int, name: str | None = "fetch", attempt: int = 1) -> StageStarted:
    return StageStarted(
        call=call, stage_id="ab" * 32, stage_name=name, path="root", start_ms=0, attempt=attempt
    )


def ended(
    call: int, name: str | None = "fetch", failure: str | None = None, attempt: int = 1
) -> StageEnded:
    failed = None if failure is None else FailedStatus(Failed=StageFailure(message=failure))
    entry = StageEntry(
        stage_id="ab" * 32,
        step_index=0,
        status=failed or "Ok",
        duration_ms=12,
        input_hash=None,
        output_hash=None,
        stage_name=name,
        path="root",
        attempt=attempt,
    )
    return StageEnded(call=call, entry=entry)


@pytest.mark.parametrize(
    ("stream", "told"),
    [
        pytest.param(Terminal(), "  ✓ fetch [root] 12 ms\n", id="on a dumb terminal"),
        pytest.param(io.StringIO(), "", id="elsewhere only failures"),
    ],
)
def test_without_a_live_view_there_is_a_line_per_call_that_ended(
    stream: io.StringIO, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    progress = Progress(stream)
    for event in (GraphRead(composition_id="c"), started(0), started(1, None), ended(0)):
        progress.show(event)
    progress.show(ended(1, None, "no such luck\nand more", attempt=2))
    assert stream.getvalue() == (
        told + "  ✗ abababab [root] (attempt 2) 12 ms\n      no such luck\n"
    )


def test_on_a_terminal_open_calls_stand_below_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    progress = Progress(stream)
    progress.show(started(0, "first"))
    progress.show(started(1, "second"))
    assert stream.screen() == "  … first [root]\n  … second [root]\n"
    progress.show(ended(0, "first"))
    assert stream.screen() == "  ✓ first [root] 12 ms\n  … second [root]\n"
    progress.show(ended(1, "second", "broken"))
    assert stream.screen() == "  ✓ first [root] 12 ms\n  ✗ second [root] 12 ms\n      broken\n"
    assert "\033[32m" in stream.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "erases"), [("NO_COLOR", "1", True), ("TERM", "dumb", False)]
)
def test_who_wants_no_colour_gets_none(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, erases: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv(name, value)
    stream = Terminal()
    progress = Progress(stream)
    progress.show(started(0))
    progress.show(ended(0))
    assert "\033[3" not in stream.getvalue()
    assert ("\033[1A" in stream.getvalue()) is erases


def test_many_open_calls_do_not_fill_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress(stream)
    for number in range(50):
        progress.show(started(number, f"stage-{number}"))
    assert len(stream.screen().splitlines()) == 8
    for number in range(50):
        progress.show(ended(number, f"stage-{number}"))
    assert "…" not in stream.screen()
    assert len(stream.screen().splitlines()) == 50


def test_what_a_stage_says_moves_no_cursor() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.show(ended(0, "na\x1bme", "\x1b[2Jcleared \x07 grüß\tdich"))
    assert stream.getvalue() == (
        "  ✗ na\\x1bme [root] 12 ms\n      \\x1b[2Jcleared \\x07 grüß\tdich\n"
    )


def test_a_stream_that_nobody_reads_stops_no_run() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    stream.close()
    progress.show(started(0))
    progress.show(ended(0))
