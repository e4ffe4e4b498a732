"""Standard stages that decide how, and how often, other stages are called (`stdlib.md` §7)."""

from collections.abc import Iterable
from typing import Final

from noether_contract.json_values import JsonValue
from noether_runner.builtins.builtin import Builtin, BuiltinError, Context
from noether_runner.builtins.fields import items_of, present, record_of, text_or, whole_number
from noether_runner.builtins.surroundings import (
    ChildCall,
    ChildFailedError,
    Ending,
    TimeIsOverError,
)

_DEFAULT_TIMEOUT_MS = 5000
_NOT_TEXT = "stage IDs must be strings"


def retry(value: JsonValue, context: Context) -> JsonValue:
    """The child's first success; it rests between attempts, not after the last."""
    record = record_of(value)
    child = text_or(record, "stage_id", "missing string field 'stage_id'")
    argument = present(record, "input")
    attempts = max(1, whole_number(record, "max_attempts", 1))
    delay_seconds = whole_number(record, "delay_ms", 0) / 1000
    calls = context.reach.calls
    # rests also when there is no such child: the vectors have it so, against the text of §7
    for left in reversed(range(attempts)):
        try:
            return calls.call(child, argument)
        except ChildFailedError as error:
            last = error.message
        if left and delay_seconds:
            calls.wait(delay_seconds)
    raise BuiltinError(
        f'retry exhausted after {attempts} attempts for stage StageId("{child}"): {last}'
    )


def fallback(value: JsonValue, context: Context) -> JsonValue:
    """The first success of several stages, tried in order; else the last one's failure."""
    stages, argument = _stages_and_input(value)
    calls = context.reach.calls
    failure: ChildFailedError | None = None
    for child in stages:
        if not isinstance(child, str):
            raise BuiltinError(_NOT_TEXT)
        try:
            return calls.call(child, argument)
        except ChildFailedError as error:
            failure = error
    raise failure or BuiltinError("no stages provided")


def timeout(value: JsonValue, context: Context) -> JsonValue:
    """The child's output, if it comes in time; at the deadline the child is stopped."""
    record = record_of(value)
    child = text_or(record, "stage_id", "missing string field 'stage_id'")
    argument = present(record, "input")
    limit_ms = whole_number(record, "timeout_ms", _DEFAULT_TIMEOUT_MS)
    exceeded = BuiltinError(f"stage exceeded timeout of {limit_ms}ms and was stopped")
    if limit_ms == 0:
        raise exceeded
    try:
        with context.reach.calls.within(limit_ms / 1000) as calls:
            return calls.call(child, argument)
    except TimeIsOverError:
        raise exceeded from None


def race(value: JsonValue, context: Context) -> JsonValue:
    """The first success of several stages that run at the same time; the others are stopped.

    As with `fallback`, what is named behind something that is no text is never reached.
    """
    stages, argument = _stages_and_input(value)
    if not stages:
        raise BuiltinError("no stages provided")
    calls = [ChildCall(child, argument) for child in _reached(stages)]
    won: list[JsonValue] = []

    def pointless(position: int, ending: Ending) -> Iterable[int]:
        if ending.error is not None or ending.cut_short:
            return ()
        won.append(ending.output)
        return (other for other in range(len(calls)) if other != position)

    endings = context.reach.calls.together(calls, pointless)
    if won:
        return won[0]
    if len(calls) < len(stages):
        raise BuiltinError(_NOT_TEXT)
    raise next(ending.error for ending in reversed(endings) if ending.error is not None)


def parallel(value: JsonValue, context: Context) -> JsonValue:
    """The outputs of several stages that run at the same time, each with its own input.

    Of several failures the one with the smallest position is told, whatever their timing: a
    failure stops the stages behind it, those before it may still fail. A name that is no text is
    such a failure.
    """
    record = record_of(value)
    stages = items_of(record, "stages", "missing array field 'stages'")
    inputs = items_of(record, "inputs", "missing array field 'inputs'")
    if len(stages) != len(inputs):
        raise BuiltinError(
            f"stages ({len(stages)}) and inputs ({len(inputs)}) must have the same length"
        )
    calls = [
        ChildCall(child, argument)
        for child, argument in zip(_reached(stages), inputs, strict=False)
    ]

    def pointless(position: int, ending: Ending) -> Iterable[int]:
        return range(position + 1, len(calls)) if ending.error is not None else ()

    endings = context.reach.calls.together(calls, pointless)
    for ending in endings:
        if ending.error is not None:
            raise ending.error
    if len(calls) < len(stages):
        raise BuiltinError(_NOT_TEXT)
    return [ending.output for ending in endings]


def _stages_and_input(value: JsonValue) -> tuple[list[JsonValue], JsonValue]:
    record = record_of(value)
    stages = items_of(record, "stages", "missing array field 'stages'")
    return stages, present(record, "input")


def _reached(stages: list[JsonValue]) -> list[str]:
    """The names before the first that is no text."""
    reached: list[str] = []
    for child in stages:
        if not isinstance(child, str):
            break
        reached.append(child)
    return reached


STAGES: Final = (
    Builtin("retry", retry),
    Builtin("fallback", fallback),
    Builtin("timeout", timeout),
    Builtin("race", race),
    Builtin("parallel", parallel),
)
