"""The text of a store file, taken apart (`stages.md` §5.1).

A file that is no store is an error; a single record that cannot be read is not: it is kept with the
reason and with its own text, so that it can be reported, refused when used, and written back.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_contract.lean_dataclass import dataclass
from noether_runner.stages.errors import RecordError, json_kind
from noether_runner.stages.lifecycle import Active, Lifecycle, read_lifecycle
from noether_runner.stages.repeated import repeated_in_store
from noether_runner.stages.stage import Stage, read_stage
from noether_runner.stores.store import StoreError, reason_of

_MOST_ID_CHARACTERS = 100
"""An id has 64 characters; what is much longer is no name to call a record by."""

Fingerprint = tuple[int, int, int, int, int]
"""Device, inode, size, time of last write and of last change (ns): a changed file has another."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of a store file. Exactly one of `stage` and `problem` is set."""

    json: JsonValue
    stage: Stage | None
    problem: str | None

    @property
    def id(self) -> str | None:
        """The id it claims, if that much can be read."""
        return self.text("id")

    @property
    def lifecycle(self) -> Lifecycle:
        """Its state. A record without a readable one counts as Active, so that whoever refers to it
        learns why it cannot be used instead of that it is not there."""
        if self.stage is not None:
            return self.stage.lifecycle
        try:
            return read_lifecycle(
                self.json.get("lifecycle") if isinstance(self.json, dict) else None
            )
        except RecordError:
            return Active()

    def text(self, member: str) -> str | None:
        """A member of the record, if it is a string."""
        value = self.json.get(member) if isinstance(self.json, dict) else None
        return value if isinstance(value, str) else None


@dataclass(frozen=True, slots=True)
class Content:
    """All records in file order, and top-level members other than `stages`."""

    records: tuple[Record, ...]
    extra: dict[str, JsonValue]
    data: bytes

    def record_texts(self) -> Sequence[bytes]:
        """The exact text of each record; looked up in the file's text, slow for large files."""
        texts = list(_element_texts(self.data))
        if len(texts) == len(self.records):
            return texts
        # Somebody spelled the member with escapes: then the parsed values have to do.
        return [orjson.dumps(record.json) for record in self.records]


EMPTY = Content((), {}, b"")


def read_file(path: Path) -> tuple[bytes, Fingerprint] | None:
    """The bytes of a store file with the fingerprint they belong to; None when there is no file.

    Raises `StoreError` for everything else that stands at the path.
    """
    try:
        # Not to wait for a writer, should the path be a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(path, reason_of(error)) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StoreError(path, "expected a JSON file, but this is no regular file")
        return _stable_bytes(descriptor)
    except OSError as error:
        raise StoreError(path, reason_of(error)) from None
    finally:
        os.close(descriptor)


def _stable_bytes(descriptor: int) -> tuple[bytes, Fingerprint]:
    """The bytes of a file with the fingerprint it had before and after they were read."""
    before = fingerprint(os.fstat(descriptor))
    while True:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            data = file.read()
        after = fingerprint(os.fstat(descriptor))
        if before == after and len(data) == after[2]:
            return data, after
        before = after  # somebody writes in place: read again what is there now


def fingerprint(found: os.stat_result) -> Fingerprint:
    """What tells one state of a file from another."""
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def read_content(data: bytes, path: Path) -> Content:
    """The records of a store file's bytes; `path` is for messages. Raises `StoreError`."""
    if not data.strip():
        return EMPTY
    try:
        json = parse_json(data)
    except JsonTextError as error:
        raise StoreError(path, f"not JSON: {error}") from None
    if not isinstance(json, dict):
        reason = f'expected an object {{"stages": [...]}}, got {json_kind(json)}'
        raise StoreError(path, reason)
    stages = json.get("stages")
    if not isinstance(stages, list):
        met = json_kind(stages) if "stages" in json else "nothing"
        raise StoreError(path, f"expected an array in the member stages, got {met}")
    repeats_stages, repeated = repeated_in_store(data)
    if repeats_stages:
        raise StoreError(path, "the member stages occurs twice")
    records = tuple(_record(each, repeated.get(place)) for place, each in enumerate(stages))
    return Content(records, {name: json[name] for name in json if name != "stages"}, data)


def problem_text(record: Record, place: int) -> str:
    """A sentence about a record that cannot be read; `place` counts from 0."""
    known = record.id if record.id and len(record.id) <= _MOST_ID_CHARACTERS else None
    which = f"the stage {known}" if known else f"entry {place + 1} of the array stages"
    return f"{which} cannot be read: {record.problem}"


def _record(json: JsonValue, repeated: str | None) -> Record:
    if repeated is not None:
        return Record(json, None, f"{repeated}: the member occurs twice")
    try:
        return Record(json, read_stage(json), None)
    except RecordError as error:
        return Record(json, None, error.message)


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},]', re.DOTALL)


def _element_texts(data: bytes) -> Iterator[bytes]:
    """The texts of the elements of the top-level member `stages`; the text is known to be JSON."""
    depth = 0
    start: int | None = None
    for match in _TOKEN.finditer(data):
        token = match.group()
        if token in b"[{":
            depth += 1
            if depth == 2 and token == b"[" and _is_stages(data, match.start()):
                start = match.end()
            continue
        if start is not None and depth == 2 and token in b",]":
            element = data[start : match.start()].strip()
            if element:
                yield element
            start = match.end() if token == b"," else None
        if token in b"]}":
            depth -= 1


def _is_stages(data: bytes, bracket: int) -> bool:
    before = data[:bracket].rstrip().removesuffix(b":").rstrip()
    return before.endswith(b'"stages"')
