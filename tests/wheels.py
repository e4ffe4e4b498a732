"""Packages for environments without a network: wheels that the tests write, and one environment.

A wheel is a zip archive with three files of metadata (PEP 427, PEP 376); pip takes it from a
folder (`--find-links`).
"""

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LINE = "# requires: noether-tiny==1.0"
"""What a stage writes to get `SOURCE`, and the package that it needs in turn."""

SOURCE = "import noether_tiny_dep\n\ndef twice(n):\n    return 2 * n\n"


def make_wheel(
    folder: Path,
    name: str,
    version: str,
    source: str,
    *,
    requires: tuple[str, ...] = (),
    script: str | None = None,
) -> None:
    """A wheel of one module; `script` is the name of a command that prints the interpreter."""
    module = name.replace("-", "_")
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    metadata += [f"Requires-Dist: {each}" for each in requires]
    files = {
        f"{module}.py": source,
        f"{module}-{version}.dist-info/METADATA": "\n".join(metadata) + "\n",
        f"{module}-{version}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    if script is not None:
        files[f"{module}.py"] += "\ndef main():\n    import sys\n    print(sys.executable)\n"
        entry = f"[console_scripts]\n{script} = {module}:main\n"
        files[f"{module}-{version}.dist-info/entry_points.txt"] = entry
    record = f"{module}-{version}.dist-info/RECORD"
    files[record] = "".join(map(_record_line, files.items())) + f"{record},,\n"
    with zipfile.ZipFile(folder / f"{module}-{version}-py3-none-any.whl", "w") as wheel:
        for path, content in files.items():
            wheel.writestr(path, content)


def _record_line(file: tuple[str, str]) -> str:
    path, content = file
    digest = base64.urlsafe_b64encode(hashlib.sha256(content.encode()).digest())
    return f"{path},sha256={digest.rstrip(b'=').decode()},{len(content)}\n"


def make_wheels(folder: Path) -> None:
    """All wheels of the tests."""
    folder.mkdir()
    make_wheel(folder, "noether-tiny-dep", "2.0", "")
    needed = ("noether-tiny-dep==2.0",)
    make_wheel(folder, "noether-tiny", "1.0", SOURCE, requires=needed, script="noether-tiny-python")


def settings_for(folder: Path) -> Mapping[str, str]:
    """The variables that let pip find these wheels and nothing else."""
    return {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": "/dev/null",
        "PIP_NO_CACHE_DIR": "1",
    }


def packages_for(wheels: Path, folder: Path) -> dict[str, Any]:
    """The `packages` of a request, or of the harness: these wheels, environments in `folder`."""
    return {"folder": str(folder), "settings": dict(settings_for(wheels))}
