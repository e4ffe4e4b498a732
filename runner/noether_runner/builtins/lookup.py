"""From a stage id to the function behind it; the one table that names the themes."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

import orjson

from noether_runner.builtins.builtin import Builtin

CATALOG: Final = Path(__file__).parent / "catalog.json"
"""The records of all standard stages."""

THEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "scalar": ("to_text", "to_number", "to_bool", "parse_json", "to_json"),
    "generic": ("identity", "head", "tail", "mark_done", "clamp_percent"),
    "text": (
        *("text_split", "text_join", "text_template", "text_hash", "text_upper", "text_lower"),
        *("text_trim", "text_length", "text_contains", "text_reverse", "text_replace"),
    ),
    "regex": ("regex_match", "regex_replace"),
    "json_schema": ("json_schema_validate",),
    "arrow": ("arrow_from_records", "records_to_arrow"),
    "lists": ("sort", "group_by", "flatten", "zip", "take", "list_dedup", "list_length"),
    "numbers": ("num_sum", "num_avg", "num_min", "num_max"),
    "choice": ("branch", "router"),
    "paths": ("json_merge", "json_path"),
    "tables": ("csv_parse", "csv_write"),
    "responses": ("http_body", "http_status"),
    "validation": ("check_stage_description", "check_stage_examples", "merge_validation_checks"),
    "type_terms": ("type_check",),
    "files": ("read_file", "write_file"),
    "streams": ("stdin_read", "stdout_write", "env_get"),
    "higher_order": ("map", "filter", "reduce"),
    "control": ("retry", "fallback", "timeout", "race", "parallel"),
    "processes": ("spawn_process", "wait_process", "signal_process", "kill_process"),
    "key_values": ("kv_set", "kv_get", "kv_delete", "kv_exists", "kv_list"),
    "web": ("http_get", "http_post", "http_put"),
    "llm": ("llm_complete", "llm_embed", "llm_classify", "llm_extract"),
    "store_stages": (
        *("store_search", "stage_describe", "composition_verify"),
        *("store_add", "trace_read"),
    ),
    "stage_records": ("verify_stage_content_hash", "verify_stage_ed25519"),
}
"""Modules of this package and the stages that each of them builds (its `STAGES`); a module is
imported when the first of its stages is called."""


def builtin_for(stage_id: str) -> Builtin | None:
    """The standard stage of this id, current or of an older scheme; None when it is not built."""
    name = name_for(stage_id)
    theme = None if name is None else theme_of(name)
    return None if name is None or theme is None else builtins_of(theme)[name]


def is_unbuilt(stage_id: str) -> bool:
    """Whether the id is that of a standard stage that this version cannot execute."""
    name = name_for(stage_id)
    return name is not None and theme_of(name) is None


def name_for(stage_id: str) -> str | None:
    """The name of the standard stage of this id, current or of an older scheme."""
    return _names().get(stage_id)


@cache
def theme_of(name: str) -> str | None:
    """The module that builds a standard stage; None when none does."""
    return next((theme for theme, names in THEMES.items() if name in names), None)


@cache
def builtins_of(theme: str) -> dict[str, Builtin]:
    """The stages of one theme by name."""
    module = import_module(f"noether_runner.builtins.{theme}")
    return {stage.name: stage for stage in module.STAGES}


@cache
def _names() -> dict[str, str]:
    names: dict[str, str] = {}
    for record in orjson.loads(CATALOG.read_bytes())["stages"]:
        names[record["id"]] = record["name"]
        names.update((legacy["id"], record["name"]) for legacy in record["legacy_ids"])
    return names
