"""The environment of one stage call: what the run grants, and the private directory.

Which variables are granted is decided before, in `noether_contract.stage_environment`.
"""

from collections.abc import Mapping
from pathlib import Path

from noether_contract.stage_environment import DEFAULT_PATH


def stage_environment(granted: Mapping[str, str], directory: Path) -> dict[str, str]:
    """The complete environment of one stage call: what is granted, a PATH, and its own TMPDIR."""
    return {"PATH": DEFAULT_PATH, **granted, "TMPDIR": str(directory)}
