"""The environments that the stages of a graph need: told of before a run, and built ahead.

A stage that another stage calls by a reference of its input is not among them; its environment is
built on first use.
"""

from collections.abc import Iterable, Iterator

from noether_contract.json_values import JsonValue
from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages.environments.finder import PythonEnvironments
from noether_runner.languages.environments.place import Place
from noether_runner.languages.requirements import (
    Requirements,
    read_requirements,
    rejection_words,
)
from noether_runner.languages.table import find_language
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.stages.stage import Stage


def environment_warnings(
    stages: Iterable[Stage], environments: PythonEnvironments
) -> Iterator[str]:
    """What a first run would meet: entries that are not taken, environments not built yet."""
    for stage in stages:
        found = _requirements(stage, environments)
        for rejected in found.rejected:
            yield f'stage "{stage.label}": {rejection_words(rejected)}'
        if found.accepted and not environments.place_of(found.accepted).is_complete():
            yield (
                f'stage "{stage.label}": its environment ({", ".join(found.accepted)}) is not '
                "built yet; its first run builds it, noether-scheduler check --prepare does so "
                "ahead"
            )


def described(stages: Iterable[Stage], environments: PythonEnvironments) -> list[JsonValue]:
    """Each environment once: `requires` (in one spelling, sorted), `path`, and whether `built`."""
    return [_description(place) for place in _places(stages, environments)]


def prepared(
    stages: Iterable[Stage], environments: PythonEnvironments, cancellation: Cancellation
) -> list[JsonValue]:
    """The same after building what was missing, with `seconds` of a build and `error` of a failed.

    A failure stops no other build. Raises StageError (`cancelled`) when there is no time left.
    """
    told: list[JsonValue] = []
    for place in _places(stages, environments):
        outcome: dict[str, JsonValue] = {}
        try:
            found = environments.find(place.requires, cancellation)
            if found.built_seconds is not None:
                outcome["seconds"] = round(found.built_seconds, 1)
        except StageError as error:
            if error.error_class is not ErrorClass.DEPENDENCY_ERROR:
                raise
            outcome["error"] = error.message
        told.append({**_description(place), **outcome})
    return told


def _places(stages: Iterable[Stage], environments: PythonEnvironments) -> Iterator[Place]:
    lines = (_requirements(stage, environments).accepted for stage in stages)
    yield from dict.fromkeys(environments.place_of(accepted) for accepted in lines if accepted)


def _description(place: Place) -> dict[str, JsonValue]:
    return {
        "requires": list(place.requires),
        "path": str(place.directory),
        "built": place.is_complete(),
    }


def _requirements(stage: Stage, environments: PythonEnvironments) -> Requirements:
    if stage.code is None:
        return Requirements()
    try:
        language, _ = find_language(stage.language)
    except StageError:
        return Requirements()
    if language.name != "python":
        return Requirements()
    return read_requirements(stage.code, allow_unpinned=environments.allow_unpinned)
