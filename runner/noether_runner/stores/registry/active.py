"""The registry's Active stages, as one scan saw them (`stages.md` §8.3).

Names, prefixes and signatures can only be looked up among all of them, so a scan reads the whole
listing, page by page, into an index on disk (`stores/index.py`) that later runs search without
reading it. One run scans, the others wait for it or use what they have:

    index.json            which index file counts, when it was made, the registry's total
    index-<ns>.sqlite     the rows, with the records as received, unproven
    scan.lock             held by the run that scans
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stores.content import Content
from noether_runner.stores.index import IndexRows, IndexUnusableError, write_index
from noether_runner.stores.registry.cache import Cache, make_folder
from noether_runner.stores.registry.client import NoAnswerError, RegistryClient
from noether_runner.stores.registry.listing import Listing, TotalChangedError
from noether_runner.stores.registry.patience import OutOfPatienceError, Patience
from noether_runner.stores.registry.settings import Settings
from noether_runner.stores.rows import Column, MemoryRows, Row, Rows

_POINTER = "index.json"
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Scan:
    """What one scan saw. `seen_at` is when it began, seconds since 1970; `is_own`: by this run."""

    rows: Rows
    seen_at: float
    total: int
    path: Path | None
    is_own: bool = False

    def age(self, now: float) -> float:
        """Seconds since it was made, never less than 0."""
        return max(0.0, now - self.seen_at)


class ActiveIndex:
    """Looks up rows in the newest scan, and scans when that is too old."""

    def __init__(
        self,
        client: RegistryClient,
        cache: Cache,
        settings: Settings,
        patience: Patience,
        now: Callable[[], float],
    ) -> None:
        self._client = client
        self._cache = cache
        self._settings = settings
        self._patience = patience
        self.now = now
        self._last: Scan | None = None
        self._current: Scan | None = None
        self._failure: NoAnswerError | None = None
        self.stale: tuple[float, str] | None = None
        """Age in seconds of a scan that had to do, and why there was no newer one."""

    @property
    def in_use(self) -> Scan | None:
        """The newest scan that this run has looked at."""
        return self._last

    def last(self) -> Scan | None:
        """The newest scan there is, however old; asks nobody."""
        if self._last is None:
            self._last = self._stored()
        return self._last

    def current(self) -> Scan:
        """The scan that names, prefixes and signatures are looked up in, the same for a whole run.

        Raises `NoAnswerError` when there is none that will do.
        """
        if self._failure is not None:
            raise self._failure
        if self._current is None:
            try:
                self._current = self._last = self._current_scan()
            except NoAnswerError as failure:
                self._failure = failure
                raise
        return self._current

    def glance(self, column: Column, text: str) -> Sequence[Row]:
        """Rows of the last scan; asks nobody."""
        scan = self.last()
        try:
            return () if scan is None else scan.rows.find(column, text)
        except IndexUnusableError:
            self._leave(scan)
            return ()

    def find(self, column: Column, text: str) -> Sequence[Row]:
        """Rows of the current scan; raises `NoAnswerError`."""
        scan = self.current()
        try:
            return scan.rows.find(column, text)
        except IndexUnusableError:
            self._leave(scan)
            return self.current().rows.find(column, text)

    def record(self, stage_id: str) -> JsonValue:
        """The record of a stage as the last scan saw it, unproven; None when there is none."""
        scan = self.last()
        try:
            rows = () if scan is None else scan.rows.find(Column.ID, stage_id)
            return scan.rows.json(rows[0]) if scan is not None and rows else None
        except IndexUnusableError:
            self._leave(scan)
            return None

    def _current_scan(self) -> Scan:
        found = self.last()
        age = None if found is None else found.age(self.now())
        if found is not None and self._is_fresh(found):
            return found
        # Within bounds an old index serves while another run makes the new one.
        patient = age is None or age > self._settings.index_max_stale_seconds
        try:
            with self._only_scanner(wait=patient) as is_ours:
                if not is_ours and found is not None:
                    return found
                newer = self._stored()
                if newer is not None and self._is_fresh(newer):
                    return newer
                return self._scan()
        except NoAnswerError as failure:
            if found is None or age is None or age > self._settings.stale_on_error_seconds:
                raise
            self.stale = (age, failure.reason)
            return found

    def _is_fresh(self, scan: Scan) -> bool:
        return -1.0 <= self.now() - scan.seen_at <= self._settings.index_seconds

    @contextmanager
    def _only_scanner(self, *, wait: bool) -> Iterator[bool]:
        """Holds the lock; False when another run has it and it is not to be waited for."""
        folder = self._cache.folder
        descriptor = None if folder is None else _open_lock(folder / "scan.lock")
        if descriptor is None:
            yield True
            return
        try:
            yield self._locked(descriptor, wait=wait)
        finally:
            os.close(descriptor)

    def _locked(self, descriptor: int, *, wait: bool) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                return False
        else:
            return True
        # A thread that is left behind here holds nothing: the lock goes with the descriptor.
        try:
            self._patience.all_of([lambda: fcntl.flock(descriptor, fcntl.LOCK_EX)])
        except OutOfPatienceError:
            seconds = self._patience.seconds
            reason = f"another run did not finish reading its listing within {seconds:g} s"
            raise NoAnswerError(reason, lasting=True) from None
        return True

    def _scan(self) -> Scan:
        try:
            return self._scan_once(Listing(self._client, self._settings))
        except TotalChangedError:
            # Once more: what moved between two pages may be missing or double.
            return self._scan_once(Listing(self._client, self._settings, accepts_changes=True))

    def _scan_once(self, pages: Listing) -> Scan:
        try:
            return self._scan_into_index(pages)
        except IndexUnusableError:
            seen_at = self.now()
            records = tuple(record for content in pages.contents() for record in content.records)
            rows = MemoryRows(Content(records, {}, b""))
            return Scan(rows, seen_at, pages.total, None, is_own=True)

    def _scan_into_index(self, pages: Listing) -> Scan:
        folder = self._cache.folder
        if folder is None:
            raise IndexUnusableError
        seen_at = self.now()
        state = int(seen_at * _NS)
        path = folder / f"index-{state}.sqlite"
        rows = write_index(path, (state,), pages.contents())
        pointer = {"rows": path.name, "seen_at": seen_at, "state": state, "total": pages.total}
        if self._cache.write(_POINTER, orjson.dumps(pointer)):
            _remove_others(folder, path)
        return Scan(rows, seen_at, pages.total, path, is_own=True)

    def _stored(self) -> Scan | None:
        """The scan that the pointer names; None when there is none that can be used."""
        folder = self._cache.folder
        text = self._cache.read(_POINTER)
        if folder is None or text is None:
            return None
        with suppress(ValueError, TypeError, KeyError, IndexUnusableError):
            pointer: dict[str, Any] = orjson.loads(text)
            path = folder / Path(pointer["rows"]).name
            rows = IndexRows(path, (int(pointer["state"]),))
            return Scan(rows, float(pointer["seen_at"]), int(pointer["total"]), path)
        return None

    def _leave(self, scan: Scan | None) -> None:
        """Goes on without an index that proved damaged."""
        self._last = self._current = None
        if scan is not None and scan.path is not None:
            with suppress(OSError):
                scan.path.unlink()


def _open_lock(path: Path) -> int | None:
    try:
        make_folder(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None


def _remove_others(folder: Path, kept: Path) -> None:
    """Indexes that no new run will open; those who have them open keep what they opened."""
    for path in (*folder.glob("index-*"), *folder.glob(".index-*")):
        if not path.name.lstrip(".").startswith(kept.stem):
            with suppress(OSError):
                path.unlink()
