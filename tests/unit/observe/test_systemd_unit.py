"""The unit that is shipped: what it must not set, and that the page explains what it does."""

import configparser
import re

import pytest

from named_tests import TOP

UNIT = configparser.ConfigParser(strict=False, interpolation=None)
UNIT.optionxform = str  # type: ignore[assignment, method-assign]
UNIT.read_string((TOP / "systemd" / "noether-scheduler.service").read_text(encoding="utf-8"))
PAGE = (TOP / "docs" / "operations.md").read_text(encoding="utf-8")

AGAINST_SANDBOXES = (
    "ProtectKernelTunables",
    "ProtectKernelLogs",
    "ProcSubset",
    "ProtectHostname",
    "RestrictNamespaces",
    "MemoryDenyWriteExecute",
)


@pytest.mark.parametrize("setting", AGAINST_SANDBOXES)
def test_nothing_in_it_keeps_stages_from_their_sandbox_or_runtime(setting: str) -> None:
    assert setting not in UNIT["Service"]
    assert f"`{setting}=" in PAGE


def test_every_setting_that_may_surprise_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)=", PAGE))
    plain = {"Description", "WantedBy", "ExecStart", "User", "Group", "WorkingDirectory"}
    settings = {setting for section in UNIT.sections() for setting in UNIT[section]}
    assert settings - explained - plain == set()
