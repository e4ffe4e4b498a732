"""What people mean by members that the graph format does not have.

The names come from prose of the reference that differs from its code, and from the habits of
other workflow formats. Used for hints only; nothing is ever read under another name.
"""

from collections.abc import Iterable, Mapping

_MEANT: Mapping[str | None, Mapping[str, str]] = {
    None: {"desc": "description", "graph": "root", "composition": "root", "node": "root"},
    "": {"type": "op", "kind": "op", "operator": "op", "node": "op"},
    "Stage": {
        "stage": "id",
        "stage_id": "id",
        "signature_id": "id",
        "ref": "id",
        "name": "id",
        "pin": "pinning",
        "pinned": "pinning",
        "args": "config",
        "arguments": "config",
        "params": "config",
        "parameters": "config",
        "options": "config",
        "input": "config",
    },
    "RemoteStage": {"endpoint": "url", "uri": "url", "href": "url"},
    "Const": {"const": "value", "data": "value", "output": "value"},
    "Sequential": {"steps": "stages", "nodes": "stages", "children": "stages"},
    "Parallel": {"stages": "branches", "nodes": "branches", "children": "branches"},
    "Branch": {
        "condition": "predicate",
        "if": "predicate",
        "then": "if_true",
        "else": "if_false",
        "true": "if_true",
        "false": "if_false",
    },
    "Fanout": {"target": "targets", "stages": "targets", "input": "source"},
    "Merge": {"source": "sources", "stages": "sources", "output": "target"},
    "Retry": {
        "attempts": "max_attempts",
        "retries": "max_attempts",
        "max_retries": "max_attempts",
        "times": "max_attempts",
        "backoff": "delay_ms",
        "backoff_ms": "delay_ms",
        "delay": "delay_ms",
        "delay_seconds": "delay_ms",
        "node": "stage",
        "body": "stage",
    },
    "Let": {"let": "bindings", "vars": "bindings", "in": "body", "stage": "body"},
}


def probable_intent(operator: str | None, name: str, candidates: Iterable[str]) -> str | None:
    """Which of `candidates` the member `name` is probably meant to be.

    `operator` is that of the node, None for the document, empty for a node without one.
    """
    known = tuple(candidates)
    meant = _MEANT.get(operator, {}).get(name)
    if meant is not None:
        return meant if meant in known else None
    # Imported here: only a document with unknown members pays for it.
    from difflib import get_close_matches

    close = get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.8)
    return close[0] if close else None
