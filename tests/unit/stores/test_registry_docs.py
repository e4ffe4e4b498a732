"""The figures of docs/registry.md are those of the program."""

import re
from dataclasses import fields
from pathlib import Path

from noether_runner.stores.registry.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "registry.md"


def test_the_figures_are_true() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    settings = Settings()
    names = {each.name for each in fields(Settings)}
    assert len(rows) >= 12
    for name, value in rows:
        assert name in names
        assert getattr(settings, name) == int(value)
