"""A run of nothing, so that a real run finds everything warm.

The first run of a fresh process pays for what later ones have: adapted bytecode, lazily built
tables, and, after a fork, a private copy of every memory page that is touched. The nursery
rehearses before it forks; a spare runner rehearses once while it waits. The graph is ours, the
store lies in memory, and nobody executes its stage: whoever is asked for its process answers.
"""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import orjson

from noether_contract.messages import Event, FileStoreRef, RunRequest, write_message
from noether_contract.outcomes import RunStatus
from noether_contract.removal import remove_tree
from noether_contract.stage_environment import stage_grants
from noether_runner.errors import RunnerError
from noether_runner.request_reading import read_request_line
from noether_runner.sandbox import wire
from noether_runner.sandbox.cancellation import CancelSwitch
from noether_runner.sandbox.child import Children, ZygoteProcess
from noether_runner.session import run_session
from noether_runner.work_place import WorkPlace, new_folder

_GRAPH = (
    '{"description":"","version":"0.1.0","root":{"op":"Sequential","stages":['
    '{"op":"Const","value":[1,2.5,"x"]},{"op":"Stage","id":"identity"},'
    '{"op":"Stage","id":"rehearsed"},{"op":"Stage","id":"rehearsed"}]}}'
)
_NOWHERE = "/nonexistent/noether-rehearsal"
_FOLDER_NAME = "noether-rehearsal-"


class Rehearsal:
    """Runs of nothing, in this process and in those that are forked from it.

    Its one folder on disk, which holds the private directories of stages, is gone after `close`;
    that of a nursery that was killed, when there is another one.
    """

    def __init__(self) -> None:
        # a machine without a place for temporary files gets its runs without a rehearsal
        self._folder = ""
        with contextlib.suppress(RunnerError, OSError):
            self._folder = new_folder(os.environ, _FOLDER_NAME)
            # held until this process ends; a runner closes all descriptors first
            self._held = _lock(self._folder)
            for other in Path(self._folder).parent.glob(f"{_FOLDER_NAME}*"):
                _remove_abandoned(other)

    def rehearse(self) -> None:
        """Goes through a whole run; raises RuntimeError when that fails."""
        if not self._folder:
            return
        # each its own: a service that lives long rehearses hundreds of thousands of times
        with _store_file() as store, WorkPlace(f"{self._folder}/{os.getpid()}") as work_dir:
            request = RunRequest(
                run_id="rehearsal",
                graph_text=_GRAPH,
                graph_path=_NOWHERE,
                store=FileStoreRef(path=store),
                cache_dir=_NOWHERE,
                work_dir=str(work_dir),
                grants=stage_grants({"LANG": "C.UTF-8"}, {}, ()),
            )
            request = read_request_line(write_message(request))
            switch = CancelSwitch(deadline=None)
            try:
                children = Children(cast("ZygoteProcess", _Answering()))
                report = run_session(request, children, switch, _told)
            finally:
                switch.close()
        _told(report)
        if report.status is not RunStatus.SUCCEEDED:
            raise RuntimeError(f"the rehearsal ended as {report.status}: {report.error}")

    def close(self) -> None:
        """Removes the folder; no process may be rehearsing any more."""
        if self._folder:
            remove_tree(Path(self._folder))
            os.close(self._held)


def _lock(folder: str | Path) -> int:
    """A descriptor that holds a folder; raises OSError when somebody else does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_abandoned(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if folder.lstat().st_uid == os.geteuid():
            descriptor = _lock(folder)
            remove_tree(folder)
            os.close(descriptor)


class _Answering:
    """Takes the place of a zygote, and of the stage: every call ends at once and well."""

    pid = 0

    def start_stage(self, descriptors: list[int]) -> None:
        order, _, control, _, _, result = descriptors
        token = wire.Order.unpack(wire.read_whole(order)).token
        wire.write_whole(result, wire.frame(token, "R", b'[1,2.5,"x"]'))
        with socket.socket(fileno=os.dup(control)) as line:
            line.send(b"%s %d" % (wire.STARTED, os.getpid()))
            line.send(b"%s 0 0 1000 1000" % wire.ENDED)

    def expect(self, calls: int) -> None:
        pass

    def nudge(self) -> None:
        pass


@contextlib.contextmanager
def _store_file() -> Iterator[str]:
    """A path to a store that holds the stage of the graph, for as long as the context lasts."""
    descriptor = os.memfd_create("rehearsal")
    try:
        wire.write_whole(descriptor, _store())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


@cache
def _store() -> bytes:
    from noether_runner.stages.spec import read_simple_spec  # once in the life of a nursery
    from noether_runner.stages.stage import write_stage

    stage = read_simple_spec(
        {
            "name": "rehearsed",
            "input": "Any",
            "output": "Any",
            "implementation": "def execute(value):\n    return value\n",
            "effects": ["NonDeterministic"],
        }
    )
    return orjson.dumps({"stages": [{**write_stage(stage), "lifecycle": "Active"}]})


def _told(event: Event) -> None:
    write_message(event)
