"""Writes `docs/standard-library.md` out of the catalog: `python tests/standard_library_page.py`.

A test compares the page with what this makes of it.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "runner"))

from noether_runner.builtins.builtin import Place
from noether_runner.builtins.lookup import builtin_for
from noether_runner.stages.stage import Stage
from noether_runner.stores.builtin import builtin_stages
from noether_runner.types.render import render

PAGE = Path(__file__).parent.parent / "docs" / "standard-library.md"

THEMES = {
    "Values": ("to_text", "to_number", "to_bool", "parse_json", "to_json"),
    "Lists": (
        *("sort", "group_by", "flatten", "zip", "take", "list_dedup", "list_length"),
        *("head", "tail", "num_sum", "num_avg", "num_min", "num_max"),
    ),
    "Text": (
        *("text_split", "text_join", "text_template", "text_replace", "text_contains"),
        *("text_upper", "text_lower", "text_trim", "text_length", "text_reverse", "text_hash"),
        *("regex_match", "regex_replace"),
    ),
    "Data": (
        *("json_path", "json_merge", "json_schema_validate", "csv_parse", "csv_write"),
        *("arrow_from_records", "records_to_arrow"),
    ),
    "Calling other stages": (
        *("map", "filter", "reduce", "retry", "fallback", "timeout", "race", "parallel"),
    ),
    "Choosing": ("branch", "router", "identity", "mark_done", "clamp_percent"),
    "Files, streams, environment": (
        *("read_file", "write_file", "stdin_read", "stdout_write", "env_get"),
    ),
    "HTTP": ("http_get", "http_post", "http_put", "http_body", "http_status"),
    "Values kept between runs": ("kv_set", "kv_get", "kv_delete", "kv_exists", "kv_list"),
    "Processes": ("spawn_process", "wait_process", "signal_process", "kill_process"),
    "Language models": ("llm_complete", "llm_classify", "llm_extract", "llm_embed"),
    "Stages and types": (
        *("store_search", "stage_describe", "composition_verify", "type_check"),
        *("verify_stage_content_hash", "verify_stage_ed25519", "check_stage_description"),
        *("check_stage_examples", "merge_validation_checks", "store_add", "trace_read"),
    ),
}

OPENING = """# The standard library

{count} stages are part of the program; no store needs to hold them. A graph names one as it names
any stage: by its name, its signature id, its id, the beginning of its id, or an id that an
earlier version of Noether gave it. A stage of your own store with the same id stands for it.

{state}

This page is made from the catalog of stages (`python tests/standard_library_page.py`).

- **Runs in** `runner`: inside the process of the run, without starting another. `child`: in a
  process of its own, with the limits of a stage.
- A stage that ignores something of its input (an item that is no text, a key that is nowhere else)
  says so in the `warnings` of its trace entry; the result is as specified all the same.
- Standard stages are never put into a sandbox: they work on the files and services of the host.
  What a graph may do with them is a matter of `allow_effects` and `allow_capabilities`.
- Stages see the environment of the run and nothing else: grant variables with `env` and
  `pass_env` (`noether-run`: `--env`, `--pass-env`).
"""

REMARKS = {
    "Lists": """Numbers that these stages compute are doubles: the length of a list of three is
`3.0`. Where a count is asked for, `3.0` is as good as `3`. `sort` puts false before true before
numbers before texts; what cannot be compared stands at the end, whichever way it sorts.""",
    "Text": """Regular expressions are those of Rust's crate `regex`: they need a time linear in
the length of the text, and know neither look-around nor back-references. In a replacement `$1`,
`$name` and `${name}` stand for groups, `$$` for a dollar sign.""",
    "Data": """The two Arrow stages need the extra `arrow` of this package
(`pip install "noether-scheduler[arrow]"`); without it they fail and say so.
`json_schema_validate` knows the usual keywords for validation, and references within it.""",
    "Calling other stages": """A child is named as in a graph, and is called as from a graph: its
effects and capabilities must be allowed, its cost counts, it has the limits of a stage, and code
of a store runs in its own process. What was called stands in the member `nested` of the trace
entry. Calls may be nested {deepest} levels deep. `race` and `parallel` start all their stages at
once; a stage whose result is not needed any more is stopped.""",
    "Files, streams, environment": """Relative paths are those of the working directory of the
service, or of `noether-run`. `write_file` replaces a file in one step. A run has no standard
input; what `stdout_write` writes is the captured output of the stage.""",
    "HTTP": """Every status is a success, 404 and 500 too. At most ten redirects are followed, and
the whole exchange has 30 seconds. Proxies are taken from the environment of the run. Link-local
addresses, where clouds offer credentials, are refused; `NOETHER_HTTP_ALLOW_HOSTS` (these hosts and
no others) and `NOETHER_HTTP_DENY_HOSTS` are lists of host names with commas.""",
    "Values kept between runs": """They are kept in a SQLite file: `NOETHER_KV_PATH`, else
`~/.noether/kv.db`. Any number of runs may use it at the same time; the last writer wins.""",
    "Processes": """A process that a run starts outlives the stage, not the run. Its output goes to
the log of the run. Processes of the scheduler itself cannot be signalled.""",
    "Language models": """The provider follows from the variables that the run was granted:
`MISTRAL_API_KEY`, `OPENAI_API_KEY` (with `OPENAI_API_BASE` for a service that speaks the same
language), `ANTHROPIC_API_KEY`, or a project of Vertex AI (`VERTEX_AI_PROJECT`), in this order;
`NOETHER_LLM_PROVIDER` and `NOETHER_EMBEDDING_PROVIDER` name one. Without a provider these stages
fail; nothing is made up. They need time: raise `stage_timeout`.

`NOETHER_LLM_PROVIDER` may also name a program that its user has logged in: `claude-cli` (`claude`),
`gemini-cli` (`gemini`), `cursor-cli` (`cursor-agent`) or `opencode`. It must be in the `PATH` of
the run, is started once a call in an empty directory, with the limits of the stage, and is given no
permission to use tools. It has no say in `max_tokens` and `temperature`. `cursor-agent` and
`opencode` take the prompt as an argument, which other users of the machine can read while they
run. Such a program is never chosen without its name; `NOETHER_LLM_SKIP_CLI=1` rules all of them
out.""",
    "Stages and types": """`store_add` and `trace_read` always fail, and say what to use instead:
a run never changes its store, and never sees the history.""",
}


def page() -> str:
    """The text of the page."""
    from noether_runner.nested_calls import DEEPEST

    stages = {stage.name or "": stage for stage in builtin_stages()}
    listed = [name for names in THEMES.values() for name in names]
    assert sorted(listed) == sorted(stages), set(listed) ^ set(stages)
    parts = [OPENING.format(count=len(stages), state=_state(list(stages.values())))]
    for theme, names in THEMES.items():
        parts.append(f"## {theme}\n")
        if theme in REMARKS:
            parts.append(REMARKS[theme].replace("{deepest}", str(DEEPEST)) + "\n")
        parts.append("\n".join(_table([stages[name] for name in names])) + "\n")
    return "\n".join(parts)


def _state(stages: list[Stage]) -> str:
    unbuilt = [f"`{stage.name}`" for stage in stages if builtin_for(stage.id) is None]
    if not unbuilt:
        return "All of them are built."
    return (
        f"{len(stages) - len(unbuilt)} of them are built. A graph that names one of the others is "
        f"refused before anything of it runs: {', '.join(unbuilt)}."
    )


def _table(stages: list[Stage]) -> Iterator[str]:
    yield "| stage | does | input | output | effects | runs in | id |"
    yield "|---|---|---|---|---|---|---|"
    for stage in stages:
        cells = (
            f"`{stage.name}`",
            _plain(stage.description),
            _code(render(stage.input)),
            _code(render(stage.output)),
            ", ".join(effect.kind.policy_name for effect in stage.effects),
            _place(stage),
            f"`{stage.id[:12]}`",
        )
        yield f"| {' | '.join(cells)} |"


def _place(stage: Stage) -> str:
    built = builtin_for(stage.id)
    if built is None:
        return "not built"
    return "child" if built.place is Place.CHILD else "runner"


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("{{", "`{{").replace("}}", "}}`")


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`".replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
