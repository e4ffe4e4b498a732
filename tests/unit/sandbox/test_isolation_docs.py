"""docs/isolation.md is true: its configurations load, its table is that of the probes."""

import json
import re
from pathlib import Path

import pytest

from noether_runner.sandbox import landlock
from noether_supervisor.config import SchedulerConfig
from sandbox_backends import OUT_OF_REACH_OF_LANDLOCK
from vector_files import load_vectors

TEXT = (Path(__file__).parents[3] / "docs" / "isolation.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
PROBES = load_vectors("runtime_cases.json")["isolation_probes"]


@pytest.mark.parametrize("block", BLOCKS)
def test_every_block_is_a_configuration(block: str) -> None:
    assert SchedulerConfig.model_validate(json.loads(block)).jobs


def test_every_probe_has_its_row() -> None:
    rows = dict(re.findall(r"^\| .* \| `(iso_\w+)` \| yes \| (yes|–)", TEXT, re.MULTILINE))
    assert set(rows) >= {probe["id"] for probe in PROBES}
    assert {probe for probe, held in rows.items() if held == "–"} == set(OUT_OF_REACH_OF_LANDLOCK)


def test_every_version_of_landlock_has_its_row() -> None:
    rows = re.findall(r"^\| (\d) \| [\d.]+ \| ", TEXT, re.MULTILINE)
    assert [int(row) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert landlock.gaps(6) == ()
