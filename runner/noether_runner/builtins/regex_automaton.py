"""An automaton that is built while the text is read: the way of the Rust engine through a text.

A state is the list of places in the program where the threads of the search stand, the preferred
first. Most texts need few states, and a step that was made before is one look into a table. Each
step also tells from which thread each thread comes and what it marks on the way, so that the way
can be gone once more for the places of groups.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.regex_kinds import Kinds
from noether_runner.builtins.regex_program import Check, Done, Eat, Fork, Mark, Program

GoOn = Callable[[], None]
"""Called now and then; raises to give up."""

_STEPS_BETWEEN: Final = 20_000
"""Steps between two calls of `GoOn`: characters looked at, and threads moved on."""

_MOST_STATES: Final = 2000
_NOWHERE: Final = 0
_KIND_BITS: Final = 21

Origin: TypeAlias = tuple[int, tuple[int, ...]]
"""Position of a thread in the state before, and the slots marked since."""

Slots: TypeAlias = tuple[int, ...]
"""Start and end of the whole match and of each group; -1 where a group took no part."""


@dataclass(frozen=True, slots=True)
class _Step:
    """From one state to the next: `match` is the origin of a match that ends before the step."""

    state: int
    match: Origin | None
    threads: tuple[Origin, ...]


class Automaton:
    """The states and steps met so far of one program."""

    def __init__(self, program: Program, kinds: Kinds) -> None:
        self._program = program
        self._kinds = kinds
        self._states: dict[tuple[int, ...], int] = {(): _NOWHERE}
        self._places: list[tuple[int, ...]] = [()]
        self._steps: dict[int, _Step] = {}
        self._left = _STEPS_BETWEEN

    def leftmost(self, kinds: list[int], start: int, go_on: GoOn) -> tuple[int, int] | None:
        """A place at or before the start of the leftmost match from `start` on, and its end.

        `kinds` are those of the text, as `Kinds.of` gives them.
        """
        looks, steps = self._program.looks, self._steps
        state, searching, idle = _NOWHERE, 1, start
        end: int | None = None
        before = kinds[start - 1] if looks and start else 0
        for at in range(start, len(kinds)):
            if searching and state == _NOWHERE:
                idle = at
            after = kinds[at]
            key = ((state << 1 | searching) << _KIND_BITS | before) << _KIND_BITS | after
            step = steps.get(key) or self._step(key, state, searching, before, after)
            state = step.state
            if step.match is not None:
                end, searching = at, 0
            if not searching and state == _NOWHERE:
                break
            if looks:
                before = after
            self._left -= 1
            if self._left <= 0:
                self._pause(go_on)
        return None if end is None else (idle, end)

    def follow(self, kinds: list[int], start: int, end: int, groups: int, go_on: GoOn) -> Slots:
        """The slots of the leftmost match; `start` and `end` are what `leftmost` has given."""
        looks, steps = self._program.looks, self._steps
        rest = (-1,) * (2 * groups + 1)
        state, searching = _NOWHERE, 1
        threads: list[Slots] = []
        best: Slots | None = None
        before = kinds[start - 1] if looks and start else 0
        for at in range(start, end + 1):
            after = kinds[at]
            key = ((state << 1 | searching) << _KIND_BITS | before) << _KIND_BITS | after
            step = steps.get(key) or self._step(key, state, searching, before, after)
            if searching:
                threads.append((at, *rest))
            if step.match is not None:
                origin, marks = step.match
                best = _marked(threads[origin], (*marks, 1), at)
                searching = 0
            threads = [
                _marked(threads[origin], marks, at) if marks else threads[origin]
                for origin, marks in step.threads
            ]
            state = step.state
            if looks:
                before = after
            self._left -= 1 + len(threads)
            if self._left <= 0:
                self._pause(go_on)
        assert best is not None
        return best

    def _pause(self, go_on: GoOn) -> None:
        self._left = _STEPS_BETWEEN
        go_on()

    def _forget(self) -> None:
        """Begin anew: a text that keeps asking for new states must not fill the memory."""
        self._states.clear()
        self._states[()] = _NOWHERE
        self._places[:] = [()]
        self._steps.clear()

    def _step(self, key: int, state: int, searching: int, before: int, after: int) -> _Step:
        places = self._places[state]
        if searching:
            places = (*places, self._program.start)
        self._left -= len(places)
        match, following = self._advance(places, before, after)
        crowded = len(self._places) >= _MOST_STATES
        if crowded:
            self._forget()
        number = self._states.setdefault(tuple(following), len(self._places))
        if number == len(self._places):
            self._places.append(tuple(following))
        step = _Step(number, match, tuple(following.values()))
        if not crowded:
            self._steps[key] = step
        return step

    def _advance(
        self, places: tuple[int, ...], before: int, after: int
    ) -> tuple[Origin | None, dict[int, Origin]]:
        """The match that ends here, if one does, and where the threads stand after `after`.

        A match ends all threads that are less preferred.
        """
        instructions, members = self._program.instructions, self._kinds.members[after]
        following: dict[int, Origin] = {}
        seen: set[int] = set()
        unmarked: tuple[int, ...] = ()
        stack = [(place, origin, unmarked) for origin, place in enumerate(places)]
        stack.reverse()
        while stack:
            at, origin, marks = stack.pop()
            if at in seen:
                continue
            seen.add(at)
            match instructions[at]:
                case Eat(member, goes_to):
                    if member in members:
                        following.setdefault(goes_to, (origin, marks))
                case Fork(nexts):
                    stack += [(each, origin, marks) for each in reversed(nexts)]
                case Mark(slot, goes_to):
                    stack.append((goes_to, origin, (*marks, slot)))
                case Check(look, unicode, goes_to):
                    if self._kinds.holds(look, before, after, unicode=unicode):
                        stack.append((goes_to, origin, marks))
                case Done():
                    return (origin, marks), following
        return None, following


def _marked(slots: Slots, marks: tuple[int, ...], at: int) -> Slots:
    changed = list(slots)
    for slot in marks:
        changed[slot] = at
    return tuple(changed)
