"""What the `config` of a stage node means for the types (`types.md` §7.1)."""

from collections.abc import Iterator

from noether_runner.graph.nodes import StageNode
from noether_runner.types.check.type_warnings import (
    ConfigTypeMismatch,
    ConfigUnknownKey,
    TypeWarning,
)
from noether_runner.types.overlap import may_share_a_value
from noether_runner.types.render import render
from noether_runner.types.terms import ANY, NType, RecordOf, record
from noether_runner.types.values import misfit


def reduced_input(node: StageNode, declared: NType) -> NType:
    """What is left to come in when `config` gives some fields of a record.

    With one field or none left it is Any, even if no key matched: the call wraps a value that is
    no object under a key of its own choice (TQ-16). Other inputs stay as they are.
    """
    if not node.config or not isinstance(declared, RecordOf):
        return declared
    left = {name: of for name, of in declared.fields if name not in node.config}
    return record(left) if len(left) > 1 else ANY


def config_warnings(node: StageNode, declared: NType, path: str) -> Iterator[TypeWarning]:
    """Keys that the input does not have, and values that do not fit, by key."""
    if not node.config:
        return
    if not isinstance(declared, RecordOf):
        if not may_share_a_value(declared, record({})):
            key = min(node.config)
            reason = f"config makes the input an object, but the stage takes {render(declared)}"
            yield ConfigTypeMismatch(path, key, reason)
        return
    fields = dict(declared.fields)
    for key in sorted(node.config):
        if key not in fields:
            yield ConfigUnknownKey(path, key)
            continue
        found = misfit(node.config[key], fields[key])
        if found is not None:
            yield ConfigTypeMismatch(path, key, found.sentence)
