"""Stages in JavaScript: Node is executed with a bootstrap that compiles the code as a function."""

import json
import os

from noether_contract.outcomes import ErrorClass
from noether_runner.errors import StageError
from noether_runner.languages.interpreters import find_interpreter
from noether_runner.languages.language import CHILDREN, CallSite, Launch, StageProgram
from noether_runner.sandbox.calls import ChildResult
from noether_runner.sandbox.limits import StageLimits

_MEBIBYTE = 1024 * 1024
_OUT_OF_MEMORY = (b"heap out of memory", b"Fatal process out of memory", b"allocation failed")


class JavaScript:
    """The language of `children/node_stage.js`."""

    name = "javascript"
    spellings = ("javascript", "js", "node")
    file_name = "stage.js"

    def launch(self, program: StageProgram, argument: bytes, site: CallSite) -> Launch:
        """Node with the bootstrap; its heap ends a little before the process's memory limit."""
        code = program.code.encode("utf-8")
        header = {
            "token": site.token,
            "file": str(site.directory / self.file_name),
            "code_bytes": len(code),
        }
        return Launch(
            payload=b"%s\n%s%s" % (json.dumps(header).encode("ascii"), code, argument),
            argv=(
                find_interpreter("node", site.environment),
                f"--max-old-space-size={_heap_megabytes(site.limits.memory_bytes)}",
                str(CHILDREN / "node_stage.js"),
            ),
        )

    def explain_end(self, result: ChildResult, limits: StageLimits) -> StageError | None:
        """Node aborts when its heap is full; only its last words tell that from other aborts."""
        if result.wait_status is None or not os.WIFSIGNALED(result.wait_status):
            return None
        if not any(words in result.stderr.tail_bytes(8192) for words in _OUT_OF_MEMORY):
            return None
        megabytes = limits.memory_bytes // _MEBIBYTE
        return StageError(
            ErrorClass.MEMORY, f"out of memory: Node's heap is full (the limit is {megabytes} MiB)"
        )


def _heap_megabytes(memory_bytes: int) -> int:
    """V8's limit: below that of the process, so that V8 notices first and says so."""
    return max(16, memory_bytes * 3 // 4 // _MEBIBYTE)
