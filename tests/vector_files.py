"""Where the vector files are: `tests/vectors/`, or the folder named by `NOETHER_VECTORS`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("NOETHER_VECTORS") or Path(__file__).parent / "vectors")


def load_vectors(name: str) -> Any:
    """The parsed vector file; skips the test module when it is missing.

    Integers are read as `graph.md` §1.1 says: `-0` and those beyond 64 bits are floats.
    """
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is not there", allow_module_level=True)
    return json.loads(path.read_text(encoding="utf-8"), parse_int=_integer)


def _integer(digits: str) -> int | float:
    number = int(digits)
    return number if digits != "-0" and -(2**63) <= number < 2**64 else float(digits)
