"""From a path to a configuration, or to every finding about the file in one error."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from noether_supervisor.config.document import INVALID, Document, read_document
from noether_supervisor.config.models import SchedulerConfig
from noether_supervisor.config.not_built import not_built_findings
from noether_supervisor.config.rules import rule_findings
from noether_supervisor.config.wording import describe, finding_for
from noether_supervisor.errors import ConfigError, Finding

DocumentCheck: TypeAlias = Callable[[Document], Iterable[Finding]]
"""A further look at the file, from a layer above: cron expressions, time zones."""

MAX_SHOWN = 20
"""Findings that the message of one error lists; the error carries all."""


def read_config(path: Path, *checks: DocumentCheck) -> SchedulerConfig:
    """The configuration at `path`; raises `ConfigError` with all findings of the file."""
    document = read_document(path)
    config, findings = document_findings(document, *checks)
    if config is None or findings:
        raise config_error(document, findings)
    return config


def document_findings(
    document: Document, *checks: DocumentCheck
) -> tuple[SchedulerConfig | None, tuple[Finding, ...]]:
    """The configuration, when the models accept it, and every finding in the order of the file."""
    config: SchedulerConfig | None = None
    findings: list[Finding] = []
    if isinstance(document.value, dict):
        try:
            config = SchedulerConfig.model_validate(document.value)
            # Without the value: of a large file it is many times the text, and the service stays.
            config._document = Document(document.path, document.text, None)
        except ValidationError as error:
            findings += [finding_for(each, document) for each in error.errors(include_url=False)]
    else:
        message = f"expected an object with the key 'jobs', got {describe(document.value)}"
        findings.append(document.finding("", message))
    for check in (rule_findings, not_built_findings, *checks):
        findings += check(document)
    findings.sort(key=lambda finding: (finding.line, finding.column))
    return config, tuple(findings)


def config_error(document: Document, findings: Sequence[Finding]) -> ConfigError:
    """One error that tells all `findings` about `document`."""
    if len(findings) == 1:
        opening = f"{INVALID} {document.path}: "
        return ConfigError(f"{opening}{_told(findings[0], ' ' * 4)}", tuple(findings))
    lines = [f"{INVALID} {document.path}: {len(findings)} findings"]
    lines += [f"  {_told(finding, ' ' * 6)}" for finding in findings[:MAX_SHOWN]]
    if len(findings) > MAX_SHOWN:
        lines.append(f"  and {len(findings) - MAX_SHOWN} more")
    return ConfigError("\n".join(lines), tuple(findings))


def _told(finding: Finding, indent: str) -> str:
    place = f"{finding.path}: " if finding.path else ""
    told = f"{place}{finding.message} (line {finding.line}, column {finding.column})"
    return f"{told}\n{indent}{finding.excerpt}" if finding.excerpt else told
