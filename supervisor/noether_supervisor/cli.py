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
import re
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from noether_supervisor.errors import SupervisorError, UsageError

if TYPE_CHECKING:
    from noether_supervisor.commands.screen import Screen
    from noether_supervisor.jobs import Loaded

PROGRAM = "noether-scheduler"
DEFAULT_CONFIG = "./scheduler.json"

COMMANDS = {
    "service": "run the jobs when they are due (the default)",
    "check": "find what is wrong with jobs and graphs before the first fire",
    "next": "list the coming fires",
    "run": "run one job now",
    "status": "how every job stands",
    "history": "list past runs",
    "show": "everything of one run",
    "pause": "let a job not be due until it is resumed, over restarts too",
    "resume": "let a paused job be due again, from now on",
    "redeliver": "send the webhook of a run once more",
    "schema": "print the JSON Schema of the configuration file",
}

_SERVICE_USAGE = f"{PROGRAM} [CONFIG] [options]\n       {PROGRAM} COMMAND [options]"
_SERVICE_EPILOG = """\
signals: SIGHUP reads the configuration again; SIGTERM and SIGINT stop the service, which gives
running runs `shutdown_grace` seconds; a second one stops it at once.
environment: TZ (zone of jobs that name none), NOETHER_LOG (log level), NO_COLOR.
exit codes: 0 stopped as asked, 1 it could not start or go on, 2 usage or configuration."""
_EPILOGS = {
    "check": "exit codes: 0 no errors, 1 at least one, 2 usage, or a file that is no JSON.",
    "run": "exit codes: 0 the run succeeded, 1 it did not, 2 usage or configuration.",
    "redeliver": "exit codes: 0 delivered, 1 not (yet), 2 there is nothing to send, or usage.",
    "next": "Fires of disabled jobs are listed with --job only, those of paused jobs are marked.",
    "history": "A line that stands for several missed fires tells how many.",
}

_BY_HAND = ("pause", "resume", "redeliver")
_OPTIONS_WITH_VALUE = frozenset({"--config", "--log-format", "--log-level", "--job", "-n"})
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_EXIT_INTERRUPTED = 130
_EXIT_BROKEN_PIPE = 141


def main(words: Sequence[str] | None = None) -> int:
    """The exit code of one call with these words (default: the command line)."""
    command, rest = split_command(sys.argv[1:] if words is None else words)
    _prepare_streams()
    try:
        try:
            return _run(command, _parsed(command, rest))
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


def split_command(words: Sequence[str]) -> tuple[str, list[str]]:
    """The command among the words, and the words without it.

    The first word that is no option decides: the name of a command is that command, anything
    else is a configuration for the service. A file named like a command is written `./check`,
    or given with `--config`.
    """
    takes_value = False
    for index, word in enumerate(words):
        if takes_value:
            takes_value = False
        elif word == "--":
            break
        elif word in _OPTIONS_WITH_VALUE:
            takes_value = True
        elif not word.startswith("-"):
            if word in COMMANDS:
                return word, [*words[:index], *words[index + 1 :]]
            break
    return "service", list(words)


def _parsed(command: str, words: list[str]) -> argparse.Namespace:
    parser = _parser(command)
    found, unknown = parser.parse_known_args(words)
    if unknown:
        options = re.findall(r"--?[\w-]+", parser.format_help())
        near = difflib.get_close_matches(unknown[0].partition("=")[0], options, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return found


def _parser(command: str) -> argparse.ArgumentParser:
    is_service = command == "service"
    parser = argparse.ArgumentParser(
        prog=PROGRAM if is_service else f"{PROGRAM} {command}",
        usage=_SERVICE_USAGE if is_service else None,
        description=f"{COMMANDS[command][:1].upper()}{COMMANDS[command][1:]}.",
        epilog=f"{_list_of_commands()}\n\n{_SERVICE_EPILOG}"
        if is_service
        else _EPILOGS.get(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--version", action="version", version=f"{PROGRAM} {_version()}")
    if command == "schema":
        return parser
    if command in ("run", "pause", "resume"):
        add("job", metavar="JOB", help="name of the job")
    if command in ("show", "redeliver"):
        add("run_id", metavar="RUN_ID", help="id of the run, as `history` lists it")
    add("path", metavar="CONFIG", nargs="?", help=f"configuration (default {DEFAULT_CONFIG})")
    add("--config", metavar="PATH", help="the same; wins over the positional")
    if command in ("service", "run", *_BY_HAND):
        add("--log-format", choices=("text", "json"), default="text", help="form of log lines")
        add("--log-level", metavar="LEVEL", help="debug, info, warning or error (default info)")
    else:
        add("--json", action="store_true", help="print JSON for programs")
    if command == "check":
        add(
            "--prepare",
            action="store_true",
            help="build the environments that stages require (# requires: lines)",
        )
    if command in ("next", "history"):
        add("--job", metavar="NAME", help="this job only")
        add(
            "-n",
            metavar="COUNT",
            type=_count,
            default=10 if command == "next" else 20,
            help="most lines to print (default %(default)s)",
        )
    if command == "next":
        add(
            "--after",
            metavar="INSTANT",
            type=_instant,
            help="list from this instant on (2026-04-14T08:30:00Z), not from now",
        )
    if command == "status":
        add(
            "--alive",
            action="store_true",
            help="only ask whether the service answers: exit code 0 if it does, else 1",
        )
    if command == "history":
        add("--failed", action="store_true", help="only runs that went wrong")
    return parser


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


def _version() -> str:
    from noether_contract import __version__

    return __version__


def _list_of_commands() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name.ljust(width)}  {what}" for name, what in COMMANDS.items()]
    return "\n".join(["commands:", *lines, "", f"{PROGRAM} COMMAND --help says more."])


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:10]) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 1000000")
    return int(text)


def _instant(text: str) -> datetime:
    expected = "expected an instant with its offset, such as 2026-04-14T08:30:00Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: {expected}") from None
    if instant.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r}: {expected}")
    return instant


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
