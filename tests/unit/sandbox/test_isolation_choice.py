"""Which backend a mode leads to; what happens when there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from noether_contract.isolation import read_required
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.sandbox import probing
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.isolation import Isolation, NoBackendError, NoWalls

WORKS = {
    "both": ("bwrap", "landlock"),
    "landlock": ("landlock",),
    "none": (),
}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says which backends pass their probe; counts the probes."""
    probes: list[str] = []

    def choose(works: tuple[str, ...]) -> list[str]:
        def backend(_self: object, name: str) -> NoWalls:
            probes.append(name)
            if name not in works:
                raise NoBackendError(f"{name} is broken")
            return NoWalls(name=name)

        monkeypatch.setattr(probing.Probing, "backend", backend)
        return probes

    return choose


@contextmanager
def switch() -> Iterator[CancelSwitch]:
    made = CancelSwitch()
    try:
        yield made
    finally:
        made.close()


def chosen(isolation: Isolation) -> tuple[str, tuple[str, ...]]:
    with switch() as cancellation:
        found = isolation.choose(None, cancellation)  # type: ignore[arg-type]  # nothing is started
    return found.backend.name, found.warnings


def refusal(isolation: Isolation) -> str:
    with pytest.raises(StageError) as caught:
        chosen(isolation)
    assert caught.value.error_class is ErrorClass.ISOLATION_UNAVAILABLE
    return caught.value.message


def test_none_probes_nothing(machine: Any) -> None:
    probes = machine(WORKS["both"])
    assert chosen(Isolation()) == ("none", ())
    assert chosen(Isolation("none")) == ("none", ())
    assert probes == []


@pytest.mark.parametrize(
    ("works", "expected"), [("both", "bwrap"), ("landlock", "landlock"), ("none", "none")]
)
def test_auto_takes_the_best_that_works(machine: Any, works: str, expected: str) -> None:
    machine(WORKS[works])
    name, warnings = chosen(Isolation("auto"))
    assert name == expected
    told = "bwrap: bwrap is broken; landlock: landlock is broken"
    assert warnings == (
        (f"isolation is none: no sandbox backend works here ({told})",) if works == "none" else ()
    )


@pytest.mark.parametrize("mode", ["bwrap", "landlock"])
def test_a_named_backend_is_a_requirement(machine: Any, mode: Any) -> None:
    machine(WORKS["both"])
    assert chosen(Isolation(mode)) == (mode, ())
    machine(WORKS["none"])
    told = refusal(Isolation(mode))
    assert f"the sandbox backend '{mode}' is not available: {mode} is broken" in told


def test_required_isolation(machine: Any) -> None:
    machine(WORKS["none"])
    assert refusal(Isolation("auto", required=True)).startswith("refusing to run without isolation")
    assert refusal(Isolation("none", required=True)).startswith("refusing to run without isolation")
    machine(WORKS["landlock"])
    assert chosen(Isolation("auto", required=True)) == ("landlock", ())
    # no backend makes an explicit none acceptable
    assert "'none' was asked for" in refusal(Isolation("none", required=True))


def test_a_probe_is_made_once(machine: Any) -> None:
    probes = machine(WORKS["landlock"])
    isolation = Isolation("auto")
    for _ in range(3):
        assert chosen(isolation)[0] == "landlock"
    broken = Isolation("bwrap")
    for _ in range(3):
        refusal(broken)
    assert probes == ["bwrap", "landlock", "bwrap"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, True) for text in ("1", "true", "yes", "on", "TRUE", " on ")),
        *((text, False) for text in (None, "", "0", "false", "no", "off", "Off")),
    ],
)
def test_the_variable_that_requires_isolation(text: str | None, expected: bool) -> None:
    assert read_required(text) is expected


@pytest.mark.parametrize("text", ["2", "maybe", "y", "enabled"])
def test_a_value_that_is_neither(text: str) -> None:
    with pytest.raises(ValueError, match="NOETHER_REQUIRE_ISOLATION is"):
        read_required(text)
