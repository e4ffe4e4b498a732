"""Documents whose examples are run: files out of their code blocks, commands out of transcripts.

A block ```` ```json NAME ```` (or another language, with a name behind it) is a file. A block
```` ```console ```` is a transcript: a line that begins with `$ ` is a command of a shell, the
lines up to the next one are what it prints. There, a line that begins with `error: `,
`warning: `, `✓`, `✗` or `- ` is one of standard error, all others are the whole of standard
output; `…` stands for any text, and other lines of standard error are left out.
"""

import contextlib
import os
import pty
import re
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from running_service import PATIENCE_SECONDS, Place

_BLOCK = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_ON_STDERR = ("error: ", "warning: ", "✓", "✗", "- ")


@dataclass(frozen=True)
class Block:
    """A code block: its language, what stands behind that, its text, and its line."""

    language: str
    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Step:
    """A command of a transcript, what it prints on either stream, and its line."""

    command: str
    stdout: str
    stderr: tuple[str, ...]
    line: int


@dataclass(frozen=True)
class Outcome:
    """What a command printed when it was run."""

    stdout: str
    stderr: str


class Document:
    """A Markdown file; `replaced` are texts of it that mean something else in a test."""

    def __init__(self, path: Path, replaced: Mapping[str, str] | None = None) -> None:
        text = path.read_text(encoding="utf-8")
        for old, new in (replaced or {}).items():
            assert old in text
            text = text.replace(old, new)
        self.text = text

    @property
    def blocks(self) -> Iterator[Block]:
        """All code blocks in their order."""
        for found in _BLOCK.finditer(self.text):
            line = self.text.count("\n", 0, found.start()) + 1
            yield Block(found[1], found[2].strip(), found[3], line)

    def write_files(self, place: Place) -> None:
        """Writes the files of the document."""
        for block in self.blocks:
            if block.name and block.language != "console":
                path = place.folder / block.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.text, encoding="utf-8")

    @property
    def links(self) -> list[str]:
        """The targets of links within the repository."""
        found = re.findall(r"\]\(([^)\s]+)\)", self.text)
        return [target for target in found if "://" not in target]

    @property
    def anchors(self) -> set[str]:
        """The names by which headings can be linked to (as GitHub makes them)."""
        headings = re.findall(r"^#+ (.+)$", self.text, re.MULTILINE)
        plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
        return {heading.replace(" ", "-") for heading in plain}

    @property
    def steps(self) -> list[Step]:
        """The commands of all transcripts in their order."""
        return [step for block in self.blocks if block.language == "console" for step in _of(block)]


def _of(block: Block) -> Iterator[Step]:
    for number, part in enumerate(re.split(r"^\$ ", block.text, flags=re.MULTILINE)):
        if number == 0:
            assert not part, f"line {block.line}: a transcript begins with a command"
            continue
        lines = part.splitlines()
        end = next(place for place, line in enumerate(lines) if not line.endswith("\\"))
        printed = lines[end + 1 :]
        stderr = tuple(line.strip() for line in printed if line.strip().startswith(_ON_STDERR))
        stdout = "".join(f"{line}\n" for line in printed if line.strip() not in stderr)
        yield Step("\n".join(lines[: end + 1]), stdout, stderr, block.line)


def run_step(step: Step, place: Place, **environment: str) -> Outcome:
    """Runs a command in a shell, in the place of the document, with standard error on a terminal.

    It is a dumb terminal, so that it gets what a person sees without the live view.
    """
    ours, terminal = pty.openpty()
    with ThreadPoolExecutor(1) as reading, os.fdopen(ours, "rb", 0) as screen:
        seen = reading.submit(_read_terminal, screen)
        try:
            ended = subprocess.run(
                ["sh", "-c", step.command],
                cwd=place.folder,
                env=place.environment(TERM="dumb", **environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=terminal,
                text=True,
                timeout=PATIENCE_SECONDS,
                check=False,
            )
        finally:
            os.close(terminal)
        return Outcome(ended.stdout, seen.result())


def _read_terminal(screen: IO[bytes]) -> str:
    shown = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the other end any more (pty(7))
        while piece := screen.read(65536):
            shown += piece
    return shown.decode().replace("\r\n", "\n")


def check(step: Step, outcome: Outcome) -> None:
    """Fails when a command printed something else than the document says."""
    shown = f"line {step.line}: $ {step.command}\n{outcome.stdout}--- stderr:\n{outcome.stderr}"
    assert _matches(step.stdout, outcome.stdout), f"{shown}--- expected:\n{step.stdout}"
    printed = [line.strip() for line in outcome.stderr.splitlines()]
    for expected in step.stderr:
        met = any(_matches(expected, line) for line in printed)
        assert met, f"{shown}--- expected there:\n{expected}"


def _matches(expected: str, printed: str) -> bool:
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, printed, re.DOTALL) is not None
