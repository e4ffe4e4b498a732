"""docs/graphs.md is true: every graph in it runs and prints what the document says."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import fields
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from documents import Document, Outcome, Step, check, run_step
from noether_contract.messages import StageEntry, Trace
from noether_runner.graph.document import read_graph
from noether_runner.graph.nodes import Node
from noether_runner.graph.walk import walk
from running_service import TOP, Place

PATH = TOP / "docs" / "graphs.md"
ADDRESS = "127.0.0.1:8900"
STEPS = Document(PATH).steps


class Doubler(BaseHTTPRequestHandler):
    """The neighbour that the document asks to double a number."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        reply = json.dumps({"ok": True, "data": {"output": asked["input"] * 2}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, *args: object) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def neighbour() -> Iterator[str]:
    """The address of a server on a free port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Doubler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, neighbour: str) -> list[Outcome]:
    """What each command of the document printed; all ran in one place, in their order."""
    place = Place(tmp_path_factory.mktemp("graphs"))
    document = Document(PATH, {ADDRESS: neighbour})
    document.write_files(place)
    return [run_step(step, place) for step in document.steps]


def title(step: Step) -> str:
    return step.command.split(";")[0].removeprefix("noether-run ")[:40]


@pytest.mark.parametrize("number", range(len(STEPS)), ids=[title(step) for step in STEPS])
def test_the_document_says_what_happens(number: int, outcomes: list[Outcome]) -> None:
    check(STEPS[number], outcomes[number])


def test_every_operator_is_shown_and_every_graph_is_run() -> None:
    shown: set[type[Node]] = set()
    commands = " ".join(step.command for step in STEPS)
    for block in Document(PATH).blocks:
        if block.language == "json":
            assert block.name in commands
            graph = read_graph(block.text, block.name)
            shown |= {type(node) for _, node in walk(graph.root)}
    assert {kind.__name__.removesuffix("Node") for kind in shown} == {
        *("Stage", "RemoteStage", "Const", "Sequential", "Parallel"),
        *("Branch", "Fanout", "Merge", "Retry", "Let"),
    }


def test_the_table_of_exit_codes_is_complete() -> None:
    section = Document(PATH).text.partition("| exit code | |")[2]
    rows = section.partition("\n\n")[0].splitlines()[2:]
    codes = [int(code) for row in rows for code in row.split("|")[1].split(",")]
    assert codes == [0, 1, 2, 124, 130, 143]


def test_the_members_of_a_trace_are_all_named() -> None:
    text = Document(PATH).text
    rows = text.partition("| member of an entry | |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(field.name for field in fields(StageEntry))
    around = text.partition("Around the entries")[2].partition("The service keeps")[0]
    assert set(re.findall(r"`(\w+)`", around)) == {field.name for field in fields(Trace)}


def test_links_inside_the_document_lead_somewhere() -> None:
    document = Document(PATH)
    for target in document.links:
        file, _, anchor = target.partition("#")
        other = Document((PATH.parent / file).resolve()) if file else document
        assert not anchor or anchor in other.anchors, target
