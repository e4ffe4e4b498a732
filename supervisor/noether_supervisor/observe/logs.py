"""One log line per event on standard error (`scheduler.md` §6).

Every line about a run carries `job` and `run_id`. Under systemd each line begins with its
syslog priority, so that the journal knows errors from notes. `diagnose` stays off: loguru's
default prints argument values, secrets included. Nobody waits for whoever reads the lines
(`patient_stream.py`).
"""

import json
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from loguru import logger

from noether_supervisor.errors import UsageError
from noether_supervisor.observe.patient_stream import say

if TYPE_CHECKING:
    from loguru import Message, Record

LogFormat = Literal["text", "json"]

LEVELS = ("trace", "debug", "info", "warning", "error", "critical")
_SPELLINGS = {"warn": "warning", "off": "critical"}
_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "SUCCESS": 5, "INFO": 6}
_DEBUG_PRIORITY = 7


def level_from(option: str | None, environ: Mapping[str, str]) -> str:
    """The log level: option, else `NOETHER_LOG`, else `RUST_LOG`, else info.

    `RUST_LOG` has the documented form `noether_scheduler=info`, or a bare level; parts about
    other programs are passed over. An unknown word in an option or in `NOETHER_LOG` is an error.
    """
    for name, value in (("--log-level", option), ("NOETHER_LOG", environ.get("NOETHER_LOG"))):
        if value:
            level = _level(value)
            if level is None:
                raise UsageError(f"{name} is {value!r}; expected one of {', '.join(LEVELS)}")
            return level
    for part in environ.get("RUST_LOG", "").split(","):
        target, _, value = part.strip().rpartition("=")
        level = _level(value)
        if target in ("", "noether_scheduler", "noether-scheduler") and level is not None:
            return level
    return "info"


def _level(word: str) -> str | None:
    level = word.strip().lower()
    level = _SPELLINGS.get(level, level)
    return level if level in LEVELS else None


def configure(level: str, log_format: LogFormat, environ: Mapping[str, str] = os.environ) -> None:
    """Sends every log line to standard error in the given format."""
    logger.remove()
    to_journal = _goes_to_journal(environ)

    def write(message: "Message") -> None:
        record = message.record
        text = _as_json(record) if log_format == "json" else _as_text(record, dated=not to_journal)
        if to_journal:
            mark = f"<{_PRIORITIES.get(record['level'].name, _DEBUG_PRIORITY)}>"
            text = "\n".join(mark + line for line in text.splitlines())
        say(text + "\n")

    logger.add(write, level=level.upper(), format="{message}", diagnose=False, backtrace=False)
    # what asyncio and other libraries remark: of the same form, and to the same patient stream
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, _Remarks)]
    root.addHandler(_Remarks())


class _Remarks(logging.Handler):
    """Makes log lines of what libraries tell the standard `logging`."""

    def emit(self, record: logging.LogRecord) -> None:
        """One remark, with its traceback when there is one."""
        level = record.levelname if record.levelname in _PRIORITIES else "DEBUG"
        told = logger.opt(exception=record.exc_info)
        told.log(level, "{}: {}", record.name, record.getMessage())


def _goes_to_journal(environ: Mapping[str, str]) -> bool:
    """Whether standard error is the journal's stream (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        device, _, inode = environ["JOURNAL_STREAM"].partition(":")
        status = os.fstat(2)
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    except (KeyError, ValueError, OSError):
        return False


def _as_text(record: "Record", *, dated: bool) -> str:
    extra = "".join(f" {name}={_quoted(value)}" for name, value in record["extra"].items())
    text = f"{record['level'].name:<7} {_one_line(record['message'])}{extra}"
    if dated:
        text = f"{record['time'].isoformat(sep=' ', timespec='milliseconds')} {text}"
    return text + _traceback(record)


def _as_json(record: "Record") -> str:
    line: dict[str, object] = {
        "time": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name.lower(),
        "message": record["message"],
        **record["extra"],
    }
    trace = _traceback(record)
    if trace:
        line["traceback"] = trace.strip()
    return json.dumps(line, ensure_ascii=False, default=str)


def _one_line(text: str) -> str:
    """The text with control characters written out: what a stage says forges no line of the log."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _traceback(record: "Record") -> str:
    failure = record["exception"]
    if failure is None or failure.value is None:
        return ""
    import traceback

    lines = traceback.format_exception(failure.type, failure.value, failure.traceback)
    return "\n" + "".join(lines).rstrip()


def _quoted(value: object) -> str:
    text = str(value)
    return text if text.isprintable() and " " not in text and text else json.dumps(text)
