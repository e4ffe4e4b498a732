"""The scenarios of a session run side by side; in the end one line tells what they came to."""

from collections.abc import Iterator

import pytest

from chaos_arena import ACCOUNTS, Arena, opened_arena, summary


@pytest.fixture(scope="session")
def arena(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Arena]:
    with opened_arena(request.session.items, tmp_path_factory.mktemp) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ACCOUNTS:
        for account in ACCOUNTS:
            terminalreporter.write_line(f"  {account}")
        terminalreporter.write_line(summary())
