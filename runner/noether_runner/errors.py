"""The one base of the runner's own errors: "I cannot do my job", with the facts as attributes.

A run that goes wrong is a value (`RunReport`); `session.py` is the one place that turns these
exceptions into the report's error record.
"""

from noether_contract.messages import ErrorRecord
from noether_contract.outcomes import ErrorClass, ErrorCode


class RunnerError(Exception):
    """Something the runner cannot do; carries what an `ErrorRecord` needs.

    The message says what was expected, what was met, where, and what to do. `path` is the node's
    place in the graph; `line` and `column` count from 1 in the file that was read.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.path = path
        self.line = line
        self.column = column

    def record(self) -> ErrorRecord:
        """The error as the report carries it."""
        return ErrorRecord(
            code=self.code,
            message=self.message,
            path=self.path,
            line=self.line,
            column=self.column,
        )


class StageError(RunnerError):
    """A stage call failed; `message` is the stage's own text without the name of the stage.

    `error_class` says how (`runtimes.md` §7.9), `error_type` and `traceback` are the author's.
    `of_child`: the failure is that of a stage which the stage itself called, handed on unchanged.
    """

    def __init__(
        self,
        error_class: ErrorClass,
        message: str,
        *,
        error_type: str | None = None,
        traceback: str | None = None,
        code: ErrorCode = ErrorCode.STAGE_FAILED,
        of_child: bool = False,
    ) -> None:
        super().__init__(code, message)
        self.of_child = of_child
        self.error_class = error_class
        self.error_type = error_type
        self.traceback = traceback
