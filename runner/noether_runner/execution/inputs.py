"""What each operator hands on to its parts (`graph.md` §4.2, §4.3). Pure; nothing is changed in
place, since values are shared between nodes."""

from collections.abc import Mapping

from noether_contract.json_values import JsonValue

_WRAPPING_NAMES = (
    "items",
    "text",
    "data",
    "input",
    "records",
    "train",
    "document",
    "html",
    "csv",
    "json_str",
)


def with_config(value: JsonValue, config: dict[str, JsonValue] | None) -> JsonValue:
    """A stage's argument: the input overlaid by the node's `config`, which wins.

    An input that is no record becomes one, under the first name that `config` does not use; when
    it uses all of them the input is lost.
    """
    if config is None:
        return value
    if isinstance(value, dict):
        return {**value, **config} if config else value
    name = next((name for name in _WRAPPING_NAMES if name not in config), _WRAPPING_NAMES[0])
    return {name: value, **config}


def for_branch(value: JsonValue, name: str) -> JsonValue:
    """A `Parallel` branch's input: the member of its name if there is one, else everything."""
    return value[name] if isinstance(value, dict) and name in value else value


def source_name(index: int) -> str:
    """The member of a `Merge` source, in its input and in its target's."""
    return f"source_{index}"


def for_source(value: JsonValue, index: int) -> JsonValue:
    """A `Merge` source's input: its member of a record, null when missing; else everything."""
    return value.get(source_name(index)) if isinstance(value, dict) else value


def for_body(value: JsonValue, bound: Mapping[str, JsonValue]) -> JsonValue:
    """A `Let` body's input: the members of the outer record, overlaid by the bindings."""
    return {**value, **bound} if isinstance(value, dict) else dict(bound)
