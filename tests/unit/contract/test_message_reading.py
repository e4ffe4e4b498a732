"""Messages as JSON, and the two ways of reading a request: pydantic's and the runner's own."""

from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from noether_contract.messages import (
    FailedStatus,
    FileStoreRef,
    Grants,
    GraphRead,
    RegistryRef,
    RunRequest,
    StageEnded,
    StageEntry,
    StageFailure,
    known_members_of,
    members_of,
    write_message,
)
from noether_contract.outcomes import ErrorClass
from noether_contract.reading import EVENT
from noether_runner.request_reading import NotOfContractError, read_request_line

REQUEST = RunRequest(
    run_id="j@1",
    graph_text="{}",
    graph_path="/g.json",
    store=RegistryRef(url="https://r", api_key="K3Y"),
    cache_dir="/c",
    work_dir="/w",
    grants=Grants(environment={"TOKEN": "S3CRET"}, secret_names=("TOKEN",)),
    allow_effects=("pure",),
)
PYDANTIC = TypeAdapter(RunRequest)
WRONG: dict[str, dict[str, Any]] = {
    "unknown": {"colour": 1},
    "run_id": {"run_id": 7},
    "version": {"version": 2},
    "store.kind": {"store": {"kind": "disk", "path": "/s"}},
    "store.path": {"store": {"kind": "file"}},
    "store.url": {"store": {"kind": "file", "path": "/s", "url": "x"}},
    "store": {"store": None},
    "limits.unknown": {"limits": {"seconds": 1}},
    "limits.run_seconds": {"limits": {"run_seconds": None}},
    "grants.environment": {"grants": {"environment": {"A": 1}}},
    "grants.secret_names": {"grants": {"secret_names": "TOKEN"}},
    "isolation": {"isolation": "moat"},
    "dry_run": {"dry_run": "perhaps"},
    "protected": {"protected": [1]},
    "graph_text": {"graph_text": None},
}


def entry(**members: Any) -> StageEntry:
    made: dict[str, Any] = {
        "stage_id": "a" * 64,
        "step_index": 0,
        "status": "Ok",
        "duration_ms": 1,
        "input_hash": None,
        "output_hash": None,
        "path": "root",
    }
    return StageEntry(**{**made, **members})


def test_a_request_is_read_as_it_was_written() -> None:
    line = write_message(REQUEST)
    assert read_request_line(line) == PYDANTIC.validate_json(line) == REQUEST


def test_defaults_are_filled_in() -> None:
    short = {"run_id": "r", "graph_text": "", "graph_path": "", "cache_dir": "", "work_dir": ""}
    line = orjson.dumps({**short, "store": {"kind": "file", "path": "/s"}, "limits": {}})
    found = read_request_line(line)
    assert found == PYDANTIC.validate_json(line)
    assert found.store == FileStoreRef(path="/s")
    assert found.limits.run_seconds == 300.0


def test_whole_seconds_are_seconds() -> None:
    line = orjson.dumps({**members_of(REQUEST), "limits": {"run_seconds": 5}})
    found = read_request_line(line).limits.run_seconds
    assert (found, type(found)) == (5.0, float)


@pytest.mark.parametrize("place", WRONG)
def test_both_refuse_the_same(place: str) -> None:
    line = orjson.dumps({**members_of(REQUEST), **WRONG[place]})
    with pytest.raises(ValidationError):
        PYDANTIC.validate_json(line)
    with pytest.raises(NotOfContractError):
        read_request_line(line)


@pytest.mark.parametrize("member", ["run_id", "graph_text", "store", "work_dir"])
def test_what_is_missing_is_named(member: str) -> None:
    line = orjson.dumps({name: v for name, v in members_of(REQUEST).items() if name != member})
    with pytest.raises(NotOfContractError, match=member):
        read_request_line(line)


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"7"])
def test_what_is_no_request_at_all(line: bytes) -> None:
    with pytest.raises(NotOfContractError):
        read_request_line(line)


def test_refusals_quote_no_values() -> None:
    line = orjson.dumps({**members_of(REQUEST), "grants": {"environment": {"A": ["S3CRET"]}}})
    with pytest.raises(NotOfContractError) as refusal:
        read_request_line(line)
    assert str(refusal.value) == "grants.environment.A"


def test_secrets_are_not_shown() -> None:
    assert "K3Y" not in repr(REQUEST)
    assert "S3CRET" not in repr(REQUEST)


def test_an_event_with_nested_calls_comes_back() -> None:
    failed = FailedStatus(Failed=StageFailure(message="no"))
    inner = entry(status=failed, error_class=ErrorClass.RAISED, warnings=("w",))
    event = StageEnded(call=3, entry=entry(nested=(inner,)))
    found = EVENT.validate_json(write_message(event))
    assert found == event
    assert isinstance(found, StageEnded)
    assert found.entry.nested[0].error_class is ErrorClass.RAISED


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"graph_read"}',
        b'{"kind":"graph_read","composition_id":1}',
        b'{"kind":"graph_read","composition_id":"c","more":1}',
        b'{"kind":"graph","composition_id":"c"}',
        b'{"composition_id":"c"}',
    ],
)
def test_events_that_are_none(line: bytes) -> None:
    with pytest.raises(ValidationError):
        EVENT.validate_json(line)


def test_members_that_are_known() -> None:
    assert members_of(GraphRead(composition_id="c")) == {
        "kind": "graph_read",
        "composition_id": "c",
    }
    assert "stage_name" not in known_members_of(entry())
