"""`noether-run`: one graph of all ten operators, three languages and many standard stages.

The graph is `tests/graphs/everything.json`; what it does stands there. It runs from a store file
and from a registry, and is the same composition with the same output.
"""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, get_args

from noether_runner.graph.nodes import Node
from noether_runner.stores.builtin import BuiltinStore
from registry_server import Registry, serving
from running_service import Place
from service_stages import spec

ANY = {"kind": "Any"}
HAS_NODE = shutil.which("node") is not None
EVERYTHING = Path(__file__).parents[1] / "graphs" / "everything.json"

OPERATORS = [node.__name__.removesuffix("Node") for node in get_args(Node)]
NUMBER = {"input": "Number", "output": "Number"}
STAGES = (
    spec(
        "points",
        "def execute(input):\n    return [int(row['points']) for row in input]\n",
        input={"List": {"Map": ["Text", "Text"]}},
        output={"List": "Number"},
    ),
    spec(
        "second_time",
        """
from pathlib import Path

def execute(input):
    mark = Path(input["mark"])
    if not mark.exists():
        mark.touch()
        raise RuntimeError("not the first time")
    return "  It Worked "
""",
        input={"Record": [["mark", "Text"]]},
        output="Text",
    ),
    spec(
        "is_even",
        "async def execute(input):\n    return input % 2 == 0\n",
        **{**NUMBER, "output": "Bool"},
    ),
    spec(
        "base_and_patch",
        "def execute(input):\n    return {'base': input['source_1'], 'patch': input['source_0']}\n",
        input={"Record": [["source_0", "Any"], ["source_1", "Any"]]},
        output={"Record": [["base", "Any"], ["patch", "Any"]]},
    ),
    spec("add_hundred", 'execute() { echo "$((${1%.*} + 100))"; }\n', "bash", **NUMBER),
    spec("negate", "function execute(input) { return -input; }\n", "javascript", **NUMBER)
    if HAS_NODE
    else spec("negate", "def execute(input):\n    return -input\n", **NUMBER),
)
TABLE = "name,team,points\nAda,red,3\nBob,blue,12\nCy,red,7\n"
OUTPUT = {
    "rows": {
        "points": [22, 22 / 3, 12, 103, -3, 7, [3, 7]],
        "teams": {
            "blue": [{"name": "Bob", "team": "blue", "points": "12"}],
            "red": [
                {"name": "Ada", "team": "red", "points": "3"},
                {"name": "Cy", "team": "red", "points": "7"},
            ],
        },
    },
    "steady": "IT WORKED",
    "far": 2,
    "words": "APPLE+FIG+PEAR",
    "facts": {"a": 1, "b": 2},
    "about": [12, True],
    "done": True,
}


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


def ran_everything(place: Place, *words: str) -> dict[str, Any]:
    """The envelope of a run in which `second_time` has no mark yet."""
    mark = place.folder / "mark"
    mark.unlink(missing_ok=True)
    argument = json.dumps({"mark": str(mark), "text": TABLE})
    ended = place.call("noether-run", "everything.json", "--input", argument, "--envelope", *words)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_a_graph_of_everything_runs_from_a_store_and_from_a_registry(place: Place) -> None:
    place.stages(*STAGES)
    records = json.loads((place.folder / ".noether" / "store.json").read_bytes())["stages"]
    with remote_composition() as (url, asked), serving(Registry(lambda: records)) as registry:
        text = EVERYTHING.read_text(encoding="utf-8").replace("http://remote.example/run", url)
        (place.folder / "everything.json").write_text(text, encoding="utf-8")
        stored = ran_everything(place)
        fetched = ran_everything(place, "--registry", registry.url)
    assert [name for name in OPERATORS if f'"op": "{name}"' not in text] == []
    assert stored["output"] == fetched["output"] == OUTPUT
    assert asked == [{"input": 7}] * 2
    assert fetched["composition_id"] == stored["composition_id"]
    used = stage_ids(stored)
    assert stage_ids(fetched) == used
    assert sum(stage_id in BuiltinStore() for stage_id in used.values()) >= 20
    assert {record["id"] for record in records} <= set(used.values())
    assert registry.asked
    for trace in (stored["trace"], fetched["trace"]):
        (remote,) = trace["remote_calls"]
        assert (remote["url"], remote["ok"]) == (url, True)
        entries = trace["stages"]
        languages = {entry["stage_name"]: entry["language"] for entry in entries}
        assert languages["points"] == "python"
        assert languages["add_hundred"] == "bash"
        assert languages["negate"] == ("javascript" if HAS_NODE else "python")
        attempts = [
            (entry["attempt"], entry["status"] == "Ok")
            for entry in entries
            if entry["stage_name"] == "second_time"
        ]
        assert attempts == [(1, False), (2, True)]


def stage_ids(told: dict[str, Any]) -> dict[str, str]:
    """What each reference of the graph stood for."""
    return {each["reference"]: each["stage_id"] for each in told["trace"]["resolutions"]}


def test_a_remote_composition_that_says_no_fails_the_run_with_its_words(place: Place) -> None:
    with remote_composition(refusal="the moon is in the way") as (url, asked):
        place.graph("far", {"op": "RemoteStage", "url": url, "input": ANY, "output": ANY})
        ended = place.call("noether-run", "far.json", "--input", "1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the moon is in the way" in ended.stderr
    assert asked == [{"input": 1}]
