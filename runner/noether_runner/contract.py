"""The runner under the supervisor: one request line in, event lines and the report out.

Standard input stays open as the lifeline: its end means that the supervisor is gone, and the run
is ended. SIGTERM asks for the end of the run, with a full report.
"""

import os
import signal
import time
from types import FrameType

from noether_contract.exit_codes import ExitCode, exit_code_for
from noether_contract.framing import MAX_REQUEST_BYTES
from noether_contract.messages import ErrorRecord, RunReport, RunRequest, Trace
from noether_contract.outcomes import ErrorCode, RunStatus
from noether_runner.channel import Channel
from noether_runner.errors import RunnerError
from noether_runner.lifeline import hold_on
from noether_runner.request_reading import NotOfContractError, read_request_line
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.child import Children
from noether_runner.session import run_session
from noether_runner.work_place import WorkPlace

_CHUNK = 32 * 1024


def serve(lifeline: int, channel: Channel, children: Children) -> int:
    """Reads the request, runs it, reports; returns the exit code."""
    try:
        request = read_request(lifeline)
    except RunnerError as error:
        channel.send(_refusal(error.record()))
        return ExitCode.REFUSED
    switch = CancelSwitch(deadline=time.monotonic() + request.limits.run_seconds)

    def ended(_signal: int, _frame: FrameType | None) -> None:
        switch.cancel("the service asked it to end")

    signal.signal(signal.SIGTERM, ended)
    hold_on(lifeline, switch.cancel)
    try:
        with WorkPlace(request.work_dir, may_be_given=True):
            report = run_session(request, children, switch, channel.send, children.retire)
    except RunnerError as error:
        report = _refusal(error.record(), request)
    channel.send(report)
    return exit_code_for(report.status, report.error.code if report.error else None)


def read_request(descriptor: int) -> RunRequest:
    """The one request line; raises `RunnerError` when there is none that can be used."""
    parts: list[bytes] = []
    size = 0
    while True:
        chunk = os.read(descriptor, _CHUNK)
        size += len(chunk)
        if not chunk:
            raise RunnerError(
                ErrorCode.BAD_REQUEST,
                "expected one line with a request on standard input, met its end; "
                "noether-run --contract is for the supervisor",
            )
        parts.append(chunk)
        if chunk.endswith(b"\n"):
            break
        if size > MAX_REQUEST_BYTES:
            message = f"the request is longer than {MAX_REQUEST_BYTES} bytes"
            raise RunnerError(ErrorCode.BAD_REQUEST, message)
    try:
        return read_request_line(b"".join(parts))
    except NotOfContractError as error:
        message = f"the request does not follow the contract: {error}"
        raise RunnerError(ErrorCode.BAD_REQUEST, message) from None


def _refusal(error: ErrorRecord, request: RunRequest | None = None) -> RunReport:
    now = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    trace = Trace(
        composition_id=None,
        started_at=now,
        duration_ms=0,
        status="Failed",
        ended_at=now,
        error=error,
    )
    run_id = request.run_id if request is not None else ""
    return RunReport(run_id=run_id, status=RunStatus.FAILED, error=error, trace=trace)
