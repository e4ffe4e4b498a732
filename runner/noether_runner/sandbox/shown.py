"""What of the host a sandbox shows so that programs can run at all: runtimes, not files.

`/usr` and what belongs to it, the interpreter that runs stages, and this package, from which the
sandbox's own stage-init and the bootstraps of languages come. A folder outside `/usr` is shown at
its own place unless that would make a folder appear which no sandbox has (`/home`, `/root`, …):
then it is shown below `/runtime`.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import field
from pathlib import Path

from noether_contract.lean_dataclass import dataclass

PACKAGE = Path(__file__).parents[1]
"""The folder of `noether_runner`."""

SYSTEM_FOLDERS = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
"""Folders beside `/usr` that hold programs and libraries; links into it on most systems."""

SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives", "/etc/localtime")

NETWORK_FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
)
"""What names and certificates need."""

CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NIX_SSL_CERT_FILE")

_NIX_STORE = "/nix/store"
_SANDBOX_OWN = tuple(
    f"/{name}"
    for name in (
        "boot", "dev", "etc", "home", "media", "mnt", "proc", "root", "run", "runtime", "stage",
        "sys", "tmp", "var",
    )
)  # fmt: skip


@dataclass(slots=True)
class View:
    """Folders and files of the host, each with the place where the sandbox shows it."""

    places: dict[str, str] = field(default_factory=dict)

    def copy(self) -> "View":
        """One to which more can be added."""
        return View(dict(self.places))

    def show(self, path: str, *, in_place: bool = False) -> str:
        """Have a folder or file shown; where the sandbox will have it."""
        seen = self.translate(path)
        if seen is not None:
            return seen
        real = _NIX_STORE if path.startswith(_NIX_STORE + "/") else path
        hidden = any(path == own or path.startswith(own + "/") for own in _SANDBOX_OWN)
        place = f"/runtime/{len(self.places)}" if hidden and not in_place else real
        self.places[real] = place
        return place + path[len(real) :]

    def translate(self, path: str) -> str | None:
        """Where the sandbox has a path of the host; None when it is not shown."""
        if any(path == own or path.startswith(own + "/") for own in ("/usr", *SYSTEM_FOLDERS)):
            return path
        for host, place in self.places.items():
            if path == host or path.startswith(host + "/"):
                return place + path[len(host) :]
        return None

    def show_program(self, program: str) -> str:
        """Have a program and what it comes with shown; how the sandbox calls it.

        What it comes with is the folder above its `bin`. An interpreter in an environment of its
        own (`pyvenv.cfg`) names the one that it was made from, which has to be at its own place.
        """
        seen = self.translate(program)
        real = os.path.realpath(program)
        if seen is not None and self.translate(real) is not None:
            return seen
        environment = Path(program).parents[1]
        if os.access(environment / "pyvenv.cfg", os.R_OK):
            self.show(_prefix(real), in_place=True)
            return self.show(str(environment)) + program[len(str(environment)) :]
        self.show(_prefix(real))
        return self.translate(real) or real


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that can run this package's modules in a sandbox, as the host names it.

    `paths` are folders that its import path has beside those of the interpreter. `options` are
    options of the command.
    """

    program: str
    prefix: str
    options: tuple[str, ...]
    paths: tuple[str, ...]


def own_interpreter() -> Interpreter:
    """The interpreter of this process, without an environment (`venv`) around it.

    The import path is told in full, so nothing has to be looked for at its start.
    """
    program = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(
        os.path.realpath(program), sys.base_prefix, ("-I", "-S"), import_folders(sys.path)
    )


def other_interpreters(path: str) -> Iterable[Interpreter]:
    """Interpreters on a PATH that may stand in for our own where that is out of reach.

    The one of our version can use our packages; any other has only its own.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in path.split(os.pathsep):
        for name in (version, "python3"):
            program = Path(folder, name)
            if folder.startswith("/") and os.access(program, os.X_OK):
                real = os.path.realpath(program)
                paths = import_folders(sys.path) if Path(real).name == version else ()
                yield Interpreter(real, _prefix(real), ("-I",), paths)


def import_folders(paths: Iterable[str]) -> tuple[str, ...]:
    """What an import path has beside the interpreter's own, as a stage's process has it.

    That is the one of an isolated interpreter (`-I`): without PYTHONPATH, the folder of the
    program and the one of the user.
    """
    unwanted = {"", *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    if not sys.flags.safe_path:
        unwanted.add(sys.path[0])
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - a text, as in sys.path
    unwanted |= {library, f"{library}/lib-dynload"}
    return tuple(folder for folder in paths if folder not in unwanted and _is_folder(folder))


def interpreter_folders() -> tuple[str, ...]:
    """Folders that a forked stage needs to import from, all as the host names them."""
    folders = (sys.base_prefix, sys.prefix, str(PACKAGE), *import_folders(sys.path))
    return tuple(dict.fromkeys(folder for folder in folders if folder != "/"))


def program_folders(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The folders of a PATH that are there."""
    folders = environment.get("PATH", "").split(os.pathsep)
    return tuple(
        folder
        for folder in dict.fromkeys(folders)
        if folder.startswith("/") and folder.strip("/") and _is_folder(folder)
    )


def certificate_places(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Certificates that variables of a stage name and that are there."""
    named = (environment.get(name, "") for name in CERTIFICATE_VARIABLES)
    return tuple(
        path for path in dict.fromkeys(named) if path.startswith("/") and os.access(path, os.F_OK)
    )


def _is_folder(path: str) -> bool:
    """Whether there is a folder, as far as this process can see."""
    return os.access(f"{path}/.", os.F_OK)


def _prefix(program: str) -> str:
    """The folder that holds a program and what belongs to it; the program alone without one."""
    folder = Path(program).parent
    return str(folder.parent) if folder.name == "bin" and folder.parent != Path("/") else program
