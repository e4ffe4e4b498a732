"""From how a stage process ended to what that means: an output, or one class of failure.

Classes: `runtimes.md` §7.9; texts: §1.6. The order of the questions decides between facts that
come together, for instance an answer and a limit.
"""

import os
import signal

from noether_contract.json_values import JsonTextError, JsonValue, parse_json
from noether_contract.outcomes import ErrorClass, ErrorCode
from noether_runner.errors import StageError
from noether_runner.languages.language import Language
from noether_runner.sandbox.calls import ChildResult, EndedFor
from noether_runner.sandbox.limits import StageLimits
from noether_runner.sandbox.wire import SANDBOX_FAILED, START_FAILED

_MEBIBYTE = 1024 * 1024
_SHOWN_CHARACTERS = 200


def judge(
    result: ChildResult, language: Language, limits: StageLimits, why_cancelled: str | None
) -> JsonValue:
    """The output of a stage call; raises StageError when the call failed."""
    if result.not_started is not None:
        raise StageError(
            ErrorClass.RUNTIME_UNAVAILABLE, f"no process could be started: {result.not_started}"
        )
    if error := _ended_by_us(result, limits, why_cancelled):
        raise error
    if result.no_sandbox:
        raise StageError(
            ErrorClass.ISOLATION_UNAVAILABLE, f"its sandbox did not come up: {_last_line(result)}"
        )
    if result.error is not None:
        raise _as_told(result.error, limits)
    if result.ended_for is not EndedFor.LINGERED:
        if error := language.explain_end(result, limits):
            raise error
        if error := _ended_badly(result, limits):
            raise error
    if result.streamed:
        return _streamed_value(result)
    assert result.result is not None
    return _value(result.result)


def _last_line(result: ChildResult) -> str:
    """What the sandbox said last, or how it ended."""
    lines = result.stderr.tail_bytes(1024).decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else f"it ended with wait status {result.wait_status}, without a word"


def number_text(seconds: float) -> str:
    """Seconds as whole number where possible, else as the shortest decimal."""
    return str(int(seconds)) if seconds == int(seconds) else repr(float(seconds))


def ended_with_run(why_cancelled: str | None) -> StageError:
    """The failure of what had to end with its run; None: the run reached its time limit."""
    if why_cancelled is None:
        return StageError(
            ErrorClass.CANCELLED,
            "stopped: the run reached its time limit",
            code=ErrorCode.RUN_TIMED_OUT,
        )
    return StageError(
        ErrorClass.CANCELLED,
        f"stopped with the run: {why_cancelled}",
        code=ErrorCode.RUN_INTERRUPTED,
    )


def _ended_by_us(
    result: ChildResult, limits: StageLimits, why_cancelled: str | None
) -> StageError | None:
    match result.ended_for:
        case EndedFor.STAGE_DEADLINE:
            return StageError(
                ErrorClass.TIMEOUT,
                f"timed out after {number_text(limits.wall_seconds)}s",
                code=ErrorCode.STAGE_TIMED_OUT,
            )
        case EndedFor.RUN_DEADLINE:
            return ended_with_run(None)
        case EndedFor.CANCELLED:
            return ended_with_run(why_cancelled or "cancelled")
        case EndedFor.OUTPUT_TOO_LARGE:
            return StageError(
                ErrorClass.OUTPUT_TOO_LARGE,
                f"the result is larger than the limit of {limits.output_bytes} bytes",
            )
        case EndedFor.LINGERED | None:
            return None


def _as_told(payload: bytes, limits: StageLimits) -> StageError:
    """The error frame of a bootstrap as an exception."""
    try:
        members = parse_json(payload)
    except JsonTextError:
        members = None
    if not isinstance(members, dict):
        return StageError(ErrorClass.PROTOCOL, "the stage damaged its private result channel")
    kind, message = str(members.get("class")), str(members.get("message"))
    if kind == SANDBOX_FAILED:
        return StageError(
            ErrorClass.ISOLATION_UNAVAILABLE, f"it could not be shut in as asked: {message}"
        )
    if kind == START_FAILED:
        return StageError(ErrorClass.RUNTIME_UNAVAILABLE, f"could not be started: {message}")
    error_type, traceback = members.get("type"), members.get("traceback")
    if kind == ErrorClass.MEMORY:
        message = f"{message} (the limit is {limits.memory_bytes // _MEBIBYTE} MiB per process)"
    try:
        error_class = ErrorClass(kind)
    except ValueError:
        return StageError(ErrorClass.PROTOCOL, "the stage damaged its private result channel")
    return StageError(
        error_class,
        message,
        error_type=error_type if isinstance(error_type, str) else None,
        traceback=traceback if isinstance(traceback, str) else None,
    )


def _ended_badly(result: ChildResult, limits: StageLimits) -> StageError | None:
    """A signal, a status other than 0, or no answer."""
    status = result.wait_status
    if status is None:
        return StageError(
            ErrorClass.CRASHED,
            "the process that watched over the stage was killed, and the stage was ended with it",
        )
    if os.WIFSIGNALED(status):
        return _killed(os.WTERMSIG(status), result, limits)
    code = os.WEXITSTATUS(status)
    if result.answer_incomplete:
        return StageError(
            ErrorClass.PROTOCOL,
            f"exited with status {code} in the middle of its answer: the result channel broke off",
        )
    if result.result is None:
        return StageError(ErrorClass.EXITED, f"exited with status {code} before returning a result")
    if code != 0:
        return StageError(
            ErrorClass.EXITED, f"exited with status {code} after returning its result"
        )
    return None


def _killed(number: int, result: ChildResult, limits: StageLimits) -> StageError:
    seconds = limits.cpu_seconds
    if seconds is not None:
        spent = result.cpu_ms is not None and result.cpu_ms >= seconds * 1000
        if number == signal.SIGXCPU or (number == signal.SIGKILL and spent):
            return StageError(
                ErrorClass.CPU_LIMIT, f"used more than {number_text(seconds)}s of CPU time"
            )
    return StageError(ErrorClass.CRASHED, f"killed by signal {number} ({_signal_name(number)})")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def _streamed_value(result: ChildResult) -> JsonValue:
    """What the process wrote as its result or, when that is blank, its standard output."""
    text = (result.result or b"").strip()
    if text:
        return _value(text)
    if not result.stdout.truncated and (logged := (result.stdout.head + result.stdout.tail)):
        try:
            return parse_json(logged.strip())
        except JsonTextError:
            pass
    raise StageError(
        ErrorClass.INVALID_OUTPUT,
        "the result is not JSON: execute printed nothing; it must print one JSON document",
    )


def takes_log_as_result(result: ChildResult) -> bool:
    """Whether `judge` reads the result from the standard output (streaming languages only)."""
    return result.streamed and not (result.result or b"").strip()


def _value(text: bytes) -> JsonValue:
    try:
        return parse_json(text)
    except JsonTextError as error:
        shown = text[: 4 * _SHOWN_CHARACTERS].decode("utf-8", "replace")
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[:_SHOWN_CHARACTERS] + "…"
        raise StageError(
            ErrorClass.INVALID_OUTPUT, f"the result is not JSON: {error} (got: {shown!r})"
        ) from None
