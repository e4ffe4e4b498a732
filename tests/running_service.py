"""The program as its user runs it: real commands and a real service in a temporary place.

Nothing here looks inside the product: processes of this interpreter's `bin`, their output, exit
codes and log lines. Waiting is always for something to happen, with `PATIENCE_SECONDS` as bound.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TOP = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
PATIENCE_SECONDS = 90
"""More than a minute, since some wait for the next one."""
NEVER = "0 0 1 1 *"
"""When jobs are due that no schedule shall start: once a year."""

Ended = subprocess.CompletedProcess[str]

_SYNCED: dict[str, bytes] = {}
"""Stores by the specs in them."""


@dataclass(frozen=True)
class Place:
    """A working directory with a home of its own; all commands run in it."""

    folder: Path

    def within(self, *words: str) -> list[str]:
        """A command as it is run here."""
        return list(words)

    def environment(self, **more: str) -> dict[str, str]:
        """What a command sees: little, so that what leaks can be told."""
        for name in ("home", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        measured = {name: os.environ[name] for name in os.environ if name.startswith("COVERAGE_")}
        return {
            **measured,
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "NO_PROXY": "127.0.0.1",
            **more,
        }

    def write(self, name: str, value: Any) -> Path:
        """A JSON file of that name."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")
        return path

    def graph(self, name: str, root: Any) -> str:
        """A graph file; its name, as a configuration gives it."""
        document = {"description": f"test {name}", "version": "0.1.0", "root": root}
        return self.write(f"{name}.json", document).name

    def stages(self, *specs: Mapping[str, Any]) -> None:
        """Fills the default store, as `noether-stage sync` does for a user.

        One store is synced once a session; places with the same stages get a copy of it.
        """
        key = json.dumps(specs)
        store = self.folder / ".noether" / "store.json"
        if key in _SYNCED:
            store.parent.mkdir(exist_ok=True)
            store.write_bytes(_SYNCED[key])
            return
        for spec in specs:
            self.write(f"specs/{spec['name']}.json", spec)
        synced = self.call("noether-stage", "sync", "specs")
        assert synced.returncode == 0, synced.stdout + synced.stderr
        _SYNCED[key] = store.read_bytes()

    def configure(self, *jobs: Mapping[str, Any], **top: Any) -> None:
        """Writes scheduler.json; a job without `cron` never fires by itself."""
        self.write("scheduler.json", {"jobs": [{"cron": NEVER, **job} for job in jobs], **top})

    def call(
        self,
        program: str,
        *words: str,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Ended:
        """Runs a command to its end."""
        return subprocess.run(
            self.within(str(BIN / program), *words),
            cwd=self.folder,
            env=self.environment(**(environment or {})),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def run_job(self, job: str) -> Ended:
        """`noether-scheduler run JOB`."""
        return self.call("noether-scheduler", "run", job)

    def history(self, job: str | None = None) -> list[dict[str, Any]]:
        """Every entry of the ledger, newest first, as `history --json` tells it."""
        words = [] if job is None else ["--job", job]
        found: list[dict[str, Any]] = self.json("history", "-n", "1000000", *words)
        return found

    def show(self, run_id: str) -> dict[str, Any]:
        """Everything of one run, as `show --json` tells it."""
        found: dict[str, Any] = self.json("show", run_id)
        return found

    def json(self, *words: str) -> Any:
        """What a subcommand of noether-scheduler prints for programs."""
        ended = self.call("noether-scheduler", *words, "--json")
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout)

    @contextlib.contextmanager
    def service(
        self,
        *words: str,
        environment: Mapping[str, str] | None = None,
        every_second: bool = False,
    ) -> Iterator["Service"]:
        """A service that has started; whatever the test did not end is ended afterwards.

        `every_second`: jobs on `* * * * *` are due every second (`every_second_service.py`).
        """
        command = [str(BIN / "noether-scheduler"), *words]
        if every_second:
            command = [sys.executable, str(HERE / "every_second_service.py"), *words]
        with self.started(command, environment) as service:
            service.wait_for("started: ")
            yield service

    @contextlib.contextmanager
    def started(
        self, command: list[str], environment: Mapping[str, str] | None = None
    ) -> Iterator["Service"]:
        """A long-running command whose standard error is followed."""
        process = subprocess.Popen(
            self.within(*command),
            cwd=self.folder,
            env=self.environment(**(environment or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        service = Service(process)
        try:
            yield service
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            service.close()


class Service:
    """A running process, followed line by line on standard error.

    It has ended when its process has: a child that it lost may hold the pipe as long as it likes.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr is not None
        self.process = process
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._closing, self._close = os.pipe()
        os.set_blocking(process.stderr.fileno(), False)
        self._reader = threading.Thread(target=self._follow, args=(process.stderr.fileno(),))
        self._reader.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything said so far."""
        with self._changed:
            return "\n".join(self.lines)

    def wait_for(self, *texts: str, count: int = 1) -> str:
        """The `count`th line that holds all these texts; waits until it has been said."""

        def found() -> list[str]:
            return [line for line in self.lines if all(text in line for text in texts)]

        with self._changed:
            self._changed.wait_for(
                lambda: len(found()) >= count or self._ended, timeout=PATIENCE_SECONDS
            )
            lines = found()
        assert len(lines) >= count, f"not said: {texts}\n{self.log}"
        return lines[count - 1]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Its exit code; waits for the end, and for everything that it said."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended, timeout=PATIENCE_SECONDS)
        return self.process.wait(PATIENCE_SECONDS)

    def stop(self) -> int:
        """Asks it to end, and returns its exit code."""
        self.send(signal.SIGTERM)
        return self.ended()

    def close(self) -> None:
        """Follows it no longer."""
        os.close(self._close)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def _follow(self, stream: int) -> None:
        end = os.pidfd_open(self.process.pid)
        poll = select.poll()
        for descriptor in (stream, end, self._closing):
            poll.register(descriptor, select.POLLIN)
        rest = b""
        following = True
        while following:
            found = {descriptor for descriptor, _ in poll.poll()}
            following = self._closing not in found
            try:
                while chunk := os.read(stream, 65536):
                    rest = self._take(rest + chunk)
                poll.unregister(stream)
            except (BlockingIOError, KeyError):
                pass
            if end in found:
                poll.unregister(end)
                with self._changed:
                    self._ended = True
                    self._changed.notify_all()
        os.close(end)
        os.close(self._closing)

    def _take(self, text: bytes) -> bytes:
        """Keeps the whole lines, and returns what comes after them."""
        *lines, rest = text.split(b"\n")
        with self._changed:
            self.lines += [line.decode("utf-8", "replace") for line in lines]
            self._changed.notify_all()
        return rest


@dataclass
class Signpost:
    """A FIFO by which a stage and a test meet: the stage writes or reads, the test does the other.

    Neither end ever waits in `open`: this object holds both ends.
    """

    path: Path
    _descriptor: int = field(init=False, repr=False)
    _text: str = field(init=False, default="", repr=False)

    def __post_init__(self) -> None:
        os.mkfifo(self.path)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def reached(self) -> str:
        """The next line that a stage wrote; waits for it."""
        ready = select.poll()
        ready.register(self._descriptor, select.POLLIN)
        while "\n" not in self._text:
            assert ready.poll(PATIENCE_SECONDS * 1000), f"nobody came to {self.path}"
            self._text += os.read(self._descriptor, 4096).decode()
        line, _, self._text = self._text.partition("\n")
        return line

    def wave_on(self) -> None:
        """Lets one stage that waits here go on."""
        self.say("go")

    def say(self, line: str) -> None:
        """A line for whoever reads here."""
        os.write(self._descriptor, f"{line}\n".encode())

    def forget(self) -> None:
        """Drops what was written here and nobody has read."""
        self._text = ""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._descriptor, 65536):
                pass

    def close(self) -> None:
        os.close(self._descriptor)
