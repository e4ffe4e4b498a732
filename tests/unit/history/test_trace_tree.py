"""A trace as a tree that a person reads."""

from history_samples import stage_entry, trace
from noether_contract.messages import FailedStatus, RemoteEntry, StageFailure, StageStarted
from noether_contract.outcomes import ErrorClass
from noether_supervisor.history.tree import trace_lines

FAILED = FailedStatus(Failed=StageFailure(message="no such\nlanguage"))


def test_one_stage() -> None:
    only = stage_entry("root", "only", start_ms=0.2, duration_ms=3, language="python")
    assert trace_lines(trace(only, duration_ms=12)) == [
        "✓ root  12 ms",
        "  ✓ only (python)  at 0 ms  took 3 ms",
    ]


def test_the_nesting_is_that_of_the_graph() -> None:
    lines = trace_lines(
        trace(
            stage_entry("root.stages[0]", "fetch", start_ms=0, duration_ms=320),
            stage_entry("root.stages[1].branches.left", "count", start_ms=321),
            stage_entry('root.stages[1].branches["a b"].stage', "sum", start_ms=322),
            stage_entry("root.stages[2].targets[0].bindings.x.body", "send", start_ms=400),
            stage_entry("root.stages[10]", None, start_ms=500),
        )
    )
    assert lines == [
        "✓ root  1.24 s",
        "├─ stages[0]                             ✓ fetch     at 0 ms  took 320 ms",
        "├─ stages[1]",
        "│  ├─ branches.left                      ✓ count     at 321 ms  took 5 ms",
        '│  └─ branches["a b"].stage              ✓ sum       at 322 ms  took 5 ms',
        "├─ stages[2].targets[0].bindings.x.body  ✓ send      at 400 ms  took 5 ms",
        "└─ stages[10]                            ✓ abababab  at 500 ms  took 5 ms",
    ]


def test_attempts_errors_and_tails_stand_below_their_call() -> None:
    lines = trace_lines(
        trace(
            stage_entry(
                "root.stage",
                "translate",
                status=FAILED,
                error_class=ErrorClass.RAISED,
                error_traceback="Traceback:\n  line 1",
                stderr_tail="\n".join(str(number) for number in range(30)),
                stdout_tail="hello",
                log_truncated=True,
            ),
            stage_entry("root.stage", "translate", attempt=2, start_ms=50, warnings=("odd",)),
            status="Failed",
        )
    )
    text = "\n".join(lines)
    assert lines[0].startswith("✗ root")
    assert "└─ stage  ✗ translate  at 0 ms  took 5 ms  attempt 1" in lines
    assert "            raised: no such" in lines
    assert "            language" in lines
    assert "            traceback |   line 1" in lines
    assert "            stdout | hello" in lines
    assert "stderr | … 10 more lines" in text
    assert "stderr | 9\n" not in text
    assert "stderr | 29" in text
    assert "was cut" in text
    assert "          ✓ translate  at 50 ms  took 5 ms  attempt 2" in lines
    assert "            ! odd" in lines


def test_a_run_that_was_killed_shows_what_it_was_doing() -> None:
    started = StageStarted(
        call=3, stage_id="cd" * 32, stage_name="hang", path="root.stages[1]", start_ms=9, attempt=2
    )
    lines = trace_lines(
        trace(stage_entry("root.stages[0]"), incomplete=True, open_stages=(started,))
    )
    assert "incomplete" in lines[0]
    assert lines[2] == "└─ stages[1]  ▸ hang   at 9 ms  had not ended  attempt 2"


def test_calls_from_memory_and_warnings_of_the_run_are_told() -> None:
    lines = trace_lines(
        trace(stage_entry("root.stages[0]", memoized=True), memo_hits=1, warnings=("careful",))
    )
    assert "from memory" in lines[1]
    assert "! careful" in lines
    assert "1 calls of pure stages were answered from memory" in lines


def test_a_remote_call_shows_its_host_and_no_more() -> None:
    remote = RemoteEntry(
        url="https://user:secret@stages.example.com/secret?secret",
        path="root.stages[0]",
        start_ms=1,
        duration_ms=2,
        ok=False,
        error="answered 500",
    )
    text = "\n".join(trace_lines(trace(remote_calls=(remote,))))
    assert "✗ call to stages.example.com" in text
    assert "answered 500" in text
    assert "secret" not in text


def test_a_stage_cannot_write_to_the_terminal() -> None:
    nasty = stage_entry("root", "evil\x1b[2J\nname", stderr_tail="\x1b]0;title\x07\r\x9b31m")
    text = "\n".join(trace_lines(trace(nasty, warnings=("\x1b[31m",))))
    assert not set(text) & {"\x1b", "\x07", "\r", "\x9b"}
    assert "\\x1b[2J" in text


def test_a_path_that_is_not_one_is_shown_as_it_is() -> None:
    assert "└─ what is this?  ✓ fetch" in trace_lines(trace(stage_entry("what is this?")))[1]


def test_colours_are_an_option() -> None:
    sample = trace(stage_entry("root.stages[0]"), stage_entry("root.stages[1]", status=FAILED))
    coloured = trace_lines(sample, colour=True)
    assert "\x1b[32m✓\x1b[0m" in coloured[1]
    assert "\x1b[31m✗\x1b[0m" in coloured[2]
    for code in ("\x1b[32m", "\x1b[31m", "\x1b[2m", "\x1b[0m"):
        coloured = [line.replace(code, "") for line in coloured]
    assert coloured == trace_lines(sample)


def test_a_run_without_calls_is_one_line() -> None:
    assert trace_lines(trace()) == ["✓ root  1.24 s"]
