"""Graphs of typed stages to draw from, most of which fit together.

A graph is built along the types that really flow: each node is drawn for the type it will be given,
and now and then for another one, so that the checker has something to refuse. Takers ask for less
than they get, as subtyping allows. Where the specification lets the checker pass what may not run,
a taker always fits; each such place names its section.
"""

import random
from dataclasses import dataclass, field

from hypothesis import strategies as st

from noether_contract.json_values import JsonValue
from noether_runner.graph.nodes import (
    BranchNode,
    ConstNode,
    FanoutNode,
    LetNode,
    MergeNode,
    Node,
    ParallelNode,
    RemoteStageNode,
    RetryNode,
    SequentialNode,
    StageNode,
)
from noether_runner.graph.walk import replace_stages
from noether_runner.types.terms import (
    ANY,
    BOOL,
    NULL,
    TEXT,
    VNODE,
    ListOf,
    MapOf,
    NType,
    RecordOf,
    Refined,
    StreamOf,
    UnionOf,
    record,
    union,
)
from typed_stages import (
    GENERIC,
    GIVEN,
    NAMES,
    PLAIN,
    STRANGE,
    Behaviour,
    TypedStage,
    generic_output,
    value_of,
)

DEPTH = 2
"""Operators within operators."""


@dataclass
class Drawn:
    """One graph: `checked` is for the checker, `executed` for the interpreter.

    They differ in constants. Those have the type Any (§7, TQ-18); in `checked` they are stages that
    give just the type of the value.
    """

    stages: dict[str, TypedStage] = field(default_factory=lambda: dict(GENERIC))
    constants: dict[str, JsonValue] = field(default_factory=dict)
    remotes: dict[str, RemoteStageNode] = field(default_factory=dict)
    checked: Node = field(default_factory=lambda: ConstNode(None))
    chance: random.Random = field(default_factory=random.Random)

    @property
    def executed(self) -> Node:
        def change(_: str, node: StageNode) -> Node:
            known = self.constants
            return ConstNode(known[node.id]) if node.id in known else node

        return replace_stages(self.checked, change)


class _Builder:
    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw
        self.chance = random.Random(draw(st.integers(0, 2**16)))
        self.drawn = Drawn(chance=self.chance)

    def stage(self, given: NType, gives: NType, **config: JsonValue) -> Node:
        name = f"stage_{len(self.drawn.stages)}"
        behave: Behaviour = lambda _: value_of(gives, self.chance)  # noqa: E731 - closes over `gives`
        self.drawn.stages[name] = TypedStage(given, gives, behave)
        return StageNode(name, config=config or None)

    def node(self, given: NType, depth: int, *, strict: bool) -> tuple[Node, NType]:
        """A node for the type `given`, and what it gives; `strict`: it must fit, nobody checks."""
        kinds = ["stage", "stage", "generic", "remote", "constant", "config"]
        operators = ["sequential", "parallel", "branch", "fanout", "merge", "merge", "retry", "let"]
        if depth:
            kinds = operators + (kinds if depth < DEPTH else ["let"])
        make = getattr(self, f"_{self._draw(st.sampled_from(kinds))}")
        made: tuple[Node, NType] = make(given, depth - 1, strict)
        return made

    def _taken(self, given: NType, strict: bool, one_in: int = 5) -> NType:
        """What a taker of `given` asks for; when it may, one in so many asks for something else."""
        if not strict and self._draw(st.integers(1, one_in)) == one_in:
            return self._draw(STRANGE)
        return self._widened(given, 2)

    def _widened(self, term: NType, depth: int) -> NType:
        """A type that takes every value of `term`."""
        how = self._draw(st.sampled_from(["same", "any", "union", "inside", "inside"]))
        if how == "any":
            return ANY
        if how == "union":
            return union([term, self._draw(PLAIN)])
        if how == "same" or not depth:
            return term
        match term:
            case ListOf(element):
                return ListOf(self._widened(element, depth - 1))
            case StreamOf(element):
                return StreamOf(self._widened(element, depth - 1))
            case MapOf(key, value):
                return MapOf(key, self._widened(value, depth - 1))
            case Refined(base):
                return base
            case RecordOf(fields):
                kept = {
                    name: self._widened(of, depth - 1)
                    for name, of in fields
                    if self._draw(st.booleans())
                }
                absent = union([NULL, self._draw(PLAIN)])
                return record({**kept, f"more_{len(self.drawn.stages)}": absent})
            case _:
                return term

    def _stage(self, given: NType, _depth: int, strict: bool) -> tuple[Node, NType]:
        gives = self._draw(GIVEN)
        return self.stage(self._taken(given, strict), gives), gives

    def _generic(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        name = self._draw(st.sampled_from(sorted(GENERIC)))
        gives = generic_output(name, given)
        # A record without the field `a` is taken, too: a variable may be absent (§5, TQ-04).
        # And where nobody compares, a variable gets no meaning.
        if strict or (gives is None and isinstance(given, (RecordOf, UnionOf))):
            return self._stage(given, depth, strict)
        return StageNode(name), gives or TEXT

    def _remote(self, given: NType, _depth: int, strict: bool) -> tuple[Node, NType]:
        gives = self._draw(GIVEN)
        url = f"http://remote.test/{len(self.drawn.remotes)}"
        node = RemoteStageNode(url, self._taken(given, strict), gives)
        self.drawn.remotes[url] = node
        return node, gives

    def _constant(self, _given: NType, _depth: int, _strict: bool) -> tuple[Node, NType]:
        gives = self._draw(GIVEN)
        node = self.stage(ANY, gives)
        assert isinstance(node, StageNode)
        self.drawn.constants[node.id] = value_of(gives, self.chance)
        return node, gives

    def _config(self, given: NType, _depth: int, _strict: bool) -> tuple[Node, NType]:
        """Config may make the input Any (§7.1, TQ-16): it fits always."""
        gives = self._draw(GIVEN)
        own = {"by": self._draw(PLAIN)}
        if isinstance(given, RecordOf):
            taken = record({name: self._widened(of, 1) for name, of in given.fields} | own)
        elif isinstance(given, (UnionOf, MapOf)) or given == VNODE:
            return self.stage(given, gives), gives  # a record or not, who knows
        else:
            taken = record({"items": self._widened(given, 1)} | own)
        return self.stage(taken, gives, by=value_of(own["by"], self.chance)), gives

    def _sequential(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        nodes: list[Node] = []
        for place in range(self._draw(st.integers(1, 3))):
            node, given = self.node(given, depth, strict=strict and not place)
            nodes.append(node)
        return SequentialNode(tuple(nodes)), given

    def _named(self) -> list[str]:
        return self._draw(st.lists(NAMES, min_size=1, max_size=2, unique=True))

    def _parallel(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        fields = dict(given.fields) if isinstance(given, RecordOf) else {}
        # A union or a map may have the key of a branch or not (§13.2 leaves it to the call).
        strict = strict or isinstance(given, (UnionOf, MapOf))
        names = ["z"] if isinstance(given, (UnionOf, MapOf)) else self._named()
        made = {name: self.node(fields.get(name, given), depth, strict=strict) for name in names}
        gives = record({name: of for name, (_, of) in made.items()})
        return ParallelNode({name: node for name, (node, _) in made.items()}), gives

    def _branch(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        """What the arms take is compared with nothing (§7, TQ-14): they fit always."""
        says = self._draw(st.sampled_from([BOOL] * 4 + [TEXT]))
        predicate = self.stage(self._taken(given, strict), says)
        if_true, one = self.node(given, depth, strict=True)
        if_false, other = self.node(given, depth, strict=True)
        return BranchNode(predicate, if_true, if_false), union([one, other])

    def _fanout(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        source, shared = self.node(given, depth, strict=strict)
        made = [
            self.node(shared, depth, strict=False) for _ in range(self._draw(st.integers(1, 2)))
        ]
        gives = union([of for _, of in made]) if len(made) > 1 else made[0][1]
        return FanoutNode(source, tuple(node for node, _ in made)), ListOf(gives)

    def _merge(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        if isinstance(given, UnionOf):
            return self._stage(given, depth, strict)  # each source gets all or nothing, who knows
        is_object = isinstance(given, (RecordOf, MapOf)) or given == VNODE
        fields = dict(given.fields) if isinstance(given, RecordOf) else {}
        made = []
        for index in range(self._draw(st.integers(1, 2))):
            of = fields.get(f"source_{index}", NULL) if is_object else given
            made.append(self.node(of, depth, strict=strict))
        merged = record({f"source_{index}": of for index, (_, of) in enumerate(made)})
        if self._draw(st.booleans()):
            gives = self._draw(GIVEN)
            target = self.stage(self._taken(merged, strict=False, one_in=2), gives)
        else:
            target, gives = self.node(merged, depth, strict=False)
        return MergeNode(tuple(node for node, _ in made), target), gives

    def _retry(self, given: NType, depth: int, strict: bool) -> tuple[Node, NType]:
        node, gives = self.node(given, depth, strict=strict)
        return RetryNode(node, self._draw(st.integers(0, 3))), gives

    def _let(self, given: NType, depth: int, _strict: bool) -> tuple[Node, NType]:
        """Only record bodies are checked, and bindings may overwrite what others ask for, or all of
        it (§7.2, TQ-17): all fit, but for one field of the body that is bound."""
        made = {name: self.node(given, depth, strict=True) for name in self._named()}
        bound = {name: of for name, (_, of) in made.items()}
        bindings = {name: node for name, (node, _) in made.items()}
        if self._draw(st.booleans()):
            gives = self._draw(GIVEN)
            name = min(bound)
            body = self.stage(
                record({name: self._taken(bound[name], strict=False, one_in=2)}), gives
            )
            return LetNode(bindings, body), gives
        outer = dict(given.fields) if isinstance(given, RecordOf) else {}
        node, gives = self.node(record(outer | bound), depth, strict=True)
        return LetNode(bindings, node), gives


@st.composite
def typed_graphs(draw: st.DrawFn) -> Drawn:
    """A graph that begins with a stage that takes anything; what flows from there on is typed."""
    builder = _Builder(draw)
    given = draw(GIVEN)
    first = builder.stage(ANY, given)
    node, _ = builder.node(given, DEPTH, strict=False)
    builder.drawn.checked = SequentialNode((first, node))
    return builder.drawn
