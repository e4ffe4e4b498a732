"""`noether-stage`: fills and inspects a JSON store file (`stages.md` §6).

Success is one pretty JSON envelope on standard output, an error is one on standard error with
standard output left empty; `list` prints a table instead. Exit codes: 0 done (also: was there
already), 1 a file, spec, stage or store is not as it must be, 2 usage or a signature.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noether_runner.errors import RunnerError
from noether_runner.stage_arguments import parse
from noether_runner.stage_envelope import FAILED, Answer, print_json, print_text, tell
from noether_runner.stages.errors import SpecError
from noether_runner.stages.lifecycle import (
    Active,
    Deprecated,
    Tombstone,
    lifecycle_word,
)
from noether_runner.stages.signing import (
    KeyFileError,
    SigningKey,
    author_key_path,
    create_key,
    is_readable_by_others,
    read_key,
)
from noether_runner.stages.spec_checks import check_identity, lint_warnings
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.builtin import builtin_stages
from noether_runner.stores.checking import Checks, verify_stages
from noether_runner.stores.ledger import Ledger
from noether_runner.stores.listing import (
    ListFilter,
    NotFoundError,
    find_stage,
    list_entries,
    table,
)
from noether_runner.stores.registration import (
    Intake,
    read_spec_file,
    register,
    sign_as,
    take_in,
)
from noether_runner.stores.sync import SyncOptions, shown, sync
from noether_runner.stores.writing import changing, read_ledger


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; `words` default to those of the process. Gives the exit code."""
    answer = Answer(time.monotonic())
    arguments = parse(words)
    try:
        code = COMMANDS[arguments.command](arguments, answer)
    except RunnerError as error:
        return answer.fail(error)
    except BrokenPipeError:
        # Whoever read the output has gone; Python would complain once more at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _sync(arguments: argparse.Namespace, answer: Answer) -> int:
    options = SyncOptions(
        draft=arguments.draft,
        update_metadata=arguments.update_metadata,
        reactivate=arguments.reactivate,
        prune=arguments.prune,
    )
    intake = Intake(key=_author_key())
    if arguments.dry_run:
        ledger = _readable_ledger(arguments)
        report = sync(ledger, arguments.directory, intake, options)
    else:
        with changing(Path(arguments.store)) as ledger:
            _tell_problems(ledger)
            report = sync(ledger, arguments.directory, intake, options)
    data = report.write()
    if arguments.dry_run:
        data["dry_run"] = True
    answer.succeed(data)
    return FAILED if report.failed else 0


def _add(arguments: argparse.Namespace, answer: Answer) -> int:
    data = read_spec_file(Path(arguments.spec))
    intake = Intake(_author_key(), not arguments.no_check_examples, arguments.rehash)
    try:
        stage = take_in(data, intake)
    except SpecError as error:
        place = shown(arguments.spec)
        raise SpecError(error.kind, f"{place}: {error.message}", hints=error.hints) from None
    for remark in lint_warnings(stage):
        tell(f"warning: {remark}")
    with changing(Path(arguments.store)) as ledger:
        _tell_problems(ledger)
        registered = register(ledger, stage, draft=arguments.draft)
    if registered.existed and not registered.activated:
        if isinstance(registered.lifecycle, Deprecated | Tombstone):
            tell(_stays(registered.stage))
        answer.succeed({"id": stage.id, "note": "already exists"})
        return 0
    told: dict[str, Any] = {
        "id": stage.id,
        "lifecycle": lifecycle_word(registered.lifecycle),
        "name": stage.name,
        "signature_id": stage.signature_id,
    }
    if registered.existed:
        told["note"] = "already exists"
    told.update(_superseded(registered.superseded))
    answer.succeed({name: value for name, value in told.items() if value is not None})
    return 0


def _stays(stage: Stage) -> str:
    """What a person should know who adds a stage that is there, but not to be used."""
    sentence = f"warning: stage {stage.label} ({stage.id[:8]}) was there already and stays"
    if not isinstance(stage.lifecycle, Deprecated):
        return f"{sentence} a {lifecycle_word(stage.lifecycle)}"
    successor = stage.lifecycle.successor_id[:8]
    return (
        f"{sentence} deprecated in favour of {successor}; noether-stage sync --reactivate makes "
        "it active again"
    )


def _activate(arguments: argparse.Namespace, answer: Answer) -> int:
    with _changing_existing(arguments) as ledger:
        stage = find_stage(ledger, arguments.reference)
        superseded = ledger.update_lifecycle(stage.id, Active())
    answer.succeed({"id": stage.id, "lifecycle": "active", **_superseded(superseded)})
    return 0


def _get(arguments: argparse.Namespace, answer: Answer) -> int:
    stage = find_stage(_readable_ledger(arguments), arguments.reference, builtin_stages())
    answer.succeed(write_stage(stage))
    return 0


def _list(arguments: argparse.Namespace, _answer: Answer) -> int:
    state = None if arguments.lifecycle in ("all", "any") else arguments.lifecycle
    wanted = ListFilter(arguments.tag, arguments.signed_by, state)
    ledger = _readable_ledger(arguments)
    stages = list(ledger)
    if arguments.signed_by == "stdlib":
        stages += [each for each in builtin_stages() if ledger.get(each.id) is None]
    entries = list_entries(stages, wanted, full_ids=arguments.full_ids)
    if arguments.json:
        print_json(entries, sys.stdout)
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print_text(table(entries, width) if entries else "no stages", sys.stdout)
    if sys.stdout.isatty():
        tell(f"{len(entries)} stages; the standard library is listed by --signed-by stdlib")
    return 0


def _verify(arguments: argparse.Namespace, answer: Answer) -> int:
    ledger = _readable_ledger(arguments)
    everything = arguments.signatures == arguments.properties
    checks = Checks(
        identity=everything,
        signatures=everything or arguments.signatures or arguments.require_signed,
        properties=everything or arguments.properties,
        require_signed=arguments.require_signed,
    )
    report = verify_stages(_chosen(arguments, ledger), checks)
    return _answer_report(arguments, answer, ledger, report)


def _test(arguments: argparse.Namespace, answer: Answer) -> int:
    # the one command that executes something: the others start without what that needs
    from noether_runner.example_runs import StoppedError, report_of, tested_stages

    ledger = _readable_ledger(arguments)
    tested = []
    try:
        for each in tested_stages(_chosen(arguments, ledger), os.environ):
            tested.append(each)
            for line in each.lines():
                print_text(f"  {line}", sys.stderr)
    except StoppedError as error:
        answer.fail(error)
        return 128 + error.number
    return _answer_report(arguments, answer, ledger, report_of(tested))


def _chosen(arguments: argparse.Namespace, ledger: Ledger) -> list[Stage]:
    """The stage that the words name, or all active ones of the store."""
    if arguments.reference is not None:
        return [find_stage(ledger, arguments.reference, builtin_stages())]
    return [stage for stage in ledger if isinstance(stage.lifecycle, Active)]


def _answer_report(
    arguments: argparse.Namespace, answer: Answer, ledger: Ledger, report: dict[str, Any]
) -> int:
    if arguments.reference is None and ledger.problems:
        report["unreadable"] = ledger.problems
    is_well = not report["failed"] and "unreadable" not in report
    answer.succeed(report, ok=is_well)
    return 0 if is_well else FAILED


def _keygen(_arguments: argparse.Namespace, answer: Answer) -> int:
    path = author_key_path(os.environ)
    key = create_key(path)
    answer.succeed({"path": str(path.absolute()), "public_key": key.public_key})
    return 0


def _sign(arguments: argparse.Namespace, answer: Answer) -> int:
    key = _author_key()
    if key is None:
        path = author_key_path(os.environ)
        raise KeyFileError(path, "there is none; make one with noether-stage keygen")
    with _changing_existing(arguments) as ledger:
        stage = find_stage(ledger, arguments.reference)
        check_identity(stage)
        signed = sign_as(stage, key)
        if signed != stage:
            ledger.upsert(signed)
    told = {"id": stage.id, "signer_public_key": signed.signer_public_key}
    answer.succeed(told if signed != stage else {**told, "note": "already signed"})
    return 0


@contextmanager
def _changing_existing(arguments: argparse.Namespace) -> Iterator[Ledger]:
    """The ledger of a store that must be there; a mistaken path makes no folders."""
    path = Path(arguments.store)
    if not path.exists():
        hint = "noether-stage add and sync make a store; --store names another one"
        raise NotFoundError("not_found", f"there is no store {path.absolute()}", (hint,))
    with changing(path) as ledger:
        _tell_problems(ledger)
        yield ledger


def _superseded(stages: Sequence[Stage]) -> dict[str, Any]:
    if not stages:
        return {}
    ids = [stage.id for stage in stages]
    return {"supersedes": ids[0], "superseded": ids}


def _readable_ledger(arguments: argparse.Namespace) -> Ledger:
    path = Path(arguments.store)
    ledger = read_ledger(path)
    if not path.exists():
        tell(f"warning: there is no store {path.absolute()}, so it has no stages")
    _tell_problems(ledger)
    return ledger


def _tell_problems(ledger: Ledger) -> None:
    for sentence in ledger.problems:
        tell(f"warning: {sentence}")


def _author_key() -> SigningKey | None:
    path = author_key_path(os.environ)
    key = read_key(path)
    if key is not None and is_readable_by_others(path):
        tell(f"warning: other users can read {path.absolute()}; run chmod 600 on it")
    return key


COMMANDS: Mapping[str, Callable[[argparse.Namespace, Answer], int]] = {
    "sync": _sync,
    "add": _add,
    "list": _list,
    "get": _get,
    "activate": _activate,
    "sign": _sign,
    "verify": _verify,
    "test": _test,
    "keygen": _keygen,
}


if __name__ == "__main__":
    sys.exit(main())
