"""From a file to a configuration, or to findings with their places."""

import json
from pathlib import Path
from typing import Any

import pytest

from noether_supervisor.config import SchedulerConfig, read_config
from noether_supervisor.errors import ConfigError, Finding

JOB: dict[str, Any] = {"name": "nightly", "cron": "30 2 * * *", "graph": "g.json"}

SKIP_MISSPELT = (
    "expected 'skip', 'queue', 'allow' or 'replace', got the string \"skp\"; did you mean 'skip'?"
)


def write(folder: Path, content: object) -> Path:
    path = folder / "scheduler.json"
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, content: object) -> SchedulerConfig:
    return read_config(write(folder, content))


def findings_of(folder: Path, content: object) -> tuple[Finding, ...]:
    with pytest.raises(ConfigError) as caught:
        read(folder, content)
    assert caught.value.exit_code == 2
    return caught.value.findings


def only_finding(folder: Path, content: object) -> Finding:
    (finding,) = findings_of(folder, content)
    return finding


def with_job(**keys: object) -> dict[str, Any]:
    return {"jobs": [{**JOB, **keys}]}


def test_a_small_file_has_all_defaults(tmp_path: Path) -> None:
    config = read(tmp_path, {"jobs": [JOB]})
    job = config.jobs[0]
    assert (job.timeout, job.stage_timeout, job.memory_mb, job.overlap) == (300, 30, 1024, "skip")
    assert config.state_path == Path.cwd() / ".noether/scheduler"
    assert job.graph_path == Path.cwd() / "g.json"
    assert config.path == tmp_path / "scheduler.json"


def test_defaults_fill_what_a_job_leaves_open(tmp_path: Path) -> None:
    defaults = {"timeout": 60, "webhook": "https://x.example/h", "env": {"A": "1"}}
    own = {**JOB, "name": "own", "timeout": 5, "webhook": None, "env": {"B": "2"}}
    config = read(tmp_path, {"defaults": defaults, "jobs": [JOB, own]})
    filled, kept = config.jobs
    assert (filled.timeout, filled.webhook, filled.env) == (60, "https://x.example/h", {"A": "1"})
    assert (kept.timeout, kept.webhook, kept.env) == (5, None, {"B": "2"})


def test_remarks_are_ignored_everywhere(tmp_path: Path) -> None:
    content = {
        "$schema": "x",
        "_a": 1,
        "history": {"_why": 1},
        "defaults": {"_why": 1},
        "jobs": [{**JOB, "_comment": "x", "$x": 2}],
    }
    assert read(tmp_path, content).jobs[0].name == "nightly"


def test_remarks_may_stand_twice_but_members_of_an_input_may_not(tmp_path: Path) -> None:
    job = '"name": "a", "cron": "* * * * *", "graph": "g"'
    read(tmp_path, f'{{"_": 1, "_": 2, "jobs": [{{{job}}}]}}')
    found = only_finding(tmp_path, f'{{"jobs": [{{{job}, "input": {{"_x": 1, "_x": 2}}}}]}}')
    assert found.path == "jobs[0].input._x"
    assert "'_x' stands twice" in found.message


def test_an_unknown_key_is_named_with_place_and_nearest_key(tmp_path: Path) -> None:
    text = '{"jobs": [\n  {"name": "a", "cron": "* * * * *", "graph": "g",\n   "tiemout": 5}\n]}'
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    (finding,) = caught.value.findings
    assert finding.path == "jobs[0].tiemout"
    assert (finding.line, finding.column, finding.excerpt) == (3, 4, '"tiemout": 5}')
    assert finding.message == "unknown key 'tiemout'; did you mean 'timeout'?"
    assert str(caught.value) == (
        f"Invalid scheduler config JSON: {path}: jobs[0].tiemout: unknown key 'tiemout'; "
        "did you mean 'timeout'? (line 3, column 4)\n    \"tiemout\": 5}"
    )


@pytest.mark.parametrize(
    ("content", "path", "words"),
    [
        ({"jobs": [JOB], "timeout": 5}, "timeout", "key of a job"),
        (with_job(verify="content"), "jobs[0].verify", "top of the file"),
        ({"jobs": [JOB], "defaults": {"cron": "x"}}, "defaults.cron", "each job needs its own"),
        ({"jobs": [JOB], "grid_broker": "x"}, "grid_broker", "grid brokers are not supported"),
        ({"jobs": [JOB], "storePath": "x"}, "storePath", "did you mean 'store_path'?"),
        ({"jobs": [JOB], "store-path": "x"}, "store-path", "did you mean 'store_path'?"),
        ({"jobs": [JOB], "qq qq": 1}, '["qq qq"]', "known here: jobs, store_path"),
        ({"jobs": [JOB], "history": {"qqq": 1}}, "history.qqq", "known here: keep_runs"),
    ],
)
def test_unknown_keys_get_advice(tmp_path: Path, content: object, path: str, words: str) -> None:
    finding = only_finding(tmp_path, content)
    assert finding.path == path
    assert words in finding.message


@pytest.mark.parametrize(
    ("content", "path", "message"),
    [
        ([], "", "expected an object with the key 'jobs', got a list"),
        ({}, "jobs", "the key 'jobs' is required and missing"),
        ({"jobs": []}, "jobs", "there are no jobs; at least one is needed"),
        ({"jobs": {}}, "jobs", "expected a list, got an object"),
        ({"jobs": [3]}, "jobs[0]", "expected an object, got the number 3"),
        ({"jobs": [JOB], "history": []}, "history", "expected an object, got a list"),
        (with_job(cron=5), "jobs[0].cron", "expected a string, got the number 5"),
        (with_job(cron=None), "jobs[0].cron", "expected a string, got null"),
        (with_job(timeout=True), "jobs[0].timeout", "expected a number, got true"),
        (with_job(timeout="30"), "jobs[0].timeout", 'expected a number, got the string "30"'),
        (with_job(timeout=0), "jobs[0].timeout", "must be greater than 0, got the number 0"),
        (
            with_job(memory_mb=1.5),
            "jobs[0].memory_mb",
            "expected a whole number, got the number 1.5",
        ),
        (
            with_job(memory_mb=1.0),
            "jobs[0].memory_mb",
            "expected a whole number, got the number 1.0",
        ),
        (with_job(memory_mb=1), "jobs[0].memory_mb", "must be at least 16, got the number 1"),
        (with_job(enabled=1), "jobs[0].enabled", "expected true or false, got the number 1"),
        (with_job(enabled=None), "jobs[0].enabled", "expected true or false, got null"),
        (with_job(pass_env="A"), "jobs[0].pass_env", 'expected a list, got the string "A"'),
        (with_job(graph=""), "jobs[0].graph", "expected a path, got an empty string"),
        (
            with_job(overlap="skp"),
            "jobs[0].overlap",
            SKIP_MISSPELT,
        ),
        (
            with_job(pass_env=["AWS_*"]),
            "jobs[0].pass_env[0]",
            "patterns are not accepted here: name each environment variable",
        ),
        (
            with_job(env={"A=": "x"}),
            'jobs[0].env["A="]',
            "expected the name of an environment variable, without '='",
        ),
        (with_job(env={"A": 5}), "jobs[0].env.A", "expected a string"),
        (
            with_job(webhook=5),
            "jobs[0].webhook",
            "expected a URL, or an object with at least `url`",
        ),
        (
            with_job(webhook="ftp://h"),
            "jobs[0].webhook",
            "expected an http or https URL such as https://example.org/path, got the scheme 'ftp'",
        ),
        (
            {"jobs": [JOB], "registry_api_key": {"evn": "X"}},
            "registry_api_key",
            'expected a string, {"env": NAME} or {"file": PATH}',
        ),
        (
            {"jobs": [JOB], "store_path": "a", "registry_url": "https://r.example"},
            "registry_url",
            "both 'store_path' and 'registry_url' are set; stages come from one: keep one",
        ),
        ({"jobs": [JOB, JOB]}, "jobs[1].name", "jobs[0] has the same name; names are unique"),
        (
            with_job(name="a@b"),
            "jobs[0].name",
            "a job name may not hold '@', which separates name and time in run ids",
        ),
        (with_job(name="a\nb"), "jobs[0].name", "a job name may not hold control characters"),
        (
            with_job(name="x" * 201),
            "jobs[0].name",
            "a job name has 1 to 200 characters, this one has 201",
        ),
        (with_job(name=""), "jobs[0].name", "a job name has 1 to 200 characters, this one has 0"),
    ],
)
def test_wrong_values_are_told_in_plain_english(
    tmp_path: Path, content: object, path: str, message: str
) -> None:
    finding = only_finding(tmp_path, content)
    assert (finding.path, finding.message) == (path, message)


@pytest.mark.parametrize(
    "url", ["http://", "https:///x", "http://h:99999/", "http://h:0/", "//h/x", "http://a b/", ""]
)
def test_a_malformed_webhook_url_is_a_finding(tmp_path: Path, url: str) -> None:
    assert only_finding(tmp_path, with_job(webhook=url)).path == "jobs[0].webhook"


def test_names_differ_by_case(tmp_path: Path) -> None:
    config = read(tmp_path, {"jobs": [JOB, {**JOB, "name": "Nightly"}]})
    assert [job.name for job in config.jobs] == ["nightly", "Nightly"]


def test_a_key_that_stands_twice_is_a_finding_at_the_second(tmp_path: Path) -> None:
    text = '{"jobs": [{"name": "a", "cron": "* * * * *", "graph": "g"}],\n "state_dir": "x",\n'
    finding = only_finding(tmp_path, text + ' "state_dir": "y"}')
    assert (finding.path, finding.line, finding.column) == ("state_dir", 3, 2)


def test_all_findings_of_a_file_come_together_in_its_order(tmp_path: Path) -> None:
    content = {
        "listen": "nonsense",
        "jobs": [{**JOB, "overlap": "x"}, {"name": "nightly"}, {**JOB, "name": "c", "retry": {}}],
    }
    findings = findings_of(tmp_path, content)
    places = [(finding.line, finding.column) for finding in findings]
    assert places == sorted(places)
    assert [finding.path for finding in findings] == [
        "listen",
        "listen",
        "jobs[0].overlap",
        "jobs[1].cron",
        "jobs[1].graph",
        "jobs[1].name",
        "jobs[2].retry.attempts",
    ]


def test_a_long_list_of_findings_is_cut_in_the_message_only(tmp_path: Path) -> None:
    path = write(tmp_path, {"jobs": [{**JOB, "name": str(n), "x": 1} for n in range(30)]})
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert len(caught.value.findings) == 30
    assert str(caught.value).splitlines()[0] == (
        f"Invalid scheduler config JSON: {path}: 30 findings"
    )
    assert str(caught.value).endswith("  and 10 more")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"jobs": [\n  {"name": "a",}\n]}', 'line 2, column 15\n    {"name": "a",}'),
        ("", "the file is empty; expected an object with the key 'jobs' at line 1, column 1"),
        ("\ufeff{}", "the text begins with a byte order mark; save it without at line 1, column 1"),
        ('{"jobs": NaN}', 'line 1, column 10\n    {"jobs": NaN}'),
    ],
)
def test_a_text_that_is_no_json_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"Invalid scheduler config JSON: {path}: ")
    assert told in str(caught.value)
    assert caught.value.findings[0].path == ""


@pytest.mark.parametrize(
    ("line", "hint", "shown"),
    [
        ("{'jobs': []}", "JSON has double quotes", "{'jobs': []}"),
        ('{"jobs": [] // mine', "JSON has no comments", '{"jobs": [] *** ***'),
        ('{"enabled": True}', "JSON has no such value", '{"enabled": True}'),
        ('{"name": "a" "cron": "x"}', "expected ','", '{"name": "a" "cron": "x"}'),
        ('{"timeout": 3 "secret": "x"}', "expected ','", '{"timeout": 3 "secret": ***}'),
        ('{"name": "a" "secret": "x" "b": "y"}', "expected ','", '"secret": *** "b": ***}'),
        ('{"name": "a"x": "secret", "y": "secret"}', "expected ','", '{"name": ***'),
    ],
)
def test_what_other_languages_allow_gets_a_hint_and_its_line(
    tmp_path: Path, line: str, hint: str, shown: str
) -> None:
    path = write(tmp_path, line)
    with pytest.raises(ConfigError) as caught:
        read_config(path)
    assert hint in str(caught.value)
    assert shown in str(caught.value)


def test_bytes_that_are_no_utf8_are_told_with_their_place(tmp_path: Path) -> None:
    path = tmp_path / "scheduler.json"
    path.write_bytes(b'{\n "a": "\xff"}')
    with pytest.raises(ConfigError, match="is not UTF-8 text at line 2, column 8"):
        read_config(path)


def test_a_file_that_cannot_be_read_is_told_with_the_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read_config(Path("missing.json"))
    assert str(caught.value).startswith(
        f"Failed to read config from {tmp_path}/missing.json: No such file or directory"
    )
    with pytest.raises(ConfigError, match=f"^Failed to read config from {tmp_path}: Is a dir"):
        read_config(tmp_path)


def test_locate_finds_keys_of_the_file(tmp_path: Path) -> None:
    text = '{"jobs": [\n  {"name": "a", "cron": "* * * * *", "graph": "g"}\n]}'
    config = read(tmp_path, text)
    line = '{"name": "a", "cron": "* * * * *", "graph": "g"}'
    assert config.locate("jobs[0].cron") == (2, 25, line)
    assert config.locate("jobs[0].timezone") == (2, 3, line)
    assert SchedulerConfig.model_validate({"jobs": [JOB]}).locate("jobs[0].cron") == (0, 0, "")
