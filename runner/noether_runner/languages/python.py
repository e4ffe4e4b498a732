"""Stages in Python: forked from the warm zygote, or executed in an environment of their own."""

import json

from noether_runner.errors import StageError
from noether_runner.languages.language import CallSite, Launch, StageProgram, run_apart
from noether_runner.sandbox.calls import ChildResult
from noether_runner.sandbox.limits import StageLimits

_ENTRY = "noether_runner.languages.children.python_stage:run"


class Python:
    """The language of `children/python_stage.py`."""

    name = "python"
    spellings = ("python", "python3", "", "py")
    file_name = "stage.py"

    def launch(self, program: StageProgram, argument: bytes, site: CallSite) -> Launch:
        """A fork of the zygote, or the interpreter of the stage's environment.

        A zygote in each environment was measured as well: the first call of a run then takes
        twice as long (90 against 40 ms), the later ones 5 ms each. Most runs make one such call,
        and importing the packages, which no zygote may do, takes longer than either.
        """
        code = program.code.encode("utf-8")
        header = {
            "file": str(site.directory / self.file_name),
            "code_bytes": len(code),
            "input_is_text": program.input_is_text,
            "seconds": site.seconds,
            "token": site.token,
        }
        payload = b"%s\n%s%s" % (json.dumps(header).encode("ascii"), code, argument)
        if site.python is not None:
            return Launch(payload=payload, argv=run_apart(site.python, "python_stage"))
        return Launch(payload=payload, entry=_ENTRY)

    def explain_end(self, result: ChildResult, limits: StageLimits) -> StageError | None:
        """Nothing special: the bootstrap answers for everything that Python can tell."""
        del result, limits
        return None
