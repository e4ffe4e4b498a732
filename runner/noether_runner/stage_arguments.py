"""The command line of `noether-stage` (`stages.md` §6.6–6.10): words in, one namespace out.

A usage error prints the usage and an envelope, both on standard error, and ends with 2.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from noether_contract import __version__
from noether_runner.stage_envelope import REFUSED, Answer

DEFAULT_STORE = ".noether/store.json"


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """The arguments of one call: `command` is the word that names it, `store` and `json` are
    always there, the rest depends on the command."""
    # Not as defaults of the options: those of a subcommand would win over what stands before it.
    defaults = argparse.Namespace(store=DEFAULT_STORE, json=False)
    return _parser().parse_args(words, defaults)


class _Parser(argparse.ArgumentParser):
    """Usage errors leave as an envelope too, after the usage line."""

    def error(self, message: str) -> NoReturn:
        """Prints both and ends the process with 2."""
        self.print_usage(sys.stderr)
        Answer(time.monotonic()).misuse(message)
        raise SystemExit(REFUSED)


def _parser() -> argparse.ArgumentParser:
    common = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--store", metavar="PATH", help=f"the store file (default {DEFAULT_STORE})")
    common.add_argument("--json", action="store_true", help="print JSON where a table is usual")
    parser = _Parser(
        prog="noether-stage",
        description="Fills and inspects a JSON store file of stages.",
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"noether-stage {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", required=True)

    command = commands.add_parser("sync", parents=[common], help="import the specs of a folder")
    command.add_argument("directory", metavar="DIR")
    for flag, text in (
        ("--draft", "leave new stages as drafts; nothing is superseded"),
        ("--update-metadata", "take over description, examples, tags and the like of known stages"),
        ("--reactivate", "make known stages that were superseded active again"),
        ("--prune", "list active stages that no file of the folder stands for"),
        ("--dry-run", "report what would happen, write nothing"),
    ):
        command.add_argument(flag, action="store_true", help=text)

    command = commands.add_parser("add", parents=[common], help="register the stage of one spec")
    command.add_argument("spec", metavar="SPEC", help="a spec or a full stage record, JSON")
    for flag, text in (
        ("--draft", "leave the stage as a draft; nothing is superseded"),
        ("--no-check-examples", "do not check the examples against the declared types"),
        ("--rehash", "import a record of an older id scheme under its current id, unsigned"),
    ):
        command.add_argument(flag, action="store_true", help=text)

    command = commands.add_parser("list", parents=[common], help="list stages")
    command.add_argument("--tag", metavar="T", help="only stages with this tag")
    command.add_argument(
        "--signed-by", metavar="WHO", help="stdlib, custom, or the beginning of a public key"
    )
    states = ("draft", "active", "deprecated", "tombstone", "all", "any")
    command.add_argument("--lifecycle", choices=states, default="active", help="default: active")
    command.add_argument("--full-ids", action="store_true", help="64 digits instead of 8")

    meant, all_active = "an id, the beginning of one, or a name", "default: all active ones"
    for name, text in (
        ("get", "print the record of a stage"),
        ("activate", "make a draft active"),
        ("sign", "sign a stage with the author's key"),
    ):
        command = commands.add_parser(name, parents=[common], help=text)
        command.add_argument("reference", metavar="STAGE", help=meant)

    command = commands.add_parser("verify", parents=[common], help="check ids and signatures")
    command.add_argument("reference", metavar="STAGE", nargs="?", help=f"{meant}; {all_active}")
    for flag, text in (
        ("--signatures", "check signatures only"),
        ("--properties", "check properties on examples only"),
        ("--require-signed", "a stage without a signature fails"),
    ):
        command.add_argument(flag, action="store_true", help=text)

    command = commands.add_parser("test", parents=[common], help="run the examples of stages")
    command.add_argument("reference", metavar="STAGE", nargs="?", help=f"{meant}; {all_active}")

    commands.add_parser("keygen", parents=[common], help="make the author's key")
    return parser
