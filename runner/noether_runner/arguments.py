"""The command line of `noether-run` (`scheduler.md` §1.1): words in, one frozen record out.

Nothing heavy is imported here: usage, help and version answer at once, and a mistake in the
words is told before anything is started. Usage errors leave through argparse with exit code 2.
"""

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from noether_contract import __version__
from noether_contract.lean_dataclass import dataclass

if TYPE_CHECKING:
    # not at run time: nothing heavy is loaded before the words are understood
    from noether_contract.messages import IsolationMode, VerifyMode

DEFAULT_STORE = ".noether/store.json"


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the user asked for; paths as written, sizes in bytes, times in seconds."""

    graph: str
    input: str | None
    store: str
    registry: str | None
    registry_key_file: str | None
    run_seconds: float
    stage_seconds: float
    memory_bytes: int
    isolation: "IsolationMode"
    verify: "VerifyMode"
    allow_effects: tuple[str, ...] | None
    allow_capabilities: tuple[str, ...] | None
    environment: tuple[tuple[str, str], ...]
    pass_names: tuple[str, ...]
    inherit_environment: bool
    budget_cents: int | None
    trace_file: str | None
    junit_file: str | None
    dry_run: bool
    envelope: bool


def parse(words: list[str] | None) -> Arguments:
    """The arguments of one call; exits with code 2 and one sentence when they are unusable."""
    parser = _parser()
    found, unknown = parser.parse_known_args(words)
    if unknown:
        parser.error(_unrecognized(parser, unknown))
    if found.registry_api_key_file is not None and found.registry is None:
        parser.error("--registry-api-key-file is for --registry, which is missing")
    if found.registry is not None and found.store is not None:
        parser.error("--store and --registry exclude each other: a run has one source of stages")
    return Arguments(
        graph=found.graph,
        input=found.input,
        store=found.store if found.store is not None else DEFAULT_STORE,
        registry=found.registry,
        registry_key_file=found.registry_api_key_file,
        run_seconds=found.timeout,
        stage_seconds=found.stage_timeout,
        memory_bytes=found.memory_mb * 1024 * 1024,
        isolation=found.isolation,
        verify=found.verify,
        allow_effects=found.allow_effects,
        allow_capabilities=found.allow_capabilities,
        environment=tuple(found.env),
        pass_names=tuple(found.pass_env),
        inherit_environment=found.inherit_env,
        budget_cents=found.budget_cents,
        trace_file=found.trace,
        junit_file=found.junit,
        dry_run=found.dry_run,
        envelope=found.envelope,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="noether-run",
        usage="noether-run GRAPH [--input JSON] [options]",
        description="Runs one composition graph: its output on standard output; trouble, and on "
        "a terminal progress, on standard error.",
        # as noether-scheduler: what works today must not become ambiguous with a new option
        allow_abbrev=False,
        epilog="Exit codes: 0 succeeded, 1 the run failed, 2 refused before running (usage, graph, "
        "store), 124 timed out, 130/143 interrupted.",
    )
    add = parser.add_argument
    add("graph", metavar="GRAPH", help="the graph, a JSON file")
    add("--input", metavar="JSON", help="input value: JSON, @FILE, or - for standard input")
    add("--store", metavar="PATH", help=f"stage store (default {DEFAULT_STORE})")
    add("--registry", metavar="URL", help="fetch stages from a registry instead")
    add("--registry-api-key-file", metavar="F", help="file that holds the registry's API key")
    add("--timeout", metavar="S", type=_seconds, default=300.0, help="whole run (default 300)")
    add("--stage-timeout", metavar="S", type=_seconds, default=30.0, help="each stage call (30)")
    add("--memory-mb", metavar="N", type=_positive, default=1024, help="per process (default 1024)")
    add(
        "--isolation",
        choices=("none", "auto", "bwrap", "landlock"),
        default="none",
        help="sandbox around stages (default none: process hygiene and limits only)",
    )
    add(
        "--env",
        metavar="K=V",
        type=_assignment,
        action="append",
        default=[],
        help="a variable that stages see",
    )
    add(
        "--pass-env",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable of yours that stages see",
    )
    add("--inherit-env", action="store_true", help="stages see your whole environment")
    add("--verify", choices=("content", "signed"), default="content", help="what stages must prove")
    add("--allow-effects", metavar="LIST", type=_names, help="effects that the graph may have")
    add(
        "--allow-capabilities",
        metavar="LIST",
        type=_names,
        help="capabilities that the graph may use",
    )
    add("--budget-cents", metavar="N", type=_count, help="what stage calls may cost together")
    add("--trace", metavar="FILE", help="write the full trace here, also of a failed run")
    add("--dry-run", action="store_true", help="check everything, run nothing")
    add("--envelope", action="store_true", help="print result, trace and times as one document")
    add("--junit", metavar="FILE", help="write a test report, one case per stage call")
    add("--version", action="version", version=f"noether-run {__version__}")
    return parser


def _unrecognized(parser: argparse.ArgumentParser, unknown: list[str]) -> str:
    """The sentence for words that mean nothing, with the option that the first one is close to."""
    from difflib import get_close_matches  # here: a usage error is all that needs it

    known = re.findall(r"--[\w-]+", parser.format_help())
    near = get_close_matches(unknown[0].partition("=")[0], known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"unrecognized arguments: {' '.join(unknown)}{hint}"


def read_input(text: str | None, read_stdin: Callable[[], str]) -> str:
    """The JSON text of `--input`: as written, of a file (`@FILE`), or of standard input (`-`).

    Raises OSError for an unreadable file and UnicodeDecodeError for one that is not UTF-8.
    """
    if text is None:
        return "null"
    if text == "-":
        return read_stdin()
    if text.startswith("@"):
        return Path(text[1:]).read_text(encoding="utf-8")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= 10_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return value


def _positive(text: str) -> int:
    value = _count(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is too small; expected 1 or more")
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of 0 or more")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in (part.strip() for part in text.split(",")) if name)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value
