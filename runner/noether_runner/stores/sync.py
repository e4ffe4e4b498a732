"""`noether-stage sync DIR`: brings the specs of a folder into a store (`stages.md` §6.7).

Files are taken in the order of their names, so of two versions of one stage the later file ends
Active. A file that fails is reported and does not keep the others out.
"""

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from noether_contract.json_values import JsonValue
from noether_runner.stages.errors import SpecError
from noether_runner.stages.lifecycle import Active, Deprecated, Draft, lifecycle_word
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stores.ledger import Ledger, RefusedError
from noether_runner.stores.registration import Intake, put, read_spec_file, take_in
from noether_runner.stores.store import reason_of

_UNHASHED = (
    "capabilities",
    "cost",
    "description",
    "examples",
    "implementation_language",
    "ui_style",
    "tags",
    "aliases",
    "properties",
)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What a sync does beyond importing new stages."""

    draft: bool = False
    update_metadata: bool = False
    reactivate: bool = False
    prune: bool = False


@dataclass
class SyncReport:
    """What happened, by file; `absent` lists stages of the store that no file stands for."""

    directory: str
    imported: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    absent: list[dict[str, Any]] | None = None

    def write(self) -> dict[str, Any]:
        """The `data` of the command's envelope."""
        report: dict[str, Any] = {
            "counts": {
                "failed": len(self.failed),
                "imported": len(self.imported),
                "skipped": len(self.skipped),
            },
            "directory": self.directory,
            "failed": self.failed,
            "imported": self.imported,
            "skipped": self.skipped,
        }
        if self.absent is not None:
            report["absent"] = self.absent
        return report


def sync(ledger: Ledger, directory: str, intake: Intake, options: SyncOptions) -> SyncReport:
    """Runs a sync against a ledger. Raises `SpecError` when `directory` cannot be listed."""
    report = SyncReport(shown(directory))
    met: set[str] = set()
    for name in _spec_names(directory):
        file = directory + ("" if directory.endswith("/") or not directory else "/") + name
        _take_file(ledger, file, intake, options, report, met)
    if options.prune:
        report.absent = [
            {
                "id": stage.id,
                "lifecycle": lifecycle_word(stage.lifecycle),
                **({} if stage.name is None else {"name": stage.name}),
            }
            for stage in sorted(ledger, key=lambda stage: stage.id)
            if stage.id not in met and isinstance(stage.lifecycle, Active | Draft)
        ]
    return report


def shown(path: str) -> str:
    """A path as text that can be printed; bytes that are no UTF-8 are replaced."""
    return os.fsencode(path).decode("utf-8", "replace")


def _spec_names(directory: str) -> list[str]:
    try:
        names = [entry.name for entry in Path(directory or ".").iterdir()]
    except OSError as error:
        message = f"{Path(directory).absolute()} cannot be listed ({reason_of(error)})"
        hints = ("noether-stage add registers one file",) if Path(directory).is_file() else ()
        raise SpecError("unreadable_directory", message, hints=hints) from None
    wanted = [name for name in names if name.endswith(".json") and name != ".json"]
    return sorted(wanted, key=os.fsencode)


def _take_file(
    ledger: Ledger,
    file: str,
    intake: Intake,
    options: SyncOptions,
    report: SyncReport,
    met: set[str],
) -> None:
    entry: dict[str, Any] = {"file": shown(file)}
    try:
        data = read_spec_file(Path(file))
        stage = take_in(data, intake)
    except SpecError as error:
        report.failed.append({**entry, "error": error.message, "kind": error.kind})
        return
    met.add(stage.id)
    entry["id"] = stage.id
    known = ledger.get(stage.id)
    if known is not None:
        report.skipped.append(entry | _meet_again(ledger, known, stage, options))
        return
    try:
        registered = put(ledger, stage, draft=options.draft)
    except RefusedError as error:
        report.failed.append({**entry, "error": error.message, "kind": error.kind})
        return
    report.imported.append({**entry, "lifecycle": lifecycle_word(registered.lifecycle)})


def _meet_again(
    ledger: Ledger, known: Stage, stage: Stage, options: SyncOptions
) -> dict[str, JsonValue]:
    """What is done with a stage that the store has; members of its entry in the report."""
    found: dict[str, JsonValue] = {}
    if _metadata(known) != _metadata(stage):
        if options.update_metadata:
            known = _with_metadata_of(known, stage)
            ledger.upsert(known)
            found["metadata_updated"] = True
        else:
            found["metadata_differs"] = True
    if options.reactivate and isinstance(known.lifecycle, Deprecated):
        ledger.reactivate(known.id)
        found["reactivated"] = True
    now = ledger.get(known.id) or known
    return {"lifecycle": lifecycle_word(now.lifecycle), **found}


def _metadata(stage: Stage) -> bytes:
    record = write_stage(stage)
    members = {name: record.get(name) for name in _UNHASHED}
    return orjson.dumps(members, option=orjson.OPT_SORT_KEYS)


def _with_metadata_of(known: Stage, stage: Stage) -> Stage:
    return replace(
        known,
        capabilities=stage.capabilities,
        cost=stage.cost,
        description=stage.description,
        examples=stage.examples,
        language=stage.language,
        ui_style=stage.ui_style,
        tags=stage.tags,
        aliases=stage.aliases,
        properties=stage.properties,
        extra={**known.extra, **stage.extra},
    )
