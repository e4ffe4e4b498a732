"""Collects the day's notes: every Markdown file of a folder, in order of name."""

import os
from pathlib import Path


def execute(request):
    folder = os.environ.get("PWD")
    if folder is None:
        raise RuntimeError('PWD is not granted; add "pass_env": ["PWD"] to the job')
    notes = sorted((Path(folder) / request["folder"]).glob("*.md"))
    return [{"name": note.name, "text": note.read_text(encoding="utf-8")} for note in notes]
