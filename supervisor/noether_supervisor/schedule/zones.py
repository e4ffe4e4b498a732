"""Time zones of jobs and of the process (`cron.md` §3).

A zone is always a `ZoneInfo`, never a fixed offset, so that the next clock change is seen. What
cannot be evaluated exactly is a `ZoneError`; nothing falls back to UTC in silence.
"""

import difflib
import io
import os
import re
import struct
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from noether_supervisor.config.bounded import read_bounded
from noether_supervisor.errors import SupervisorError
from noether_supervisor.schedule.fields import quoted

_MOST_IMAGE_BYTES = 1 << 20
"""Of a TZif file: the largest of the database has 4 KB."""

_SYSTEM_ZONE = Path("/etc/localtime")
_UNUSABLE = (
    OSError,
    ValueError,
    struct.error,
    EOFError,
    IndexError,
    OverflowError,
    AssertionError,
)
"""What `zoneinfo` raises for files and keys that it cannot use, depending on what is wrong."""


class ZoneError(SupervisorError):
    """A time zone that cannot be used: of a job, or of the process."""

    exit_code = 2


def named_zone(key: str) -> ZoneInfo:
    """The zone of an IANA key such as `Europe/Madrid`; raises `ZoneError`."""
    zone = _zone_of_key(key)
    if zone is None:
        raise ZoneError(f"time zone {quoted(key)} is unknown, {_advice(key)}")
    return zone


def process_zone(environ: Mapping[str, str], system_zone: Path = _SYSTEM_ZONE) -> ZoneInfo:
    """The zone of jobs that name none, by `TZ`; raises `ZoneError` naming it and its value.

    Unset: the system's zone, UTC if there is none (a link to nowhere is an error). Empty: UTC.
    Otherwise an IANA key, a path of a TZif file (either with or without a leading colon), or a
    POSIX rule such as `CET-1CEST,M3.5.0,M10.5.0/3`, all of it (POSIX.1-2017 §8.3, times of day as
    in RFC 8536).
    """
    text = environ.get("TZ")
    if text is None:
        return _zone_of_system(system_zone)
    if not text:
        return ZoneInfo("UTC")
    name = text.removeprefix(":")
    if name.startswith("/"):
        return _zone_of_file(Path(name), f"TZ is {quoted(text)}, but that file")
    zone = _zone_of_key(name)
    if zone is None and name == text:
        zone = _zone_of_rule(text)
    if zone is None:
        raise ZoneError(
            f"TZ is {quoted(text)}, which is no time zone: expected an IANA name such as "
            "Europe/Madrid, the path of a TZif file or a complete POSIX rule such as "
            f"CET-1CEST,M3.5.0,M10.5.0/3; {_advice(name)}"
        )
    return zone


def _zone_of_system(path: Path) -> ZoneInfo:
    if path.exists():
        return _zone_of_file(path, f"the system's time zone {path}")
    if not path.is_symlink():
        return ZoneInfo("UTC")
    # images without the system's database often keep the link into it: its name is enough
    target = os.path.realpath(path)
    zone = _zone_of_key(target.partition("/zoneinfo/")[2])
    if zone is None:
        raise ZoneError(
            f"the system's time zone {path} is a link to {target}, which is not there; mend it, or "
            "set TZ"
        )
    return zone


def _zone_of_key(key: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(key)
    except (*_UNUSABLE, KeyError):
        # ZoneInfoNotFoundError is a KeyError
        return None


def _advice(key: str) -> str:
    known = available_timezones()
    by_lowered = {name.lower(): name for name in known}
    near = difflib.get_close_matches(key[:80].lower(), by_lowered, n=1, cutoff=0.75)
    if near:
        return f"did you mean {by_lowered[near[0]]}?"
    return "use a name of the IANA time zone database, such as Europe/Madrid"


def _zone_of_file(path: Path, subject: str) -> ZoneInfo:
    try:
        image = read_bounded(path, _MOST_IMAGE_BYTES)
        # a link into the database tells the zone's name, which is only for showing
        _, found, key = os.path.realpath(path).partition("/zoneinfo/")
        return _zone_of_image(image, key if found else str(path))
    except _UNUSABLE as error:
        raise ZoneError(f"{subject} cannot be used as a TZif file: {error}") from error


@lru_cache(maxsize=8)
def _zone_of_image(image: bytes, name: str) -> ZoneInfo:
    # remembered, so that reading the same zone twice gives one object and equal schedules
    return ZoneInfo.from_file(_WholeImage(image), key=name)


class _WholeImage(io.BytesIO):
    """An image whose end is an error: zoneinfo would look for the end of a cut footer for ever."""

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, as many as asked for; raises `EOFError`."""
        found = super().read(size)
        if size is not None and len(found) < size:
            raise EOFError("it ends too early")
        return found


# --- POSIX rules -----------------------------------------------------------------------------

_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)"
_OFFSET = r"[+-]?(?:2[0-2]|[01]?\d)(?::[0-5]\d)?"
_CHANGE = r"M(\d{1,2})\.([1-5])\.[0-6](?:/([+-]?\d{1,3})(?::[0-5]\d)?)?"
_RULE = re.compile(rf"{_NAME}{_OFFSET}(?:{_NAME}(?:{_OFFSET})?,{_CHANGE},{_CHANGE})?", re.ASCII)


def _zone_of_rule(rule: str) -> ZoneInfo | None:
    """A zone that follows a POSIX rule for ever; None when the text is none, or is refused.

    Refused is what zoneinfo of Python 3.11 evaluates otherwise than the C library (compared on
    random rules): days counted by number, changes at the turn of a year, changes whose order
    differs from year to year; and seconds, because due instants are whole minutes.
    """
    match = _RULE.fullmatch(rule) if len(rule) <= 200 else None
    if match is None:
        return None
    start_month, start_week, start_hour, end_month, end_week, end_hour = match.groups()
    if start_month is not None:
        start, end = int(start_month), int(end_month)
        if abs(start - end) < 2:
            return None
        if not _is_exact(start, int(start_week), int(start_hour or 2)):
            return None
        if not _is_exact(end, int(end_week), int(end_hour or 2)):
            return None
    return _zone_of_image(_image_of_rule(rule), rule)


def _is_exact(month: int, week: int, hour: int) -> bool:
    """Whether a change of the clock stays away from the turn of the year, its hour included."""
    return (1, 2) <= (month, week) <= (12, 3) and -24 <= hour <= 167


def _image_of_rule(rule: str) -> bytes:
    """A TZif image (RFC 8536, version 2) without transitions, so that its footer always holds."""
    header = b"TZif2" + bytes(15) + struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    local_time_type = struct.pack(">lBB", 0, 0, 0) + b"UTC\0"
    return (header + local_time_type) * 2 + f"\n{rule}\n".encode("ascii")
