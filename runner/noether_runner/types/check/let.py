"""What a Let takes, and whether its body's fields fit (`types.md` §7.2)."""

from collections.abc import Callable, Mapping

from noether_runner.types.check.edges import Edges, Failure, Inlet, Outlet
from noether_runner.types.check.findings import binding_label
from noether_runner.types.check.type_warnings import LetBodyMismatch, LetInputConflict
from noether_runner.types.overlap import may_share_a_value
from noether_runner.types.terms import ANY, NType, RecordOf, record


def check_let(
    edges: Edges,
    bindings: Mapping[str, tuple[Inlet, Outlet]],
    body: Inlet,
    path: str,
    failure_for: Callable[[Outlet, Inlet], Failure],
) -> NType:
    """The input type of the Let: what its bindings and its body need from outside.

    Bindings come by name. A binding that takes something other than a record makes that Any, and
    a body that takes something other than a record is not checked: the verdicts of the reference,
    with warnings (TQ-17).
    """
    required: dict[str, NType] = {}
    takes_any = False
    for inlet, _ in bindings.values():
        taken = edges.substitution.closed(inlet.type)
        if isinstance(taken, RecordOf):
            _warn_of_conflicts(edges, required, taken, path)
            required |= dict(taken.fields)
        else:
            takes_any = True
    available = {name: Outlet("the input", of) for name, of in required.items()}
    available |= {name: outlet for name, (_, outlet) in bindings.items()}

    wanted = edges.substitution.closed(body.type)
    if isinstance(wanted, RecordOf):
        inner = body.branches or {}
        for name, of in wanted.fields:
            if name in available:
                outlet = available[name]
                inlet = inner.get(name) or Inlet(
                    body.node, f"the field `{name}` of {body.label}", of
                )
                edges.check(outlet, inlet, binding_label(name), failure_for(outlet, inlet))
            else:
                required[name] = of
    elif not may_share_a_value(wanted, record({})):
        shown = edges.substitution.shown(wanted)[0]
        edges.warnings.append(LetBodyMismatch(body.node, body.label, shown))
    return ANY if takes_any or not required else record(required)


def _warn_of_conflicts(
    edges: Edges, required: Mapping[str, NType], taken: RecordOf, path: str
) -> None:
    for name, of in taken.fields:
        before = required.get(name)
        if before is not None and not may_share_a_value(before, of):
            first, second = edges.substitution.shown(before, of)
            edges.warnings.append(LetInputConflict(path, name, first, second))
