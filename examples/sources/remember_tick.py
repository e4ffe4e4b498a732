"""Remembers this tick for the next one: written beside, then renamed, so it is whole or old."""

import json
from pathlib import Path


def execute(request):
    now = request["now"]
    path = Path(request["state_file"]).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    remembered = {"tick": now["tick"], "done": now["counts"]["done"]}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(remembered), encoding="utf-8")
    fresh.rename(path)
    return now
