"""Where the vector files are: `tests/vectors/`, or the folder named by `NOETHER_VECTORS`."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(os.environ.get("NOETHER_VECTORS") or Path(__file__).parent / "vectors")


def load_vectors(name: str) -> Any:
    """The parsed vector file, `-0` read as a float; skips the test module when it is missing."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{path} is not there", allow_module_level=True)
    text = path.read_text(encoding="utf-8")
    return json.loads(text, parse_int=lambda digits: -0.0 if digits == "-0" else int(digits))
