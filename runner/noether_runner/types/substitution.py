"""What type variables and row variables stand for while a graph is checked (`types.md` §13.1).

Every stage occurrence gets fresh names, so that two generic stages that both say `T` never meet;
variables and rows have separate name spaces. Bindings may mention other variables. They are only
ever added, so a try that failed is undone by going back to a mark.
"""

from collections import Counter

from noether_contract.lean_dataclass import dataclass
from noether_runner.types.parts import PartCount, changed_fields, normalised, parts, rebuild
from noether_runner.types.terms import (
    Fields,
    NType,
    RecordOf,
    RecordWith,
    Refined,
    Var,
    record,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A point to go back to."""

    variables: int
    rows: int
    closing: int


class Substitution:
    """Bindings of fresh variables and rows, and the names they came from.

    `is_touched` becomes true with the first edge that had a variable: from then on unions are
    shown normalised, as the reference does.
    """

    def __init__(self) -> None:
        self.is_touched = False
        self._variables: dict[str, NType] = {}
        self._rows: dict[str, RecordOf | RecordWith] = {}
        self._closing: dict[str, Fields] = {}
        self._sources: dict[str, str] = {}

    def instantiate(self, *terms: NType) -> tuple[NType, ...]:
        """The types of one stage occurrence, their variables and rows renamed consistently."""
        variables: dict[str, str] = {}
        rows: dict[str, str] = {}

        def renamed(term: NType) -> NType:
            match term:
                case Var(name):
                    if name not in variables:
                        variables[name] = self._fresh(name)
                    return Var(variables[name])
                case RecordWith(fields, rest):
                    if rest not in rows:
                        rows[rest] = self._fresh(rest)
                    return RecordWith(changed_fields(fields, renamed), rows[rest])
                case _:
                    return rebuild(term, renamed)

        return tuple([renamed(term) for term in terms])

    def _fresh(self, source: str) -> str:
        name = f"{source}#{len(self._sources)}"
        self._sources[name] = source
        return name

    def source_of(self, name: str) -> str:
        """The name that a stage's author gave a variable or row."""
        return self._sources.get(name, name)

    def mark(self) -> Mark:
        """The present state, for `back_to`."""
        return Mark(len(self._variables), len(self._rows), len(self._closing))

    def back_to(self, mark: Mark) -> None:
        """Forgets every binding made since."""
        while len(self._variables) > mark.variables:
            self._variables.popitem()
        while len(self._rows) > mark.rows:
            self._rows.popitem()
        while len(self._closing) > mark.closing:
            self._closing.popitem()

    def head(self, term: NType) -> NType:
        """The term with its outermost variable or row followed as far as it is bound."""
        while isinstance(term, Var) and term.name in self._variables:
            term = self._variables[term.name]
        while isinstance(term, RecordWith) and term.rest in self._rows:
            others = self._rows[term.rest]
            fields = record(dict(others.fields) | dict(term.fields)).fields
            if isinstance(others, RecordOf):
                return RecordOf(fields)
            term = RecordWith(fields, others.rest)
        return term

    def is_unbound_row(self, row: str) -> bool:
        """Whether nothing is known yet of the further fields of an open record."""
        return row not in self._rows

    def bind(self, variable: str, term: NType) -> bool:
        """Lets an unbound variable stand for a type, without its refinements.

        False when the type contains the variable itself.
        """
        meaning = erased(self.filled(term))
        if _mentions(Var(variable), meaning):
            return False
        self._variables[variable] = meaning
        return True

    def bind_row(self, row: str, fields: Fields, rest: str | None) -> bool:
        """Lets an unbound row stand for fields and, unless it is None, a further row.

        False when a field contains the row itself.
        """
        if rest == row:
            return not fields
        known = changed_fields(fields, lambda term: erased(self.filled(term)))
        meaning = RecordOf(known) if rest is None else RecordWith(known, rest)
        if _mentions_row(row, RecordOf(known)):
            return False
        self._rows[row] = meaning
        return True

    def extend_row(self, row: str, fields: Fields, may_have: Fields | None) -> str | None:
        """Adds fields to an unbound row and gives the row that remains, None when it cannot be.

        `may_have` is given when the row met a closed record: it is then *shown* as closed, with
        these optional fields too, as the reference does; it can still be extended.
        """
        further = self._fresh(self.source_of(row))
        if not self.bind_row(row, fields, further):
            return None
        before = self._closing.get(row)
        if before is not None or may_have is not None:
            optional = dict(may_have or ()) | dict(before or ())
            for name, _ in fields:
                optional.pop(name, None)
            self._closing[further] = record(optional).fields
        return further

    def filled(self, term: NType) -> NType:
        """The type with everything filled in that is known; raises `TypeTooLargeError`."""
        return _Filling(self).fill(term)

    def current(self, term: NType) -> NType:
        """As `filled`, with unions normalised once `is_touched`: how a type enters an edge."""
        filled = self.filled(term)
        return normalised(filled) if self.is_touched else filled

    def closed(self, term: NType) -> NType:
        """As `current`, and rows that met a closed record are closed, as the reference has them."""
        filled = _Filling(self, closing=self._closing).fill(term)
        return normalised(filled) if self.is_touched else filled

    def shown(self, *terms: NType, numbered: bool = False) -> tuple[NType, ...]:
        """The types as people see them: `closed`, with the names that stage authors gave.

        With `numbered`, different variables of one name become `T`, `T_2`, …
        """
        naming = _Naming(self, numbered=numbered)
        named = [naming.name(self.closed(term)) for term in terms]
        return tuple([normalised(term) for term in named] if self.is_touched else named)


class _Filling:
    """One walk that fills in a type; counts parts and levels."""

    def __init__(
        self, substitution: Substitution, closing: dict[str, Fields] | None = None
    ) -> None:
        self._substitution = substitution
        self._closing = closing or {}
        self._count = PartCount()

    def fill(self, term: NType) -> NType:
        with self._count:
            term = self._substitution.head(term)
            if isinstance(term, RecordWith) and term.rest in self._closing:
                term = record(dict(self._closing[term.rest]) | dict(term.fields))
            return rebuild(term, self.fill)


class _Naming:
    """Gives variables and rows their authors' names back, numbered where two would be alike."""

    def __init__(self, substitution: Substitution, *, numbered: bool) -> None:
        self._substitution = substitution
        self._numbered = numbered
        self._given: dict[tuple[str, str], str] = {}
        self._uses: Counter[tuple[str, str]] = Counter()

    def name(self, term: NType) -> NType:
        match term:
            case Var(name):
                return Var(self._name("variable", name))
            case RecordWith(fields, rest):
                return RecordWith(changed_fields(fields, self.name), self._name("row", rest))
            case _:
                return rebuild(term, self.name)

    def _name(self, space: str, fresh: str) -> str:
        source = self._substitution.source_of(fresh)
        if not self._numbered:
            return source
        key = (space, fresh)
        if key not in self._given:
            self._uses[space, source] += 1
            count = self._uses[space, source]
            self._given[key] = source if count == 1 else f"{source}_{count}"
        return self._given[key]


def erased(term: NType) -> NType:
    """The type without any refinement, at any depth."""
    return erased(term.base) if isinstance(term, Refined) else rebuild(term, erased)


def _mentions(variable: Var, term: NType) -> bool:
    return term == variable or any(_mentions(variable, part) for part in parts(term))


def _mentions_row(row: str, term: NType) -> bool:
    if isinstance(term, RecordWith) and term.rest == row:
        return True
    return any(_mentions_row(row, part) for part in parts(term))
