"""The words of a `noether-scheduler` call: which command it is, and what each command takes."""

import argparse
import difflib
import re
from collections.abc import Sequence
from datetime import datetime

from noether_contract import __version__

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
_OPTIONS_WITH_VALUE = frozenset(
    {"--config", "--log-format", "--log-level", "--job", "-n", "--after"}
)


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


def parsed(command: str, words: list[str]) -> argparse.Namespace:
    """What these words say to the command; leaves with exit code 2 and a usage line otherwise."""
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
    add("--version", action="version", version=f"{PROGRAM} {__version__}")
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
