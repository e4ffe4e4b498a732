"""Language models behind programs: which is started, how it is asked, and what may go wrong."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from builtin_calls import PATH, Caller, calling, started_children
from harness_calls import no_process_left
from noether_contract.json_values import JsonValue
from noether_contract.messages import Limits
from noether_contract.outcomes import ErrorCode
from noether_runner.builtins.builtin import BuiltinError
from noether_runner.builtins.llm_chat import ChatRequest, Message, ProviderError
from noether_runner.builtins.llm_choice import chat_provider
from noether_runner.builtins.llm_seats import SEATS, Seat
from noether_runner.sandbox.child import Children

TELLS = """#!/bin/sh
printf '%s\\n' "$PWD" > "$SEEN.folder"
ls -A > "$SEEN.files"
printf '%s\\n' "$@" > "$SEEN"
cat > "$SEEN.input"
echo '  the reply  '
"""
QUESTION = (Message("system", "be brief"), Message("user", "--version"))


def told(seen: Path) -> list[str]:
    """The lines of the arguments; `printf` writes an empty one when there are none."""
    return [line for line in seen.read_text().split("\n") if line]


def install(folder: Path, name: str, script: str) -> dict[str, str]:
    """A program of this name that does what the script says, and the environment to find it."""
    program = folder / SEATS[name].name
    program.write_text(script)
    program.chmod(0o755)
    path = f"{folder}:{PATH}"
    return {"PATH": path, "NOETHER_LLM_PROVIDER": name, "SEEN": str(folder / "seen")}


@pytest.mark.parametrize(
    ("name", "arguments", "typed"),
    [
        ("claude-cli", ["-p"], True),
        ("gemini-cli", [], True),
        ("cursor-cli", ["-p", "--output-format", "text"], False),
        ("opencode", ["run"], False),
    ],
)
def test_how_a_program_is_asked(
    tmp_path: Path, name: str, arguments: list[str], typed: bool
) -> None:
    provider = chat_provider(install(tmp_path, name, TELLS))
    assert isinstance(provider, Seat)
    assert provider.model == name
    seen = tmp_path / "seen"
    assert provider.complete(ChatRequest(name, QUESTION, 5, 0.5)) == "the reply"
    prompt = "be brief\n\n--version"
    words = arguments if typed else [*arguments, "be brief", "--version"]
    assert told(seen) == words
    assert (tmp_path / "seen.input").read_text() == (prompt if typed else "")
    assert (tmp_path / "seen.files").read_text() == ""
    assert not Path((tmp_path / "seen.folder").read_text().strip()).exists()
    provider.complete(ChatRequest("--yolo", QUESTION[1:], 5, 0.5))
    words = [*arguments, "--model=--yolo"] + ([] if typed else [" --version"])
    assert told(seen) == words


@pytest.mark.parametrize("ruled_out", ["1", "true", "yes", "on"])
def test_a_seat_that_cannot_be_used_is_an_error(tmp_path: Path, ruled_out: str) -> None:
    environment = install(tmp_path, "opencode", TELLS)
    with pytest.raises(BuiltinError, match="ruled out by NOETHER_LLM_SKIP_CLI"):
        chat_provider({**environment, "NOETHER_LLM_SKIP_CLI": ruled_out})
    with pytest.raises(BuiltinError, match="needs the program claude in the PATH"):
        chat_provider({**environment, "NOETHER_LLM_PROVIDER": "claude-cli", "OPENAI_API_KEY": "k"})


def test_a_seat_is_never_taken_by_itself(tmp_path: Path) -> None:
    environment = install(tmp_path, "claude-cli", TELLS)
    del environment["NOETHER_LLM_PROVIDER"]
    with pytest.raises(BuiltinError, match="LLM provider not configured"):
        chat_provider(environment)


@pytest.mark.parametrize(
    ("script", "seconds", "words"),
    [
        ("#!/bin/sh\necho not logged in >&2\nexit 3\n", 60, "ended with status 3: not logged in"),
        ("#!/bin/sh\nexit 0\n", 60, "printed nothing"),
        ("#!/bin/sh\nexec sleep 60\n", 0, "gave no answer within 0 seconds"),
        ("#!/no/such/interpreter\n", 60, "cannot be started: "),
    ],
)
def test_what_goes_wrong_is_told(tmp_path: Path, script: str, seconds: float, words: str) -> None:
    environment = install(tmp_path, "opencode", script)
    with no_process_left():
        provider = Seat("opencode", str(tmp_path / "opencode"), environment, seconds)
        with pytest.raises(ProviderError) as caught:
            provider.complete(ChatRequest("opencode", QUESTION, 5, 0.5))
    assert str(caught.value).startswith(f"LLM provider error: opencode {words}")


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with started_children() as started:
        yield started


@pytest.fixture
def caller(children: Children) -> Iterator[Caller]:
    with calling(children) as it:
        yield it


def test_a_stage_asks_a_seat(caller: Caller, tmp_path: Path) -> None:
    reply = json.dumps({"category": "b"})
    environment = install(tmp_path, "claude-cli", f"#!/bin/sh\ncat > $SEEN\necho '{reply}'\n")
    asked: JsonValue = {"text": "t", "categories": ["a", "b"]}
    output = caller.output("llm_classify", asked, environment=environment)
    assert output == {"category": "b", "confidence": 1.0, "model": "claude-cli"}
    given: dict[str, Any] = {"prompt": "p", "temperature": 0.5}
    outcome = caller.call("llm_complete", given, environment=environment)
    assert outcome.warnings == ("llm_complete: claude-cli has no say in temperature; left out",)
    assert (tmp_path / "seen").read_text() == "p"


def test_a_seat_has_the_time_of_a_stage_and_ends_with_it(caller: Caller, tmp_path: Path) -> None:
    environment = install(tmp_path, "opencode", "#!/bin/sh\nsleep 600 & sleep 600\n")
    with no_process_left():
        outcome = caller.call(
            "llm_complete",
            {"prompt": "p"},
            environment=environment,
            limits=Limits(stage_seconds=0.5),
        )
    assert outcome.error is not None
    assert outcome.error.code is ErrorCode.STAGE_TIMED_OUT
