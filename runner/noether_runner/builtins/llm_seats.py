"""Language models behind the command-line programs of their makers (`stdlib.md` §11.0).

Whoever has logged such a program in has a "seat" with its maker. A seat is taken only by name
(`NOETHER_LLM_PROVIDER`), and is one process a call: started without a shell, below the process of
the stage, so the stage's limits hold for it and it is killed with the stage. It gets no permission
to use tools, and works in an empty directory of its own.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from noether_contract.lean_dataclass import dataclass
from noether_runner.builtins.fields import WHITE_SPACE
from noether_runner.builtins.llm_chat import SECONDS, ChatRequest, ProviderError

_SHOWN_CHARACTERS = 1000
_SAID_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True, slots=True)
class SeatProgram:
    """How a program is asked one question: `arguments`, the model, and the prompt.

    The prompt goes to standard input, where other users of the machine cannot read it, unless the
    program is documented to take it as its last argument only.
    """

    name: str
    arguments: tuple[str, ...]
    prompt_is_argument: bool = False


SEATS: Final[Mapping[str, SeatProgram]] = {
    "claude-cli": SeatProgram("claude", ("-p",)),
    "gemini-cli": SeatProgram("gemini", ()),
    "cursor-cli": SeatProgram(
        "cursor-agent", ("-p", "--output-format", "text"), prompt_is_argument=True
    ),
    "opencode": SeatProgram("opencode", ("run",), prompt_is_argument=True),
}
"""The programs by the names that choose them."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A program that was found: `model` is the name of the seat, whose own choice is meant."""

    model: str
    path: str
    environment: Mapping[str, str]
    seconds: float = SECONDS

    def complete(self, request: ChatRequest) -> str:
        """See `ChatProvider`: what the program prints. It has no say in length or temperature."""
        program = SEATS[self.model]
        command = [self.path, *program.arguments]
        if request.model != self.model:
            # one word: a name that begins with a dash must not be taken for an option
            command.append(f"--model={request.model}")
        prompt = "\n\n".join(message.content for message in request.messages)
        if program.prompt_is_argument:
            # nor must a prompt
            command.append(f" {prompt}" if prompt.startswith("-") else prompt)
            prompt = ""
        ended = self._ended(command, prompt)
        reply = ended.stdout.decode("utf-8", "replace").strip(WHITE_SPACE)
        if ended.returncode != 0:
            told = ended.stderr.decode("utf-8", "replace").strip(WHITE_SPACE) or reply
            raise _failed(
                f"{program.name} ended with status {ended.returncode}: {told[-_SHOWN_CHARACTERS:]}"
            )
        if not reply:
            raise _failed(f"{program.name} printed nothing")
        return reply

    def _ended(self, command: list[str], prompt: str) -> subprocess.CompletedProcess[bytes]:
        name = SEATS[self.model].name
        try:
            with tempfile.TemporaryDirectory(prefix="noether-seat-") as directory:
                return subprocess.run(  # noqa: S603 - no shell, and the words are our own
                    command,
                    input=prompt.encode("utf-8"),
                    capture_output=True,
                    timeout=self.seconds,
                    check=False,
                    cwd=directory,
                    env=dict(self.environment),
                )
        except subprocess.TimeoutExpired:
            raise _failed(f"{name} gave no answer within {self.seconds:g} seconds") from None
        except (OSError, ValueError) as error:
            raise _failed(f"{name} cannot be started: {error}") from None


def seat(name: str, environment: Mapping[str, str]) -> Seat | None:
    """The seat of this name; None when its program is not in PATH, or seats are ruled out."""
    path = shutil.which(SEATS[name].name, path=environment.get("PATH", ""))
    if path is None or seats_are_ruled_out(environment):
        return None
    return Seat(name, str(Path(path).absolute()), environment)


def seats_are_ruled_out(environment: Mapping[str, str]) -> bool:
    """Whether `NOETHER_LLM_SKIP_CLI` forbids such programs."""
    return environment.get("NOETHER_LLM_SKIP_CLI", "") in _SAID_YES


def _failed(text: str) -> ProviderError:
    return ProviderError(f"LLM provider error: {text}")
