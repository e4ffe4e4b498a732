"""The table of themes, and what looking a stage up costs."""

import os
import subprocess
import sys

import pytest

from noether_runner.builtins.lookup import THEMES, builtin_for, builtins_of, is_unbuilt, theme_of
from noether_runner.stores.builtin import BuiltinStore, builtin_stages

STAGES = {stage.name: stage.id for stage in builtin_stages()}
HEAVY = ("httpx", "sqlite3", "pydantic_core", "pydantic", "cryptography", "pyarrow", "asyncio")


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_builds_what_the_table_says(theme: str) -> None:
    assert set(builtins_of(theme)) == set(THEMES[theme])


def test_every_standard_stage_is_built_once() -> None:
    listed = [name for names in THEMES.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) == set(STAGES)


def test_a_stage_is_found_by_its_id_and_older_ids() -> None:
    found = builtin_for(STAGES["to_text"])
    assert found is not None
    assert found.name == "to_text"
    (older,) = BuiltinStore().with_legacy_id("85c780f2")
    assert older.id == STAGES["to_text"]
    assert builtin_for("0" * 64) is None


def test_ids_that_are_not_of_the_standard_library_are_not_unbuilt() -> None:
    assert not is_unbuilt("0" * 64)
    assert not any(is_unbuilt(stage_id) for stage_id in STAGES.values())
    assert theme_of("no-such-stage") is None


def test_looking_up_a_plain_stage_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from noether_runner.builtins.lookup import builtins_of\n"
        "builtins_of('text'), builtins_of('lists'), builtins_of('files')\n"
        f"print(*[name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    # what measures coverage in child processes would load sqlite3 itself
    unmeasured = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
    ended = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env=unmeasured,
    )
    assert ended.stdout.split() == []
