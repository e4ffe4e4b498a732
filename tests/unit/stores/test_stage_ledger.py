from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.stages.lifecycle import Active, Deprecated, Draft, Lifecycle, Tombstone
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.content import read_content
from noether_runner.stores.ledger import Ledger, RefusedError
from stage_samples import broken_record, sample, stages, version

PATH = Path("store.json")


def ledger(*entries: Stage | dict[str, Any] | int, **extra: Any) -> Ledger:
    records = [write_stage(each) if isinstance(each, Stage) else each for each in entries]
    return Ledger(read_content(orjson.dumps({"stages": records, **extra}), PATH))


def states(of: Ledger) -> dict[str, Lifecycle]:
    return {stage.id: stage.lifecycle for stage in of}


def refusal(of: Ledger, stage_id: str, wanted: Lifecycle) -> str:
    before = of.text()
    with pytest.raises(RefusedError) as refused:
        of.update_lifecycle(stage_id, wanted)
    assert of.text() == before
    assert not of.is_changed
    return refused.value.kind


def test_a_stage_cannot_succeed_itself() -> None:
    stage = sample()
    assert refusal(ledger(stage), stage.id, Deprecated(stage.id)) == "InvalidSuccessor"


def test_the_order_in_which_a_change_of_state_is_checked() -> None:
    draft = sample(lifecycle=Draft())
    assert refusal(ledger(draft), "0" * 64, Deprecated("x")) == "NotFound"
    assert refusal(ledger(draft), draft.id, Deprecated("x")) == "InvalidTransition"
    assert refusal(ledger(sample()), sample().id, Deprecated("x")) == "InvalidSuccessor"


def test_odd_successors_are_remarked() -> None:
    one, draft, other = version(1), version(2, Draft()), sample("other")
    store = ledger(one, draft, other)
    assert ["Draft" in each for each in store.successor_warnings(draft.id, one)] == [True]
    assert len(list(store.successor_warnings(other.id, one))) == 1
    assert list(store.successor_warnings("gone", one)) == []


def test_reactivating_deprecates_the_present_active() -> None:
    one, two = version(1), version(2)
    store = ledger(replace(one, lifecycle=Deprecated(two.id)), two)
    assert [stage.id for stage in store.reactivate(one.id)] == [two.id]
    assert states(store) == {one.id: Active(), two.id: Deprecated(one.id)}
    for state in (Draft(), Tombstone(), Active()):
        with pytest.raises(RefusedError):
            ledger(sample(lifecycle=state)).reactivate(sample().id)


def test_several_actives_are_all_superseded_in_order_of_their_ids() -> None:
    stages = [version(number) for number in range(3)]
    store = ledger(*stages[:2])
    superseded = store.put(stages[2])
    assert [stage.id for stage in superseded] == sorted(stage.id for stage in stages[:2])


def test_a_stage_that_leaves_a_signature_is_no_longer_found_under_it() -> None:
    one = version(1)
    store = ledger(one)
    store.upsert(replace(one, signature_id="another"))
    assert store.active_with_signature(one.signature_id or "") == []
    assert [stage.id for stage in store.active_with_signature("another")] == [one.id]
    store.remove(one.id)
    assert store.active_with_signature("another") == []


def test_nothing_changed_is_known() -> None:
    store = ledger(sample())
    store.remove("0" * 64)
    assert not store.is_changed
    store.remove(sample().id)
    assert store.is_changed


def test_the_written_file_is_sorted_pretty_and_keeps_what_is_unknown() -> None:
    many = [sample(f"s{number}") for number in range(5)]
    store = ledger(*reversed(many), version=3, _note={"a": [1]})
    text = store.text()
    document = orjson.loads(text)
    ids = [record["id"] for record in document["stages"]]
    assert ids == sorted(ids)
    assert document["_note"] == {"a": [1]}
    assert document["version"] == 3
    assert text.startswith(b'{\n  "stages": [\n    {\n      "id": ')
    assert text.endswith(b"}")


def test_records_that_cannot_be_read_are_written_back_word_for_word() -> None:
    odd = b'{ "id":"b" , "id":"b", "n": 1e2, "s": "],[{" }'
    text = b'{"other":{"stages":[1]}, "stages" : [ 7, ' + odd + b" ,[1,{}] ]}"
    store = Ledger(read_content(text, PATH))
    assert len(store.problems) == 3
    store.put(sample())
    again = store.text()
    assert odd in again
    assert b"[1,{}]" in again
    document = orjson.loads(again)
    assert document["other"] == {"stages": [1]}
    assert [each for each in document["stages"] if not isinstance(each, dict)] == [7, [1, {}]]
    assert Ledger(read_content(again, PATH)).problems


def test_an_escaped_name_of_the_array_is_understood() -> None:
    text = b'{"stage\\u0073": [ {"id": "b"} ]}'
    assert b'{"id":"b"}' in Ledger(read_content(text, PATH)).text()


def test_an_id_whose_record_cannot_be_read_is_taken() -> None:
    bad = broken_record("good")
    store = ledger(bad)
    good = sample("good")
    assert bad["id"] == good.id
    with pytest.raises(RefusedError, match="Telepathy") as refused:
        store.put(good)
    assert refused.value.kind == "AlreadyExists"
    assert not store.is_changed
    store.upsert(good)
    assert store.problems == []
    assert len(orjson.loads(store.text())["stages"]) == 1


@pytest.mark.parametrize("bad_first", [True, False])
def test_of_two_records_with_one_id_the_later_stays_the_later(bad_first: bool) -> None:
    bad, good = broken_record("good"), sample("good")
    entries: list[Any] = [bad, good] if bad_first else [good, bad]
    store = ledger(*entries, sample("other"))
    for _ in range(2):
        written = orjson.loads(store.text())["stages"]
        same = [record for record in written if record["id"] == good.id]
        effects = [record["signature"]["effects"]["effects"][0]["effect"] for record in same]
        assert effects == (["Telepathy", "Pure"] if bad_first else ["Pure", "Telepathy"])
        store = Ledger(read_content(store.text(), PATH))


@given(st.lists(stages, max_size=4))
def test_every_text_reads_back_as_it_was(some: list[Stage]) -> None:
    store = Ledger()
    for stage in some:
        store.upsert(stage)
    text = store.text()
    again = Ledger(read_content(text, PATH))
    assert again.text() == text
    assert states(again) == states(store)
    assert again.problems == []


STATES: st.SearchStrategy[Lifecycle] = st.sampled_from(
    [Draft(), Active(), Tombstone(), *(Deprecated(version(number).id) for number in range(4))]
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "upsert", "update", "remove", "reactivate"]),
        st.integers(0, 3),
        STATES,
    ),
    max_size=12,
)


@given(STEPS)
def test_no_sequence_of_operations_leaves_two_actives_of_one_signature(
    steps: list[tuple[str, int, Lifecycle]],
) -> None:
    store = Ledger()
    for operation, number, state in steps:
        stage = version(number, state)
        try:
            match operation:
                case "put":
                    store.put(stage)
                case "upsert":
                    store.upsert(stage)
                case "update":
                    store.update_lifecycle(stage.id, state)
                case "reactivate":
                    store.reactivate(stage.id)
                case _:
                    store.remove(stage.id)
        except RefusedError:
            continue
        assert len(store.active_with_signature(stage.signature_id or "")) <= 1
