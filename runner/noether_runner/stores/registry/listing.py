"""The registry's listing of Active stages, read page by page (`stages.md` §7.4, §8.3)."""

from collections.abc import Iterator

from noether_contract.json_values import JsonValue
from noether_runner.stages.errors import RecordError
from noether_runner.stages.stage import read_stage
from noether_runner.stores.content import Content, Record
from noether_runner.stores.registry.client import NoAnswerError, Question, RegistryClient
from noether_runner.stores.registry.envelope import Failure, Result
from noether_runner.stores.registry.paging import Page, PageLoop, read_page
from noether_runner.stores.registry.settings import Settings


class TotalChangedError(Exception):
    """The registry's total changed while its listing was read."""


class Listing:
    """One reading of the listing, page by page."""

    def __init__(
        self, client: RegistryClient, settings: Settings, *, accepts_changes: bool = False
    ) -> None:
        self.total = 0
        self._client = client
        self._settings = settings
        self._accepts_changes = accepts_changes

    def contents(self) -> Iterator[Content]:
        """The records of each page that were on none before."""
        loop = PageLoop(self._settings.pages)
        is_first = True
        while loop.offset is not None:
            page = self._page(loop.offset)
            if not is_first and page.total != self.total and not self._accepts_changes:
                raise TotalChangedError
            self.total = page.total
            is_first = False
            yield Content(tuple(_record(each) for each in loop.take(page)), {}, b"")

    def _page(self, offset: int) -> Page:
        query: dict[str, str | int]
        query = {"lifecycle": "active", "limit": self._settings.page_limit, "offset": offset}
        meaning = self._client.ask(Question("/stages", query)).meaning
        if not isinstance(meaning, Result):
            reason = "it has no listing at /stages: is the URL that of a registry?"
            raise NoAnswerError(reason, lasting=False)
        page = read_page(meaning.value)
        if isinstance(page, Failure):
            raise NoAnswerError(f"it answered with {page.message}", lasting=False)
        return page


def _record(json: JsonValue) -> Record:
    try:
        return Record(json, read_stage(json), None)
    except RecordError as error:
        return Record(json, None, error.message)
