"""The command `noether-scheduler`: finds out what is asked for and hands it to `commands`.

Heavy modules are imported by the command that needs them, so that `--help` and `--version`
answer at once. Exit codes: 0, 1 (a run or a check failed), 2 (usage, configuration).
"""

import argparse
import contextlib
import difflib
import errno
import io
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from noether_supervisor.arguments import COMMANDS, DEFAULT_CONFIG, parsed, split_command
from noether_supervisor.errors import SupervisorError, UsageError

if TYPE_CHECKING:
    from noether_supervisor.commands.screen import Screen
    from noether_supervisor.jobs import Loaded

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141


def main(words: Sequence[str] | None = None) -> int:
    """The exit code of one call with these words (default: the command line)."""
    command, rest = split_command(sys.argv[1:] if words is None else words)
    _prepare_streams()
    try:
        try:
            return _run(command, parsed(command, rest))
        finally:
            sys.stdout.flush()
    except SupervisorError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        _give_up_output()
        return _EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return _EXIT_INTERRUPTED
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _give_up_output()
        print(f"cannot write the output: {error.strerror}", file=sys.stderr)
        return 1


def _run(command: str, found: argparse.Namespace) -> int:
    if command == "schema":
        return _print_schema()
    path = Path(found.config or found.path or DEFAULT_CONFIG)
    match command:
        case "service":
            _refuse_misspelt_command(found)
            from noether_supervisor.service import serve

            return serve(path, log_format=found.log_format, log_level=found.log_level)
        case "run":
            return _run_job(path, found)
        case "pause" | "resume" | "redeliver":
            return _do_by_hand(command, path, found)
        case "check":
            from noether_supervisor.commands.checking import print_findings

            screen = _screen(found)
            return print_findings(path, os.environ, screen, _note, prepare=found.prepare)
        case "next":
            from noether_supervisor.commands.coming import print_coming_fires

            after = found.after or _now()
            return print_coming_fires(
                _load(path), after, _screen(found), _note, name=found.job, count=found.n
            )
        case _:
            return _print_past(command, path, found)


def _print_past(command: str, path: Path, found: argparse.Namespace) -> int:
    from noether_supervisor.commands import past

    loaded, screen = _load(path), _screen(found)
    if command == "status" and found.alive:
        return _tell_alive(loaded)
    if command == "status":
        return past.print_status(loaded, _now(), screen)
    if command == "history":
        return past.print_history(
            loaded, screen, name=found.job, failed=found.failed, count=found.n
        )
    return past.print_run(loaded, found.run_id, screen)


def _tell_alive(loaded: "Loaded") -> int:
    from noether_supervisor.control import is_alive

    alive = is_alive(loaded.config.state_path)
    print("the service answers" if alive else "no service answers on this state directory")
    return 0 if alive else 1


def _run_job(path: Path, found: argparse.Namespace) -> int:
    from noether_contract.outcomes import RunStatus
    from noether_supervisor.commands.choosing import chosen_job
    from noether_supervisor.observe.logs import configure, level_from

    loaded = _load(path)
    job = chosen_job(loaded.config, found.job)
    configure(level_from(found.log_level, os.environ), found.log_format)
    from noether_supervisor.service import run_job_now

    status = run_job_now(loaded, job.name)
    print(f"{job.name}: {status.value.replace('_', ' ')}")
    return 0 if status is RunStatus.SUCCEEDED else 1


def _do_by_hand(command: str, path: Path, found: argparse.Namespace) -> int:
    from noether_supervisor.commands import by_hand
    from noether_supervisor.observe.logs import configure, level_from

    loaded = _load(path)
    configure(level_from(found.log_level, os.environ), found.log_format)
    if command == "redeliver":
        delivered, line = by_hand.redelivered(loaded, found.run_id)
        print(line)
        return 0 if delivered else 1
    change = by_hand.paused if command == "pause" else by_hand.resumed
    print(change(loaded, found.job, _now()))
    return 0


def _print_schema() -> int:
    from importlib.resources import files

    resource = files("noether_supervisor") / "scheduler.schema.json"
    sys.stdout.write(resource.read_text(encoding="utf-8"))
    return 0


def _refuse_misspelt_command(found: argparse.Namespace) -> None:
    word = found.path
    if found.config or not word or "/" in word or "." in word or Path(word).exists():
        return
    near = difflib.get_close_matches(word, COMMANDS, n=1)
    if near:
        raise UsageError(
            f"{word!r} is neither a command nor a configuration file; did you mean {near[0]!r}?"
        )


def _load(path: Path) -> "Loaded":
    from noether_supervisor.jobs import load

    return load(path, os.environ)


def _screen(found: argparse.Namespace) -> "Screen":
    from noether_supervisor.commands.screen import screen_for

    return screen_for(sys.stdout, os.environ, as_json=found.json)


def _note(text: str) -> None:
    print(text, file=sys.stderr)


def _now() -> datetime:
    from noether_supervisor.clock import SystemClock

    return SystemClock().now()


def _prepare_streams() -> None:
    """Lets any text be printed: in a locale without its letters, and to a closed descriptor.

    The numbers of closed ones are taken: a file or socket that got one would be written to by
    whatever speaks to standard error, here or in a child.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - for good
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Points standard output nowhere, so that the interpreter's last flush stays quiet."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
