"""Runs the pip of an environment, with settings that stand in no environment of a process.

Standard library only. What was executed with a variable shows it in `/proc/PID/environ`, to stages
of the same user as well, and an index may carry a password. So the settings come in the payload,
one JSON object with `arguments` (pip's words) and `settings` (environment variables), and the
process hides before it reads them.
"""

import io
import json
import os
import runpy
import sys

from noether_runner.sandbox import wire
from noether_runner.sandbox.prctl import hide_from_peers


def main() -> None:
    """Ends with pip's exit status."""
    hide_from_peers()
    with io.FileIO(wire.EXEC_PAYLOAD) as payload:
        request = json.loads(payload.readall())
    os.close(wire.EXEC_RESULT)
    os.environ.update(request["settings"])
    sys.argv = ["pip", *request["arguments"]]
    runpy.run_module("pip", run_name="__main__", alter_sys=True)
