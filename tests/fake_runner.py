"""A runner whose behaviour is named by the graph text of its request.

`python fake_runner.py` is the exec way; `fake_nursery.py` gives `run_contract` to a nursery.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from noether_contract.json_values import compact_json, parse_json

STARTED = {
    "kind": "stage_started",
    "call": 0,
    "stage_id": "a" * 64,
    "stage_name": "slow",
    "path": "root.stages[1]",
    "start_ms": 1.0,
}
ENDED = {
    "kind": "stage_ended",
    "call": 7,
    "entry": {
        "stage_id": "b" * 64,
        "step_index": 0,
        "status": "Ok",
        "duration_ms": 3,
        "input_hash": None,
        "output_hash": None,
        "path": "root.stages[0]",
        "cpu_ms": 2.5,
        "peak_memory_bytes": 1000,
    },
}


def run_contract(*, stdin_fd: int, stdout_fd: int, children: object) -> int:
    request = _request(stdin_fd)
    behaviour, _, argument = request["graph_text"].partition(":")
    return BEHAVIOURS[behaviour](Speaker(request, stdout_fd), argument)


class Speaker:
    def __init__(self, request: dict[str, Any], descriptor: int) -> None:
        self.request = request
        self.descriptor = descriptor

    def say(self, message: dict[str, Any]) -> None:
        self.write(compact_json(message) + b"\n")

    def write(self, raw: bytes) -> None:
        while raw:
            raw = raw[os.write(self.descriptor, raw) :]

    def be_ready(self) -> None:
        """Tells the test, when it has laid a pipe beside the cache, that all is set up."""
        ready = Path(self.request["cache_dir"]).parent / "ready"
        if ready.exists():
            ready.write_bytes(b"!")

    def report(self, status: str = "succeeded", **more: Any) -> None:
        trace = {
            "composition_id": "c" * 64,
            "started_at": "2026-01-01T00:00:00+00:00",
            "duration_ms": 5,
            "status": "Ok" if status == "succeeded" else "Failed",
        }
        self.say(
            {
                "kind": "report",
                "run_id": self.request["run_id"],
                "status": status,
                "composition_id": "c" * 64,
                "duration_ms": 5,
                "trace": trace,
                **more,
            }
        )


def echo(speaker: Speaker, _: str) -> int:
    speaker.report(output=parse_json(speaker.request["input_text"]))
    return 0


def surroundings(speaker: Speaker, _: str) -> int:
    """What must not differ between the two ways of starting."""
    pid = os.getpid()
    status = Path("/proc/self/status").read_text()
    signals = [line for line in status.splitlines() if line.startswith(("SigBlk", "SigIgn"))]
    speaker.report(
        output={
            "environment": dict(sorted(os.environ.items())),
            "directory": str(Path.cwd()),
            "leads_session": os.getsid(0) == pid and os.getpgid(0) == pid,
            "descriptors": sorted(each.name for each in Path("/proc/self/fd").iterdir())[:-1],
            "signals": signals,
            "sigint": str(signal.getsignal(signal.SIGINT)),
            "sigterm": str(signal.getsignal(signal.SIGTERM)),
            "umask": os.umask(0o022),
            "encoding": sys.stdout.encoding,
        }
    )
    return 0


def fail(speaker: Speaker, _: str) -> int:
    speaker.report("failed", error={"code": "stage_failed", "message": "stage x failed: no"})
    return 1


def disagree(speaker: Speaker, _: str) -> int:
    speaker.report(output=1)
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def crash(speaker: Speaker, argument: str) -> int:
    speaker.say({"kind": "graph_read", "composition_id": "d" * 64})
    speaker.say(ENDED)
    speaker.say(STARTED)
    secret = speaker.request["grants"]["environment"].get("TOKEN", "")
    os.write(2, f"last words {secret}\n".encode())
    os.kill(os.getpid(), int(argument or signal.SIGSEGV))
    time.sleep(60)
    return 0


def leave(_: Speaker, argument: str) -> int:
    return int(argument)


def raise_(_: Speaker, argument: str) -> int:
    raise ValueError(argument)


def garbage(speaker: Speaker, _: str) -> int:
    speaker.write(b"not json\n[1]\n{}\n" + b'{"kind":["report"]}\n' + b"\xff\xfe\n")
    speaker.say({"kind": "stage_started", "call": "no number"})
    speaker.say({"kind": "report", "run_id": "another run", "status": "succeeded"})
    speaker.report("running")
    speaker.write(b"the last line has no end")
    return 0


def garbage_then_report(speaker: Speaker, _: str) -> int:
    speaker.write(b"oops\n")
    return echo(speaker, "")


def flood(speaker: Speaker, argument: str) -> int:
    line = b"x" * 65536 if argument == "one line" else b"x" * 100 + b"\n"
    chunk = line * (1 if argument == "one line" else 600)
    descriptor = 2 if argument == "stderr" else speaker.descriptor
    while True:
        os.write(descriptor, chunk)


def close_streams(speaker: Speaker, _: str) -> int:
    for descriptor in (0, 1, 2):
        os.close(descriptor)
    time.sleep(0.05)
    return 3


def hang(speaker: Speaker, argument: str) -> int:
    """Ignores SIGTERM and everything else."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    speaker.say(STARTED)
    if argument:
        spread(Path(argument))
    speaker.be_ready()
    while True:
        time.sleep(60)


def obey(speaker: Speaker, _: str) -> int:
    """Reports `interrupted` on SIGTERM, as a runner does."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    speaker.say(STARTED)
    speaker.be_ready()
    signal.sigwait({signal.SIGTERM})
    speaker.report("interrupted", error={"code": "run_interrupted", "message": "asked to end"})
    return 143


def strays(speaker: Speaker, argument: str) -> int:
    """Leaves daemons behind that hold its output open and ignore what can be ignored."""
    spread(Path(argument))
    return echo(speaker, "")


def grow(speaker: Speaker, argument: str) -> int:
    speaker.say(STARTED)
    hoard = b"x" * int(argument)
    time.sleep(60)
    return len(hoard) - len(hoard)


def spread(folder: Path, count: int = 3) -> None:
    """Double-forked daemons in sessions of their own; each writes its pid into `folder`."""
    for number in range(count):
        ready_out, ready_in = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setsid()
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
                (folder / f"{number}").write_text(str(os.getpid()))
                os.close(ready_in)
                while True:
                    time.sleep(60)
            os._exit(0)
        os.close(ready_in)
        os.read(ready_out, 1)
        os.close(ready_out)


def _request(descriptor: int) -> dict[str, Any]:
    data = b""
    while not data.endswith(b"\n"):
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            os._exit(70)
        data += chunk
    request: dict[str, Any] = json.loads(data)
    return request


BEHAVIOURS: dict[str, Callable[[Speaker, str], int]] = {
    behaviour.__name__: behaviour
    for behaviour in (
        echo,
        surroundings,
        fail,
        disagree,
        crash,
        leave,
        raise_,
        garbage,
        garbage_then_report,
        flood,
        close_streams,
        hang,
        obey,
        strays,
        grow,
    )
}


if __name__ == "__main__":
    if sys.argv[1:] == ["deaf"]:
        time.sleep(60)  # never reads its request
    sys.exit(run_contract(stdin_fd=0, stdout_fd=1, children=None))
