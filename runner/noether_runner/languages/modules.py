"""What to write when a Python stage could not import a module (`runtimes.md` §2.3, §2.4)."""

import re
from collections.abc import Iterator

from noether_runner.languages.requirements import Rejected, Requirements

_OTHER_NAMES = {
    "bs4": "beautifulsoup4",
    "sklearn": "scikit-learn",
    "PIL": "Pillow",
    "cv2": "opencv-python",
    "yaml": "PyYAML",
    "dateutil": "python-dateutil",
    "jwt": "PyJWT",
    "dotenv": "python-dotenv",
}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
# fmt: off
_SAME_NAMES = frozenset((
    "requests", "httpx", "aiohttp", "lxml", "pandas", "numpy", "scipy", "toml", "pytz",
    "boto3", "psycopg2", "pymongo", "redis", "celery", "fastapi", "pydantic", "cryptography",
    "paramiko", "joblib", "torch", "transformers", "datasets", "pyarrow",
))
# fmt: on


def package_of(module: str) -> str | None:
    """The package on PyPI that provides a top-level module; None for one we do not know."""
    top = module.partition(".")[0]
    if top in _SAME_NAMES:
        return top
    return _OTHER_NAMES.get(top)


def missing_module_hint(module: str, code: str, requirements: Requirements) -> str | None:
    """The sentence for a stage that could not import `module`; None where nothing can be said.

    It names the entry that was not taken, if there is one, and the whole line to write.
    """
    if not module:
        return None
    package = package_of(module)
    line = _line_for(package or module.partition(".")[0], code, requirements)
    if requirements.rejected:
        rejected = _most_likely(requirements.rejected, package, module)
        return (
            f"The entry {rejected.entry!r} of '# requires:' was not taken ({rejected.reason}); "
            f"write: {line}"
        )
    if requirements.accepted:
        return (
            "The stage's environment holds the packages of its line and what they need, no "
            f"others; write: {line}"
        )
    if package is not None:
        return f"The module comes with the package {package}; add to the stage: {line}"
    return None


def _line_for(package: str, code: str, requirements: Requirements) -> str:
    """What is there already, and everything known that the source imports beside it."""
    entries = list(requirements.accepted)
    there = {_plain(entry.partition("==")[0]) for entry in entries}
    for wanted in (package, *_imported_packages(code)):
        if _plain(wanted) not in there:
            there.add(_plain(wanted))
            entries.append(f"{wanted}==<version>")
    return f"# requires: {', '.join(entries)}"


def _imported_packages(code: str) -> Iterator[str]:
    """Packages whose modules the source imports anywhere, by its syntax tree."""
    import ast  # here: only a stage that has failed needs it

    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        modules: list[str] = []
        if isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            modules = [node.module]
        for module in modules:
            package = package_of(module)
            if package is not None:
                yield package


def _most_likely(rejected: tuple[Rejected, ...], package: str | None, module: str) -> Rejected:
    """The entry that was meant to bring the module, or else the first."""
    meant = {_plain(module.partition(".")[0]), _plain(package or module)}
    for each in rejected:
        name = _NAME.match(each.entry)
        if name is not None and _plain(name[0]) in meant:
            return each
    return rejected[0]


def _plain(name: str) -> str:
    """The spelling by which packages are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower().strip("-")
