"""Dataclasses that cost little to define: what a module pays for them when it is imported.

`@dataclass` of the standard library writes, compiles and runs the text of six methods for every
class. A cold `noether-run` defines nearly two hundred, and makes instances of a third of them.
Here the standard library still makes the class, its fields and its slots, so `fields`, `replace`,
orjson and pydantic find what they know; but `__init__` is compiled when the first instance is
made, and the other methods are written once for all classes. Type checkers see the original.
"""

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, kw_only: bool = False, eq: bool = True
    ) -> Any:
        """The decorator, with the options of `dataclasses.dataclass` that are used here."""

        def decorate(cls: type) -> type:
            made = dataclasses.dataclass(
                init=False, repr=False, eq=False, slots=slots, kw_only=kw_only
            )(cls)
            _equip(made, frozen=frozen, eq=eq)
            return made

        return decorate


def _equip(cls: Any, *, frozen: bool, eq: bool) -> None:
    """Gives a class its methods, but for those that it has written itself."""
    own = vars(cls)
    fields = dataclasses.fields(cls)
    compared = _values_of([field.name for field in fields if field.compare])
    methods: dict[str, Any] = {
        "__init__": _late_init(cls, fields),
        "__repr__": _repr,
    }
    if eq:
        methods |= {"__eq__": _equality(compared)}
        methods |= {"__hash__": _hashing(compared) if frozen else None}
    if frozen:
        methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        methods |= {"__getstate__": _state, "__setstate__": _restore}
    for name, method in methods.items():
        # `__hash__` of None is what Python itself puts beside a written `__eq__`
        if own.get(name) is None:
            setattr(cls, name, method)


def _values_of(names: list[str]) -> Callable[[Any], Any]:
    """A function that gives the values of these attributes, as one tuple where there are more."""
    return attrgetter(*names) if names else lambda _: ()


def _late_init(cls: Any, fields: tuple[Any, ...]) -> Callable[..., None]:
    def compile_and_call(self: Any, *args: Any, **kwargs: Any) -> None:
        init = _compiled_init(cls, fields)
        cls.__init__ = init
        init(self, *args, **kwargs)

    return compile_and_call


def _compiled_init(cls: Any, fields: tuple[Any, ...]) -> Callable[..., None]:
    """`__init__` as the standard library would write it; slots are set past `__setattr__`."""
    names: dict[str, Any] = {"_absent": _ABSENT, "_set": object.__setattr__}
    positional: list[str] = []
    by_name: list[str] = []
    body: list[str] = []
    for field in fields:
        name = parameter = value = field.name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
            value = name if field.init else f"_default_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_factory_{name}"] = field.default_factory
            parameter = f"{name}=_absent"
            made = f"_factory_{name}()"
            value = f"{made} if {name} is _absent else {name}" if field.init else made
        elif not field.init:
            continue
        if field.init:
            (by_name if field.kw_only else positional).append(parameter)
        body.append(f"    _set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        body.append("    self.__post_init__()")
    star = ["*"] if by_name else []
    heading = f"def __init__({', '.join(['self', *positional, *star, *by_name])}):"
    exec("\n".join([heading, *(body or ["    pass"])]), names)  # noqa: S102 - our own text
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


_ABSENT = object()


def _repr(self: Any) -> str:
    shown = (
        f"{field.name}={getattr(self, field.name)!r}"
        for field in dataclasses.fields(self)
        if field.repr
    )
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _equality(values: Callable[[Any], Any]) -> Callable[[Any, object], Any]:
    def are_equal(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return are_equal


def _hashing(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    return lambda self: hash(values(self))


def _refuse_to_set(_self: Any, name: str, _value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: Any, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _restore(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
