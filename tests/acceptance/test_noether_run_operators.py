"""`noether-run`: one graph of all ten operators, in every language that is there."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from running_service import Place
from service_stages import spec, stage

ANY = {"kind": "Any"}
HAS_NODE = shutil.which("node") is not None

STAGES = (
    spec("double", "def execute(input):\n    return input * 2\n"),
    spec("total", "async def execute(input):\n    return sum(input)\n"),
    spec("is_even", "def execute(input):\n    return input % 2 == 0\n"),
    spec("add_bash", 'execute() { echo "$(($1 + 100))"; }\n', "bash"),
    spec("gather", "def execute(input):\n    return sorted(input.items())\n"),
    spec("combine", "def execute(input):\n    return input\n"),
    spec(
        "second_time",
        """
from pathlib import Path

def execute(input):
    mark = Path(input["mark"])
    if not mark.exists():
        mark.touch()
        raise RuntimeError("not the first time")
    return "worked"
""",
    ),
    spec("negate", "function execute(input) { return -input; }\n", "javascript")
    if HAS_NODE
    else spec("negate", "def execute(input):\n    return -input\n"),
)


@contextmanager
def remote_composition(refusal: str | None = None) -> Iterator[tuple[str, list[Any]]]:
    """A server that answers as a grid worker does (`graph.md` §4.7), and what it was asked."""
    asked: list[Any] = []

    class Worker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(json.loads(body))
            answer: dict[str, Any] = {"ok": False, "error": refusal}
            if refusal is None:
                answer = {"ok": True, "data": {"output": ["far", asked[-1]["input"]]}}
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Worker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/run", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def graph_of_everything(url: str) -> dict[str, Any]:
    parallel = {
        "op": "Parallel",
        "branches": {
            "doubled": stage("double"),
            "negated": stage("negate"),
            "far": {"op": "RemoteStage", "url": url, "input": ANY, "output": ANY},
        },
    }
    branch = {
        "op": "Branch",
        "predicate": stage("is_even"),
        "if_true": stage("add_bash"),
        "if_false": stage("negate"),
    }
    merge = {
        "op": "Merge",
        "sources": [{"op": "Const", "value": "fixed"}, parallel],
        "target": stage("combine"),
    }
    fanout = {"op": "Fanout", "source": stage("double"), "targets": [branch, stage("negate")]}
    retry = {"op": "Retry", "stage": stage("second_time"), "max_attempts": 3, "delay_ms": 1}
    return {
        "op": "Let",
        "bindings": {
            "merged": {"op": "Sequential", "stages": [{"op": "Const", "value": 7}, merge]},
            "fanned": {"op": "Sequential", "stages": [{"op": "Const", "value": 4}, fanout]},
            "retried": retry,
        },
        "body": stage("gather"),
    }


def test_all_ten_operators_and_all_languages(place: Place) -> None:
    place.stages(*STAGES)
    mark = str(place.folder / "mark")
    with remote_composition() as (url, asked):
        place.graph("everything", graph_of_everything(url))
        argument = json.dumps({"mark": mark})
        ended = place.call("noether-run", "everything.json", "--input", argument, "--envelope")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["ok"]) == (0, True), ended.stderr
    assert told["output"] == [
        ["fanned", [108, -8]],
        ["mark", mark],
        [
            "merged",
            {"source_0": "fixed", "source_1": {"doubled": 14, "far": ["far", 7], "negated": -7}},
        ],
        ["retried", "worked"],
    ]
    assert asked == [{"input": 7}]
    trace = told["trace"]
    languages = {entry["stage_name"]: entry["language"] for entry in trace["stages"]}
    assert languages["double"] == "python"
    assert languages["add_bash"] == "bash"
    assert languages["negate"] == ("javascript" if HAS_NODE else "python")
    attempts = [
        (entry["attempt"], entry["status"] == "Ok")
        for entry in trace["stages"]
        if entry["stage_name"] == "second_time"
    ]
    assert attempts == [(1, False), (2, True)]
    (remote,) = trace["remote_calls"]
    assert (remote["url"], remote["ok"]) == (url, True)


def test_a_remote_composition_that_says_no_fails_the_run_with_its_words(place: Place) -> None:
    with remote_composition(refusal="the moon is in the way") as (url, asked):
        place.graph("far", {"op": "RemoteStage", "url": url, "input": ANY, "output": ANY})
        ended = place.call("noether-run", "far.json", "--input", "1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the moon is in the way" in ended.stderr
    assert asked == [{"input": 1}]
