"""Where the entries of a trace stand (`graph.md` §5.2), and which of them go for lack of room.

Every line of execution (the run itself, each branch, each binding) has a lane of its own. A trace
has an entry for every stage call, each attempt of a `Retry` too: with attempts without end it would
outgrow the report, which has a longest line. So what came first stays, and of the rest the newest.
"""

import threading
from collections import deque
from collections.abc import Iterator

from noether_contract.json_values import JsonValue, value_hash
from noether_contract.messages import RemoteEntry, StageEntry, write_message

FIRST_BYTES = 4 * 1024 * 1024
"""Entries, as JSON, that stay whatever comes after them."""

LAST_BYTES = 20 * 1024 * 1024
"""Newer entries that stay. With an output of the largest size the report is still one line."""


class Lane:
    """What one line of execution has done, in order; its thread alone counts and forks in it."""

    __slots__ = ("_group", "_last", "_last_hash", "_next_key", "is_root", "items", "next_step")

    def __init__(self, *, is_root: bool = False, group: "_Group | None" = None) -> None:
        self.is_root = is_root
        self.items: dict[int, StageEntry | RemoteEntry | _Group] = {}
        self.next_step = 0
        self._group = group
        self._next_key = 0
        self._last: JsonValue = None
        self._last_hash = ""

    def fork(self, count: int) -> "list[Lane]":
        """The lanes of `count` branches, which stand here in this lane's order."""
        return list(_Group(self, self.next_key(), count).lanes)

    def next_key(self) -> int:
        """The place of one more item."""
        self._next_key += 1
        return self._next_key

    def put(self, key: int, item: "StageEntry | RemoteEntry | _Group") -> None:
        """The item stands at its place; the first one shows the lane's group."""
        if self._group is not None and not self.items:
            self._group.show()
        self.items[key] = item

    def remove(self, key: int) -> None:
        """The item is left out; so is the lane's group when nothing is left in it."""
        del self.items[key]
        if self._group is not None and not self.items:
            self._group.hide_if_empty()

    def entries(self) -> Iterator[StageEntry | RemoteEntry]:
        """Everything in it and in the branches that stand in it, in the order of the trace."""
        for _, item in sorted(self.items.items(), key=lambda placed: placed[0]):
            if isinstance(item, _Group):
                for lane in item.lanes:
                    yield from lane.entries()
            else:
                yield item

    def hash_of(self, value: JsonValue) -> str:
        """The value hash. One stage's output is often the next one's input: hashed once.

        Raises `TypeError` for a value that is nested too deeply to be written.
        """
        if value is not self._last or not self._last_hash:
            self._last_hash = value_hash(value)
            self._last = value
        return self._last_hash


class _Group:
    """Lanes that stand side by side at one place of their parent, as long as there is anything."""

    __slots__ = ("_key", "_parent", "lanes")

    def __init__(self, parent: Lane, key: int, count: int) -> None:
        self._parent = parent
        self._key = key
        self.lanes = tuple(Lane(group=self) for _ in range(count))

    def show(self) -> None:
        if self._key not in self._parent.items:
            self._parent.put(self._key, self)

    def hide_if_empty(self) -> None:
        if not any(lane.items for lane in self.lanes):
            self._parent.remove(self._key)


class Entries:
    """Puts entries into lanes, from any thread; `left_out` had to go."""

    def __init__(self, first_bytes: int = FIRST_BYTES, last_bytes: int = LAST_BYTES) -> None:
        self.left_out = 0
        self._first_left = first_bytes
        self._last_left = last_bytes
        self._last: deque[tuple[Lane, int, int]] = deque()
        self._lock = threading.RLock()

    def add(self, lane: Lane, entry: StageEntry | RemoteEntry) -> None:
        """The entry stands at the end of its lane."""
        size = len(write_message(entry))
        with self._lock:
            key = lane.next_key()
            lane.put(key, entry)
            if size <= self._first_left:
                self._first_left -= size
                return
            self._first_left = 0
            self._last.append((lane, key, size))
            self._last_left -= size
            while self._last_left < 0 and len(self._last) > 1:
                old_lane, old_key, old_size = self._last.popleft()
                old_lane.remove(old_key)
                self._last_left += old_size
                self.left_out += 1

    def of(self, lane: Lane) -> tuple[StageEntry | RemoteEntry, ...]:
        """All entries of a lane, and of those that stand in it."""
        with self._lock:
            return tuple(lane.entries())
