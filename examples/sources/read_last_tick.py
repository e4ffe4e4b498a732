"""Reads what the tick before this one remembered; the first tick finds nothing."""

import json
from pathlib import Path


def execute(request):
    path = Path(request["state_file"]).expanduser()
    if not path.exists():
        return {"tick": 0, "done": 0}
    return json.loads(path.read_text(encoding="utf-8"))
