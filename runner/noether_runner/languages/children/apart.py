"""Runs a module of ours in an interpreter that does not know our package: that of an environment.

Executed as a file, `python -I apart.py <module>`; standard library only. The package is put in its
place without a change of the import path, which would show a stage the libraries of the runner
beside those of its own environment.
"""

import importlib
import sys
import types


def main() -> None:
    """Calls `main()` of the module that the command line names."""
    package = types.ModuleType("noether_runner")
    package.__path__ = [__file__.rsplit("/", 3)[0]]
    sys.modules["noether_runner"] = package
    importlib.import_module(sys.argv[1]).main()


if __name__ == "__main__":
    main()
