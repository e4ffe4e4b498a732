"""Writes the stage specs of `stages/` from the sources of `sources/`.

A spec holds its source as one JSON string, which nobody wants to edit; so the sources are files,
and this program puts types, effects and examples around them. Run it after a change:
`python examples/build_stages.py`, then `noether-stage sync examples/stages`.
"""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

TASK = {"Record": [["title", "Text"], ["state", "Text"], ["days_in_state", "Number"]]}
BOARD = {"Record": [["tasks", {"List": TASK}]]}
COUNTS = {"Record": [["todo", "Number"], ["doing", "Number"], ["done", "Number"]]}
LAST = {"Record": [["tick", "Number"], ["done", "Number"]]}
TICK = {
    "Record": [
        ["tick", "Number"],
        ["counts", COUNTS],
        ["stalled", {"List": "Text"}],
        ["finished_since", "Number"],
        ["worth_telling", "Bool"],
    ]
}
TICK_TO_REMEMBER = {"Record": [["now", TICK], ["state_file", "Text"]]}
MESSAGE = {"Record": [["tick", "Number"], ["message", {"Union": ["Null", "Text"]}]]}
CHECK = {"Record": [["check", "Text"], ["healthy", "Bool"], ["detail", "Text"]]}
NOTES = {"List": {"Record": [["name", "Text"], ["text", "Text"]]}}
POINTS = {"List": {"Record": [["note", "Text"], ["point", "Text"]]}}
VOLUME = {"Record": [["notes", "Number"], ["words", "Number"]]}

EXAMPLE_BOARD = {"tasks": [{"title": "Ship", "state": "doing", "days_in_state": 9}]}
EXAMPLE_COUNTS = {"todo": 0, "doing": 1, "done": 0}
EXAMPLE_TICK = {
    "tick": 1,
    "counts": EXAMPLE_COUNTS,
    "stalled": ["Ship"],
    "finished_since": 0,
    "worth_telling": True,
}
EXAMPLE_NOTES = [{"name": "a.md", "text": "# Monday\n\n- [ ] call back\n"}]

Spec = tuple[str, Any, Any, list[str], list[dict[str, Any]]]

SPECS: dict[str, Spec] = {
    "read_board.py": (
        "Reads a sprint board from a JSON file.",
        {"Record": [["board_file", "Text"]]},
        BOARD,
        ["Fallible", "NonDeterministic"],
        [],
    ),
    "read_last_tick.py": (
        "Reads what the last sprint tick remembered.",
        {"Record": [["state_file", "Text"]]},
        LAST,
        ["Fallible", "NonDeterministic"],
        [],
    ),
    "count_tasks.py": (
        "Counts the tasks of a board by state.",
        {"Record": [["board", BOARD]]},
        COUNTS,
        ["Pure"],
        [{"input": {"board": EXAMPLE_BOARD}, "output": EXAMPLE_COUNTS}],
    ),
    "find_stalled.py": (
        "Names the tasks in progress for longer than a limit.",
        {"Record": [["board", BOARD], ["stalled_after_days", "Number"]]},
        {"List": "Text"},
        ["Pure"],
        [{"input": {"board": EXAMPLE_BOARD, "stalled_after_days": 5}, "output": ["Ship"]}],
    ),
    "next_tick.py": (
        "Compares this sprint tick with the last one.",
        {"Record": [["last", LAST], ["counts", COUNTS], ["stalled", {"List": "Text"}]]},
        TICK,
        ["Pure"],
        [
            {
                "input": {
                    "last": {"tick": 0, "done": 0},
                    "counts": EXAMPLE_COUNTS,
                    "stalled": ["Ship"],
                },
                "output": EXAMPLE_TICK,
            }
        ],
    ),
    "remember_tick.py": (
        "Remembers a sprint tick for the next one.",
        TICK_TO_REMEMBER,
        TICK,
        ["Fallible"],
        [],
    ),
    "worth_telling.py": (
        "Says whether a sprint tick is worth telling.",
        TICK,
        "Bool",
        ["Pure"],
        [{"input": EXAMPLE_TICK, "output": True}],
    ),
    "tell_tick.py": (
        "Says in one line what a sprint tick found.",
        TICK,
        MESSAGE,
        ["Pure"],
        [
            {
                "input": EXAMPLE_TICK,
                "output": {
                    "tick": 1,
                    "message": "tick 1: 0 done, 1 in progress; stalled: Ship",
                },
            }
        ],
    ),
    "quiet_tick.py": (
        "Counts a sprint tick that has nothing to tell.",
        TICK,
        MESSAGE,
        ["Pure"],
        [{"input": EXAMPLE_TICK, "output": {"tick": 1, "message": None}}],
    ),
    "check_http.py": (
        "Asks one HTTP service whether it is well.",
        {"Record": [["check", "Text"], ["url", "Text"], ["timeout_seconds", "Number"]]},
        CHECK,
        ["Fallible", "Network", "NonDeterministic"],
        [],
    ),
    "check_disk.sh": (
        "Says how full the file system of / is.",
        "Any",
        CHECK,
        ["Fallible", "NonDeterministic", "Process"],
        [],
    ),
    "summarise_checks.py": (
        "Makes one record out of many checks.",
        {"List": CHECK},
        {
            "Record": [
                ["healthy", "Bool"],
                ["broken", {"List": "Text"}],
                ["checks", {"List": CHECK}],
            ]
        },
        ["Pure"],
        [{"input": [], "output": {"healthy": True, "broken": [], "checks": []}}],
    ),
    "collect_notes.py": (
        "Collects the Markdown files of a folder.",
        {"Record": [["folder", "Text"]]},
        NOTES,
        ["Fallible", "NonDeterministic"],
        [],
    ),
    "headlines.py": (
        "The first heading of every note.",
        NOTES,
        {"List": "Text"},
        ["Pure"],
        [{"input": EXAMPLE_NOTES, "output": ["Monday"]}],
    ),
    "open_points.py": (
        "Every unticked box of every note.",
        NOTES,
        POINTS,
        ["Pure"],
        [{"input": EXAMPLE_NOTES, "output": [{"note": "a.md", "point": "call back"}]}],
    ),
    "count_words.py": (
        "Counts notes and words.",
        NOTES,
        VOLUME,
        ["Pure"],
        [{"input": EXAMPLE_NOTES, "output": {"notes": 1, "words": 7}}],
    ),
    "render_digest.py": (
        "Renders a digest as Markdown.",
        {"Record": [["volume", VOLUME], ["headlines", {"List": "Text"}], ["points", POINTS]]},
        "Text",
        ["Pure"],
        [],
    ),
}


def spec_text(file_name: str) -> str:
    """The spec of one source file, as `stages/` holds it."""
    description, takes, gives, effects, examples = SPECS[file_name]
    stem, _, extension = file_name.rpartition(".")
    spec = {
        "name": stem,
        "description": description,
        "input": takes,
        "output": gives,
        "effects": effects,
        "language": {"py": "python", "js": "javascript", "sh": "bash"}[extension],
        "implementation": (HERE / "sources" / file_name).read_text(encoding="utf-8"),
        "examples": examples,
        "tags": ["example"],
    }
    return json.dumps(spec, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    for file_name in SPECS:
        target = HERE / "stages" / f"{file_name.rpartition('.')[0]}.json"
        target.write_text(spec_text(file_name), encoding="utf-8")


if __name__ == "__main__":
    main()
