from collections.abc import Sequence

import pytest

from noether_contract.messages import members_of
from noether_contract.outcomes import ErrorCode
from noether_runner.graph.catalogue import Entry
from noether_runner.graph.nodes import (
    LetNode,
    Node,
    ParallelNode,
    Pinning,
    SequentialNode,
    StageNode,
)
from noether_runner.graph.resolve import MOST_HOPS, Resolved, ResolveError, resolve
from noether_runner.graph.walk import stage_nodes
from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Lifecycle, Tombstone

SIGNATURE = "5" * 64


def full(start: str) -> str:
    return start.ljust(64, "0")


def entry(
    start: str,
    name: str | None = None,
    lifecycle: Lifecycle | None = None,
    signature: str | None = None,
) -> Entry:
    return Entry(full(start), signature, name, lifecycle or Active(), "table")


class Table:
    def __init__(self, *entries: Entry, legacy: dict[str, Entry] | None = None) -> None:
        self.entries = entries
        self.legacy = legacy or {}

    def active_with_signature(self, reference: str) -> Sequence[Entry]:
        return [
            each
            for each in self.entries
            if each.signature_id == reference and isinstance(each.lifecycle, Active)
        ]

    def with_id(self, reference: str) -> Entry | None:
        return next((each for each in self.entries if each.id == reference), None)

    def with_id_prefix(self, prefix: str) -> Sequence[Entry]:
        return [each for each in self.entries if each.id.startswith(prefix)]

    def with_name(self, name: str) -> Sequence[Entry]:
        return [each for each in self.entries if each.name == name]

    def with_legacy_id(self, reference: str) -> Sequence[Entry]:
        return [each for old, each in self.legacy.items() if old.startswith(reference)]


class KnowingTable(Table):
    def deprecated_with_signature(self, reference: str) -> Sequence[Entry]:
        return [
            each
            for each in self.entries
            if each.signature_id == reference and isinstance(each.lifecycle, Deprecated)
        ]


def resolved(table: Table, reference: str, pinning: Pinning = "signature") -> Resolved:
    return resolve(StageNode(reference, pinning), table)


def chosen(table: Table, reference: str, pinning: Pinning = "signature") -> str:
    (found,) = [node.id for _, node in stage_nodes(resolved(table, reference, pinning).root)]
    return found


def refused(table: Table, reference: str, pinning: Pinning = "signature") -> ResolveError:
    with pytest.raises(ResolveError) as caught:
        resolved(table, reference, pinning)
    return caught.value


def test_signature_comes_before_stage_id() -> None:
    table = Table(entry("aa11", signature=full("bb22")), entry("bb22"))
    assert chosen(table, full("bb22")) == full("aa11")
    assert chosen(table, full("bb22"), "both") == full("bb22")


def test_prefix_needs_four_digits_and_shadows_names() -> None:
    table = Table(entry("abcd1", name="abc"), entry("ffff", name="abcd"))
    assert chosen(table, "abcd") == full("abcd1")
    assert chosen(table, "abc") == full("abcd1")  # too short for a prefix: the name
    assert refused(table, "abce").kind == "not_found"


def test_upper_case_digits_match_no_id_but_may_be_a_name() -> None:
    table = Table(entry("abcd1"), entry("eeee", name="ABCD"))
    assert chosen(table, "ABCD") == full("eeee")


def test_ambiguous_prefix_counts_every_lifecycle() -> None:
    table = Table(entry("abcd1"), entry("abcd2", lifecycle=Tombstone()))
    error = refused(table, "abcd")
    assert (error.kind, error.candidates) == ("ambiguous", (full("abcd1"), full("abcd2")))
    assert chosen(table, "abcd1") == full("abcd1")


def test_names_prefer_the_active_ones() -> None:
    table = Table(
        entry("aaaa", "n", Deprecated(full("bbbb"))),
        entry("bbbb", "n"),
        entry("cccc", "m", Draft()),
        entry("dddd", "m", Tombstone()),
        entry("eeee", "o"),
        entry("ffff", "o"),
    )
    assert chosen(table, "n") == full("bbbb")
    assert refused(table, "m").kind == "ambiguous"
    assert refused(table, "o").kind == "ambiguous"


def test_one_stage_found_twice_is_not_ambiguous() -> None:
    table = Table(entry("aaaa", "n"), entry("aaaa", "n"))
    assert chosen(table, "n") == full("aaaa")


def test_several_active_implementations() -> None:
    table = Table(entry("c2", signature=SIGNATURE), entry("c1", signature=SIGNATURE))
    result = resolved(table, SIGNATURE)
    (warning,) = result.warnings
    assert warning.code == "multiple_active"
    assert warning.chosen == full("c1")
    assert warning.candidates == (full("c1"), full("c2"))


@pytest.mark.parametrize("pinning", ["signature", "both"])
@pytest.mark.parametrize("lifecycle", [Draft(), Tombstone()])
def test_drafts_and_tombstones_never_run(pinning: Pinning, lifecycle: Lifecycle) -> None:
    error = refused(Table(entry("aaaa", lifecycle=lifecycle)), "aaaa", pinning)
    assert error.kind == "not_active"
    assert error.code is ErrorCode.REFERENCE_UNRESOLVED


def chain(length: int, end: Lifecycle | None = None) -> Table:
    """Stages d00 … of which the first `length` are deprecated in favour of the next."""
    links = [entry(f"d{n:03}", lifecycle=Deprecated(full(f"d{n + 1:03}"))) for n in range(length)]
    return Table(*links, *([entry(f"d{length:03}", lifecycle=end)] if end else []))


def test_ten_successors_are_followed() -> None:
    result = resolved(chain(MOST_HOPS, Active()), "d000")
    (warning,) = result.warnings
    assert (warning.code, warning.origin) == ("deprecated", full("d000"))
    assert warning.chosen == full("d010")


def test_eleven_successors_are_too_many() -> None:
    assert refused(chain(MOST_HOPS + 1, Active()), "d000").kind == "deprecation_too_long"


def test_how_a_succession_can_end_badly() -> None:
    assert refused(chain(2), "d000").kind == "not_found"
    assert refused(chain(2, Draft()), "d000").kind == "not_active"
    assert refused(chain(2, Tombstone()), "d000").kind == "not_active"
    circle = Table(
        entry("aaaa", lifecycle=Deprecated(full("bbbb"))),
        entry("bbbb", lifecycle=Deprecated(full("aaaa"))),
    )
    assert refused(circle, "aaaa").kind == "deprecation_cycle"
    itself = Table(entry("aaaa", lifecycle=Deprecated(full("aaaa"))))
    assert refused(itself, "aaaa").kind == "deprecation_cycle"


def test_a_pinned_deprecated_stage_runs_with_a_warning() -> None:
    table = Table(entry("aaaa", "n", Deprecated(full("bbbb"))), entry("bbbb", "n2"))
    result = resolved(table, "n", "both")
    (warning,) = result.warnings
    assert (warning.code, warning.chosen) == ("deprecated_pinned", full("aaaa"))


def test_ids_of_older_schemes() -> None:
    current = entry("aaaa", "n")
    table = Table(current, legacy={full("01d1"): current, full("01d2"): entry("bbbb")})
    for reference in (full("01d1"), "01d1"):
        (warning,) = resolved(table, reference).warnings
        assert (warning.code, warning.reference) == ("legacy_id", reference)
        assert warning.chosen == full("aaaa")
        assert full("aaaa") in warning.message
    assert refused(Table(legacy=table.legacy), "01d").kind == "not_found"
    two = Table(legacy={full("01d1"): current, full("01d12"): entry("bbbb")})
    assert refused(two, "01d1").kind == "ambiguous"


def test_an_older_id_of_a_deprecated_stage() -> None:
    old = entry("aaaa", lifecycle=Deprecated(full("bbbb")))
    table = Table(old, entry("bbbb"), legacy={full("01d1"): old})
    result = resolved(table, "01d1")
    assert [(each.code, each.chosen) for each in result.warnings] == [
        ("legacy_id", full("aaaa")),
        ("deprecated", full("bbbb")),
    ]


def test_a_wholly_deprecated_signature_names_the_successor() -> None:
    gone = entry("aaaa", lifecycle=Deprecated(full("bbbb")), signature=SIGNATURE)
    error = refused(KnowingTable(gone), SIGNATURE)
    assert error.kind == "not_found"
    assert full("bbbb") in error.message
    assert full("bbbb") not in refused(Table(gone), SIGNATURE).message


def test_errors_name_reference_and_node_and_the_first_in_walk_order_wins() -> None:
    root: Node = SequentialNode(
        (StageNode("n"), ParallelNode({"y": StageNode("second"), "x": StageNode("first")}))
    )
    with pytest.raises(ResolveError) as caught:
        resolve(root, Table(entry("aaaa", "n")))
    error = caught.value
    assert (error.reference, error.path) == ("first", "root.stages[1].branches.x")
    assert error.message.startswith('root.stages[1].branches.x: the reference "first" cannot')


def test_only_the_ids_change_and_each_reference_is_noted_once() -> None:
    table = Table(entry("aaaa", "n", signature=SIGNATURE))
    root = LetNode({"x": StageNode("n", "both", {"k": 1})}, StageNode("n", "both"))
    result = resolve(root, table)
    assert result.root == LetNode(
        {"x": StageNode(full("aaaa"), "both", {"k": 1})}, StageNode(full("aaaa"), "both")
    )
    (resolution,) = result.resolutions
    assert members_of(resolution) == {
        "reference": "n",
        "stage_id": full("aaaa"),
        "signature_id": SIGNATURE,
        "name": "n",
        "source": "table",
    }


def test_warnings_stand_at_every_node() -> None:
    table = Table(entry("aaaa", "old", Deprecated(full("bbbb"))), entry("bbbb", "new"))
    root = SequentialNode((StageNode("old"), StageNode("new"), StageNode("old")))
    paths = [warning.path for warning in resolve(root, table).warnings]
    assert paths == ["root.stages[0]", "root.stages[2]"]
