"""What a stage is told that could not import a module."""

from noether_runner.languages.modules import missing_module_hint
from noether_runner.languages.requirements import read_requirements


def hint(code: str, module: str) -> str | None:
    return missing_module_hint(module, code, read_requirements(code))


def test_the_entry_that_was_meant_is_named() -> None:
    code = "# requires: numpy>=1, scikit_learn>=2, six==1.16.0\nimport sklearn\n"
    assert hint(code, "sklearn") == (
        "The entry 'scikit_learn>=2' of '# requires:' was not taken (unpinned); write: "
        "# requires: six==1.16.0, scikit-learn==<version>"
    )


def test_without_a_likely_one_the_first_is_named() -> None:
    code = "# requires: numpy, six\n"
    told = hint(code, "nowhere_at_all.inner")
    assert told is not None
    assert "'numpy'" in told
    assert told.endswith("write: # requires: nowhere_at_all==<version>")


def test_the_line_has_all_that_the_source_imports() -> None:
    code = (
        "# requires: PyYAML == 6.0\n"
        "import os, requests as r\n"
        "from bs4.element import Tag\n"
        "from . import pandas\n"
        "TEXT = 'import numpy'  # import scipy\n"
        "def execute(x):\n"
        "    import yaml, lxml.etree\n"
    )
    assert hint(code, "requests") == (
        "The stage's environment holds the packages of its line and what they need, no others; "
        "write: # requires: PyYAML == 6.0, requests==<version>, beautifulsoup4==<version>, "
        "lxml==<version>"
    )


def test_a_known_module_without_any_line() -> None:
    assert hint("import yaml\n", "yaml") == (
        "The module comes with the package PyYAML; add to the stage: # requires: PyYAML==<version>"
    )


def test_nothing_is_said_about_what_nobody_knows() -> None:
    assert hint("import nowhere\n", "nowhere") is None
    assert hint("# requires: six\n", "") is None


def test_source_that_cannot_be_parsed() -> None:
    assert hint("import yaml\n(", "yaml") is not None
