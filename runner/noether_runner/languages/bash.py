"""Stages in Bash: the standard output of `execute` is the result, whatever else is printed, log."""

import os

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages.interpreters import find_interpreter
from noether_runner.languages.language import CHILDREN, CallSite, Launch, StageProgram
from noether_runner.sandbox.calls import ChildResult
from noether_runner.sandbox.limits import StageLimits

_NEVER_PASSED = frozenset({"BASH_ENV", "ENV", "SHELLOPTS", "BASHOPTS"})
_SHOWN_BYTES = 4096


class Bash:
    """The language of `children/bash_stage.sh`."""

    name = "bash"
    spellings = ("bash", "sh")
    file_name = "stage.sh"

    def launch(self, program: StageProgram, argument: bytes, site: CallSite) -> Launch:
        """Bash without any start-up file; the input reaches it as one line of the payload."""
        del program
        environment = {
            name: value for name, value in site.environment.items() if name not in _NEVER_PASSED
        }
        return Launch(
            payload=b"%s\n%s" % (site.token.encode("ascii"), argument),
            argv=(
                find_interpreter("bash", site.environment),
                "--noprofile",
                "--norc",
                str(CHILDREN / "bash_stage.sh"),
            ),
            environment=environment,
            reads_file=True,
            stdout_bytes=max(site.limits.output_bytes, site.limits.log_bytes),
        )

    def explain_end(self, result: ChildResult, limits: StageLimits) -> StageError | None:
        """A status other than 0 is an error of the script, told by what it wrote to stderr."""
        del limits
        status = result.wait_status
        if status is None or not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0:
            return None
        said = result.stderr.tail_bytes(_SHOWN_BYTES).decode("utf-8", "replace").strip()
        text = f"exited with status {os.WEXITSTATUS(status)}"
        # the stream is opened right before `execute` is called
        kind = ErrorClass.RAISED if result.streamed else ErrorClass.LOAD_ERROR
        return StageError(kind, f"{text}: {said}" if said else text)
