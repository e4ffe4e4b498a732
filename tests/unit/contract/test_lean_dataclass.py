"""Our `dataclass` beside the standard library's: whoever uses a class sees no difference."""

import copy
import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from noether_contract import lean_dataclass

Decorator = Callable[..., Any]
BOTH = pytest.mark.parametrize(
    "decorator", [dataclasses.dataclass, lean_dataclass.dataclass], ids=["standard", "ours"]
)


class Seen:
    """What a test class has a default of, and what it did after its start."""

    def __init__(self) -> None:
        self.made: list[object] = []


def point(decorator: Decorator, **options: Any) -> Any:
    """A class with every kind of field that is used here."""

    @decorator(slots=True, **options)
    class Point:
        """A point."""

        x: int
        y: float = 2.0
        names: tuple[str, ...] = ()
        tags: dict[str, int] = dataclasses.field(default_factory=dict)
        secret: str = dataclasses.field(default="s", repr=False)
        remark: str = dataclasses.field(default="", compare=False)
        total: float = dataclasses.field(init=False, default=0.0)

        def doubled(self) -> float:
            return self.x * 2

    return Point


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    x: int
    y: str = "y"


@lean_dataclass.dataclass(frozen=True, slots=True)
class Lean:
    x: int
    y: str = "y"


@BOTH
def test_made_shown_compared_and_replaced(decorator: Decorator) -> None:
    kind = point(decorator, frozen=True)
    one = kind(1, tags={"a": 1}, secret="hidden", remark="r")
    assert (one.x, one.y, one.names, one.tags, one.remark) == (1, 2.0, (), {"a": 1}, "r")
    assert repr(one).endswith("Point(x=1, y=2.0, names=(), tags={'a': 1}, remark='r', total=0.0)")
    assert one == kind(1, tags={"a": 1}, secret="hidden", remark="another")
    assert one != kind(1)
    assert one != Standard(1)
    assert dataclasses.replace(one, x=5).x == 5
    assert kind(1).tags is not kind(1).tags
    assert one.doubled() == 2
    assert kind.__match_args__ == ("x", "y", "names", "tags", "secret", "remark")
    assert kind.__doc__ == "A point."
    assert [field.name for field in dataclasses.fields(kind)][-1] == "total"
    assert b'"x":1,"y":2.0' in orjson.dumps(one)


@BOTH
def test_what_its_start_refuses(decorator: Decorator) -> None:
    kind = point(decorator, frozen=True)
    for arguments, members in (((), {}), ((1,), {"x": 2}), ((1,), {"z": 2}), ((1,), {"total": 2})):
        with pytest.raises(TypeError):
            kind(*arguments, **members)


@BOTH
def test_frozen_is_frozen(decorator: Decorator) -> None:
    one = point(decorator, frozen=True)(1)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'x'"):
        one.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'x'"):
        del one.x
    assert not hasattr(one, "__dict__")


@BOTH
def test_equal_ones_have_one_hash(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True)
    class Pair:
        a: int
        b: str = "b"

    pair: Any = Pair
    assert len({pair(1), pair(1), pair(2)}) == 2


@BOTH
def test_one_that_changes_has_no_hash(decorator: Decorator) -> None:
    kind = point(decorator)
    one = kind(1)
    one.x = 7
    assert one == kind(7)
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)


@BOTH
def test_only_by_name(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True, kw_only=True)
    class Named:
        a: int = 1
        b: int

    named: Any = Named
    assert named(b=2).b == 2
    with pytest.raises(TypeError):
        named(2)


@BOTH
def test_own_methods_stay(decorator: Decorator) -> None:
    seen = Seen()

    @decorator(frozen=True, slots=True, eq=False)
    class Own:
        a: int

        def __post_init__(self) -> None:
            seen.made.append(self.a)

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own)

        def __hash__(self) -> int:
            return 1

    own: Any = Own
    assert own(1) == own(2)
    assert hash(own(3)) == 1
    assert seen.made == [1, 2, 3]


@BOTH
def test_fields_of_a_class_above(decorator: Decorator) -> None:
    @decorator(frozen=True, slots=True)
    class Above:
        a: int = 1

    @decorator(frozen=True, slots=True)
    class Below(Above):
        b: int = 2

    above: Any = Above
    below: Any = Below
    assert above(5).a == 5
    assert (below(3, 4).a, below(3, 4).b, below().a) == (3, 4, 1)
    assert below(1, 2) != above(1)


@pytest.mark.parametrize("one", [Standard(3), Lean(3)], ids=["standard", "ours"])
def test_copies(one: Any) -> None:
    assert copy.copy(one) == copy.deepcopy(one) == one
    assert pickle.loads(pickle.dumps(one)) == one
