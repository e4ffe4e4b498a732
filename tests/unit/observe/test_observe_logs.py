"""Log lines: levels from option and environment, text and JSON, the journal's priorities."""

import json
import logging
import os
from collections.abc import Callable, Iterator

import pytest
from loguru import logger

from noether_supervisor.errors import UsageError
from noether_supervisor.observe.logs import LogFormat, configure, level_from

Said = Callable[[], str]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Iterator[Said]:
    """What was written to standard error; the process's own logging is quiet afterwards."""
    yield lambda: capsys.readouterr().err
    logger.remove()


@pytest.mark.parametrize(
    ("option", "environ", "level"),
    [
        (None, {}, "info"),
        ("debug", {"NOETHER_LOG": "error"}, "debug"),
        ("WARN", {}, "warning"),
        (None, {"NOETHER_LOG": "Error", "RUST_LOG": "debug"}, "error"),
        (None, {"NOETHER_LOG": "off"}, "critical"),
        (None, {"RUST_LOG": "noether_scheduler=debug"}, "debug"),
        (None, {"RUST_LOG": "noether-scheduler=trace"}, "trace"),
        (None, {"RUST_LOG": "warn"}, "warning"),
        (None, {"RUST_LOG": "hyper=debug,noether_scheduler=error"}, "error"),
        (None, {"RUST_LOG": "hyper=debug"}, "info"),
        (None, {"RUST_LOG": "noether_scheduler=loud"}, "info"),
        (None, {"RUST_LOG": ""}, "info"),
    ],
)
def test_level_comes_from_option_then_environment(
    option: str | None, environ: dict[str, str], level: str
) -> None:
    assert level_from(option, environ) == level


@pytest.mark.parametrize(
    ("option", "environ", "name"),
    [("loud", {}, "--log-level"), (None, {"NOETHER_LOG": "2"}, "NOETHER_LOG")],
)
def test_a_word_that_is_no_level_is_told_with_its_place(
    option: str | None, environ: dict[str, str], name: str
) -> None:
    with pytest.raises(UsageError, match=name) as refused:
        level_from(option, environ)
    assert "debug" in str(refused.value)


def test_a_text_line_ends_with_what_it_is_about(said: Said) -> None:
    configure("info", "text", {})
    logger.bind(job="digest", run_id="digest@1").info("ended in {} ms", 5)
    logger.bind(path="a b").warning("spaced")
    logger.debug("not heard")
    first, second = said().splitlines()
    assert first.endswith("INFO    ended in 5 ms job=digest run_id=digest@1")
    assert second.endswith('WARNING spaced path="a b"')


def test_a_json_line_carries_the_same_as_members(said: Said) -> None:
    configure("debug", "json", {})
    logger.bind(job="grüße", run_id="x@1").error("ended: {}", "two\nlines")
    (line,) = said().splitlines()
    told = json.loads(line)
    assert list(told) == ["time", "level", "message", "job", "run_id"]
    assert (told["level"], told["message"]) == ("error", "ended: two\nlines")
    assert told["job"] == "grüße"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_traceback_names_no_values(said: Said, log_format: LogFormat) -> None:
    configure("info", log_format, {})

    def breaks(secret: str) -> None:
        raise RuntimeError("broken")

    try:
        breaks("hidden-" + "value")
    except RuntimeError as error:
        logger.opt(exception=error).error("it failed")
    text = said()
    assert "RuntimeError: broken" in text
    assert "hidden-value" not in text


def test_under_systemd_every_line_has_its_priority(said: Said) -> None:
    status = os.fstat(2)
    configure("debug", "text", {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    for level in ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG"):
        logger.log(level, "said")
    lines = said().splitlines()
    assert [line[:3] for line in lines] == ["<2>", "<3>", "<4>", "<6>", "<7>"]
    assert lines[0] == "<2>CRITICAL said"


def test_under_systemd_the_lines_of_a_traceback_have_it_too(said: Said) -> None:
    status = os.fstat(2)
    configure("info", "text", {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
    logger.opt(exception=RuntimeError("broken")).error("it failed")
    lines = said().splitlines()
    assert lines[0] == "<3>ERROR   it failed"
    assert lines[-1] == "<3>RuntimeError: broken"


def test_what_a_stage_says_forges_no_line_and_moves_no_cursor(said: Said) -> None:
    configure("info", "text", {})
    logger.bind(job="a").error("ended: {}", "\x1b[2J\n2026 INFO    all is well\r job=b \udc80")
    (line,) = said().splitlines()
    assert line.endswith(r"ended: \x1b[2J\n2026 INFO    all is well\r job=b \udc80 job=a")


@pytest.mark.parametrize("stream", ["", "1", "1:2:3", "a:b", "0:0"])
def test_another_stream_is_not_the_journal(said: Said, stream: str) -> None:
    configure("info", "text", {"JOURNAL_STREAM": stream})
    logger.info("plain")
    assert not said().startswith("<")


def test_what_libraries_remark_has_the_form_of_the_log(said: Said) -> None:
    configure("info", "json", {})
    configure("info", "json", {})
    broken = RuntimeError("broken")
    logging.getLogger("asyncio").error("Exception in %s", "callback", exc_info=broken)
    logging.getLogger("asyncio").info("of no interest")
    (line,) = said().splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("error", "asyncio: Exception in callback")
    assert "RuntimeError: broken" in told["traceback"]
