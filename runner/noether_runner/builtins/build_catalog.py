"""Writes `catalog.json`: the records of the 85 standard stages, one a line.

    python -m noether_runner.builtins.build_catalog tests/vectors/stdlib.json

Types, effects, ids, signatures and examples come from the specification's table; the descriptions
are those below. Run it again after changing either. A unit test recomputes every id in the result.
"""

import sys
from pathlib import Path
from typing import Any

import orjson

CATALOG = Path(__file__).with_name("catalog.json")

DESCRIPTIONS = {
    "to_text": "Writes any value as text; text stays as it is, the rest becomes compact JSON",
    "to_number": "Reads a number from text or a boolean; numbers pass unchanged",
    "to_bool": "Tells whether a value counts as true: non-zero, non-empty text, any list or object",
    "parse_json": "Reads a JSON document from text",
    "to_json": "Writes any value as compact JSON with sorted keys",
    "map": "Calls a stage for every item of a list and collects the outputs in order",
    "filter": "Keeps the items for which a stage answers true",
    "reduce": "Folds a list from the left with a stage that takes accumulator and item",
    "sort": "Sorts a list, stably, by the items themselves or by one of their fields",
    "group_by": "Puts the objects of a list into groups named by the text in one field",
    "flatten": "Opens up a list of lists by one level",
    "zip": "Pairs the items of two lists, up to the end of the shorter one",
    "take": "Gives the first items of a list",
    "num_sum": "Adds up a list of numbers",
    "num_avg": "Gives the mean of a list of numbers",
    "num_min": "Gives the smallest number of a list",
    "num_max": "Gives the largest number of a list",
    "list_dedup": "Drops repeated items and keeps the first of each",
    "list_length": "Counts the items of a list",
    "branch": "Chooses between two given values by a condition",
    "retry": "Calls a stage again until it succeeds or its attempts are used up",
    "fallback": "Tries stages in order with one input and gives the first success",
    "timeout": "Calls a stage and stops it when its time is up",
    "race": "Starts several stages with one input and gives the first success",
    "parallel": "Calls several stages side by side, each with an input of its own",
    "read_file": "Reads a UTF-8 text file and tells its size in bytes",
    "write_file": "Writes text to a file, replacing what was there",
    "http_get": "Fetches a URL and gives status, headers and body",
    "http_post": "Sends a body to a URL with POST and gives status, headers and body of the answer",
    "http_put": "Sends a body to a URL with PUT and gives status, headers and body of the answer",
    "stdin_read": "Gives what arrived on standard input; a run has none, so the text is empty",
    "stdout_write": "Writes text to the log of the run",
    "env_get": "Looks up a variable in the environment that the run was granted",
    "http_body": "Picks the body out of an HTTP answer",
    "http_status": "Picks the status out of an HTTP answer",
    "llm_complete": "Asks a language model to answer a prompt",
    "llm_embed": "Turns text into an embedding vector",
    "llm_classify": "Asks a language model which of the given categories a text belongs to",
    "llm_extract": "Asks a language model to pull structured fields out of a text",
    "csv_parse": "Reads delimited text into one record of texts a row",
    "csv_write": "Writes records as delimited text with a header line",
    "json_schema_validate": "Checks a value against a JSON Schema and lists what does not fit",
    "arrow_from_records": "Packs a list of objects into an Arrow stream, as Base64 text",
    "records_to_arrow": "Unpacks an Arrow stream, given as Base64 text, into a list of objects",
    "json_merge": "Lays one JSON value over another, object by object",
    "json_path": "Looks up the value at a path of field names and list positions",
    "store_search": "Finds stages whose name, description or types contain a text",
    "store_add": "Would register a stage; always fails, since a run never changes the store",
    "composition_verify": "Checks that named stages exist and that their types fit one another",
    "trace_read": "Would read an earlier trace; always fails, since a run never sees the history",
    "stage_describe": "Tells types, effects and state of a stage of the store",
    "type_check": "Tells whether one type can stand where another is expected, and why not",
    "text_split": "Cuts text at every occurrence of a delimiter",
    "text_join": "Joins texts with a delimiter between them",
    "regex_match": "Finds the first match of a regular expression and its groups",
    "regex_replace": "Replaces every match of a regular expression",
    "text_template": "Fills named places of the form {{name}} in a text",
    "text_hash": "Gives the hex digest of a text",
    "text_upper": "Turns text into upper case",
    "text_lower": "Turns text into lower case",
    "text_trim": "Removes white space at both ends of a text",
    "text_length": "Counts the characters (code points) of a text",
    "text_contains": "Tells whether a text contains another, letter case included",
    "text_reverse": "Turns the order of a text's characters (code points) around",
    "text_replace": "Replaces every occurrence of one text by another",
    "kv_set": "Stores a value under a key that later runs can read",
    "kv_get": "Reads the value stored under a key, null when there is none",
    "kv_delete": "Removes a key and tells whether it was there",
    "kv_exists": "Tells whether a key is stored",
    "kv_list": "Lists the stored keys that begin with a text",
    "verify_stage_content_hash": "Computes a stage's id from its content and compares the two",
    "verify_stage_ed25519": "Checks the Ed25519 signature of a stage",
    "check_stage_description": "Checks that a stage says what it does",
    "check_stage_examples": "Counts a stage's examples and warns when there are none",
    "merge_validation_checks": "Puts the results of several stage checks into one verdict",
    "router": "Chooses the page for a route: the same path, the longest prefix, or the default",
    "spawn_process": "Starts a program that goes on beside the run, and gives its process id",
    "wait_process": "Waits until a process has ended or a time is over",
    "signal_process": "Sends a signal to a process",
    "kill_process": "Ends a process at once",
    "identity": "Gives back its input",
    "head": "Gives the first item of a list",
    "tail": "Gives a list without its first item",
    "mark_done": "Sets the field done of a record to true",
    "clamp_percent": "Lets a number from 0 to 100 pass and refuses all others",
}

_MEMBERS = (
    "capabilities",
    "cost",
    "description",
    "examples",
    "lifecycle",
    "ed25519_signature",
    "signer_public_key",
    "tags",
    "aliases",
    "name",
    "properties",
    "legacy_ids",
)
_EVEN_EMPTY = ("capabilities", "examples")


def catalog_record(row: dict[str, Any]) -> dict[str, Any]:
    """The stage record of one row of the specification's table, and its ids of older schemes."""
    whole = {**row, "lifecycle": "Active", "description": DESCRIPTIONS[row["name"]]}
    signature = ("input", "output", "effects", "implementation_hash")
    record = {
        "id": row["id"],
        "signature_id": row["signature_id"],
        "signature": {member: row[member] for member in signature},
    }
    record.update((name, whole[name]) for name in _MEMBERS if whole[name] or name in _EVEN_EMPTY)
    return record


def build(table: bytes) -> bytes:
    """The text of the catalog for the bytes of `stdlib.json`: one JSON object, one stage a line."""
    rows = sorted(orjson.loads(table), key=lambda row: int(row["position"]))
    if {row["name"] for row in rows} != DESCRIPTIONS.keys():
        raise ValueError("the table and the descriptions here name different stages")
    lines = b",\n".join(orjson.dumps(catalog_record(row)) for row in rows)
    return b'{"stages":[\n' + lines + b"\n]}\n"


if __name__ == "__main__":
    CATALOG.write_bytes(build(Path(sys.argv[1]).read_bytes()))
