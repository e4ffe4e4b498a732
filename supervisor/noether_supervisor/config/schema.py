"""The JSON Schema of the configuration file, generated from the models.

`python -m noether_supervisor.config.schema` rewrites the copy that ships in the package; a test
compares the two.
"""

import json
from pathlib import Path
from typing import Any

from noether_supervisor.config.models import SchedulerConfig

SCHEMA_FILE = Path(__file__).parent.parent / "scheduler.schema.json"


def schema() -> dict[str, Any]:
    """The schema: what editors need to complete and check a `scheduler.json`."""
    generated = SchedulerConfig.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of noether-scheduler",
        **_without_titles(generated),
    }


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _without_titles(node: Any) -> Any:
    """The node without the titles that pydantic makes of names: they say nothing new."""
    if isinstance(node, dict):
        return {
            key: _without_titles(item)
            for key, item in node.items()
            if not (key == "title" and isinstance(item, str))
        }
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    return node


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
