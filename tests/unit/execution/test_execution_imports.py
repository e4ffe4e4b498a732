import subprocess
import sys

HEAVY = ("httpx", "asyncio", "loguru", "psutil", "croniter", "cryptography", "logging", "difflib")


def test_running_a_graph_imports_nothing_heavy() -> None:
    program = (
        "import sys, noether_runner.execution.interpreter, noether_runner.execution.recorder,"
        " noether_runner.graph.document, noether_runner.graph.checks, noether_runner.graph.resolve,"
        " noether_runner.graph.canonical;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_whole_run_by_hand_imports_no_pydantic() -> None:
    program = (
        "import sys, noether_runner.by_hand, noether_runner.contract, noether_runner.session,"
        " noether_runner.preflight;"
        "print([name for name in ('pydantic', 'pydantic_core', 'httpx', 'subprocess')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
