"""Which pages of the registry's listing to ask for (`stages.md` §7.4, §8.3)."""

from collections.abc import Sequence

from noether_contract.json_values import JsonValue
from noether_contract.lean_dataclass import dataclass
from noether_runner.stores.registry.envelope import Failure


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of `GET /stages`: records as received, and how many there are in all."""

    records: Sequence[JsonValue]
    total: int


def read_page(payload: JsonValue) -> Page | Failure:
    """The page in a payload; a missing `total` reads as 0, which ends the listing."""
    records = payload.get("stages") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(records, list):
        return Failure(None, "a listing without the array stages", retryable=False)
    total = payload.get("total")
    is_count = isinstance(total, int) and not isinstance(total, bool)
    return Page(records, total if is_count and isinstance(total, int) else 0)


class PageLoop:
    """Walks a listing by what was received: a server may give smaller pages than asked for.

    `offset` is the next page's, None when the listing is over: at the end that `total` tells, at
    an empty page, at a page that holds only what was seen before, or after `most` pages.
    """

    def __init__(self, most: int) -> None:
        self.offset: int | None = 0
        self._left = most
        self._seen: set[str] = set()

    def take(self, page: Page) -> list[JsonValue]:
        """Notes a page; gives its records that have an id and were not seen before."""
        fresh: list[JsonValue] = []
        for record in page.records:
            identity = record.get("id") if isinstance(record, dict) else None
            if isinstance(identity, str) and identity not in self._seen:
                self._seen.add(identity)
                fresh.append(record)
        self._left -= 1
        received = (self.offset or 0) + len(page.records)
        is_last = not fresh or received >= page.total or self._left == 0
        self.offset = None if is_last else received
        return fresh
