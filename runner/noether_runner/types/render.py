"""The display text of types and refinements (`types.md` §1.5).

It is on the wire (dry-run reports, reasons of the stage `type_check`), so it is exact.
"""

from typing import assert_never

from noether_contract.json_values import compact_json
from noether_runner.types.refine import NonEmpty, OneOf, Range, Refinement, plain_decimal
from noether_runner.types.terms import (
    Fields,
    Leaf,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    RecordWith,
    Refined,
    StreamOf,
    UnionOf,
    Var,
)


def render(term: NType) -> str:
    """The display text of a type; an empty union has none."""
    match term:
        case Leaf(kind):
            return kind
        case ListOf(element):
            return f"List<{render(element)}>"
        case StreamOf(element):
            return f"Stream<{render(element)}>"
        case MapOf(key, value):
            return f"Map<{render(key)}, {render(value)}>"
        case RecordOf(fields):
            return f"Record {{ {', '.join(_fields(fields))} }}"
        case UnionOf(members):
            return " | ".join([render(each) for each in members])
        case Var(name):
            return f"<{name}>"
        case RecordWith(fields, rest):
            return f"Record {{ {', '.join([*_fields(fields), f'...<{rest}>'])} }}"
        case Refined(base, refinement):
            return f"{render(base)} | {render_refinement(refinement)}"
        case _:
            assert_never(term)


def _fields(fields: Fields) -> list[str]:
    return [f"{name}: {render(of)}" for name, of in fields]


def render_refinement(refinement: Refinement) -> str:
    """The display text of a refinement, such as `Range(0..=100)`."""
    match refinement:
        case Range(minimum, maximum):
            low = "" if minimum is None else plain_decimal(minimum)
            high = "" if maximum is None else f"={plain_decimal(maximum)}"
            return f"Range({low}..{high})"
        case OneOf(options):
            return f"OneOf[{', '.join([compact_json(each).decode() for each in options])}]"
        case NonEmpty():
            return "NonEmpty"
        case _:
            assert_never(refinement)
