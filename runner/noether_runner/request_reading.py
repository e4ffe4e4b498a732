"""The one request of a runner, read strictly from JSON by the dataclasses of the contract.

Members that are unknown, missing or of another type are refused, as `noether_contract.reading`
refuses them for the supervisor. This is apart from it because a runner that imports pydantic
starts later than one that has read its graph without: 0.1 s, and megabytes that each fork copies.
"""

import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeAlias, get_args, get_origin

import orjson

from noether_contract.json_values import JsonValue
from noether_contract.messages import RunRequest

_Reader: TypeAlias = Callable[[Any, str], Any]
"""Makes the value of one type from JSON that stands at a place; raises `NotOfContractError`."""


class NotOfContractError(Exception):
    """A value is not what its place takes. The text is the place: values may be secrets."""


def read_request_line(line: bytes) -> RunRequest:
    """The request; raises `NotOfContractError`."""
    try:
        value: JsonValue = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise NotOfContractError("not JSON") from None
    request: RunRequest = _reader(RunRequest)(value, "")
    return request


@cache
def _reader(kind: Any) -> _Reader:
    """How values of a type are read: worked out once, for all runs that a nursery will fork."""
    if is_dataclass(kind):
        return _message_reader(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return _union_reader(inner)
    if origin is Literal:
        return _choice_reader(inner)
    if origin is tuple:
        return _tuple_reader(_reader(inner[0]))
    if origin is dict:
        return _object_reader(_reader(inner[1]))
    return _plain_reader(kind)


def _message_reader(kind: Any) -> _Reader:
    members = [(field.name, _reader(kind.__annotations__[field.name])) for field in fields(kind)]
    known = {name for name, _ in members}
    required = [
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    ]

    def read(value: Any, place: str) -> Any:
        if type(value) is not dict:
            raise NotOfContractError(place or "not an object")
        within = f"{place}." if place else ""
        for name in required:
            if name not in value:
                raise NotOfContractError(within + name)
        if not known >= value.keys():
            raise NotOfContractError(within + min(value.keys() - known))
        found = {
            name: reader(value[name], within + name) for name, reader in members if name in value
        }
        return kind(**found)

    return read


def _union_reader(kinds: tuple[Any, ...]) -> _Reader:
    """For one type or null, or for messages that are told apart by their `kind`."""
    others = [kind for kind in kinds if kind is not types.NoneType]
    takes_null = len(others) < len(kinds)
    tagged = {
        tag: _reader(kind)
        for kind in others
        if len(others) > 1
        for tag in get_args(kind.__annotations__["kind"])
    }
    only = _reader(others[0])

    def read(value: Any, place: str) -> Any:
        if value is None and takes_null:
            return None
        if not tagged:
            return only(value, place)
        tag = value.get("kind") if type(value) is dict else None
        if type(tag) is not str or tag not in tagged:
            raise NotOfContractError(place)
        return tagged[tag](value, place)

    return read


def _choice_reader(choices: tuple[Any, ...]) -> _Reader:
    def read(value: Any, place: str) -> Any:
        for choice in choices:
            if value == choice and type(value) is type(choice):
                return value
        raise NotOfContractError(place)

    return read


def _tuple_reader(each: _Reader) -> _Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) is not list:
            raise NotOfContractError(place)
        return tuple([each(member, place) for member in value])

    return read


def _object_reader(each: _Reader) -> _Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) is not dict:
            raise NotOfContractError(place)
        return {name: each(member, f"{place}.{name}") for name, member in value.items()}

    return read


def _plain_reader(kind: type) -> _Reader:
    def read(value: Any, place: str) -> Any:
        if type(value) is kind:
            return value
        if kind is float and type(value) is int:
            return float(value)
        raise NotOfContractError(place)

    return read
