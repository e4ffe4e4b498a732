import threading

import pytest

from noether_runner.execution.crew import Broken, Crew, Done


def test_endings_come_in_the_order_of_the_tasks() -> None:
    for threads in (0, 1, 3, 10):
        endings = Crew(threads).run_all([lambda n=n: n for n in range(7)])  # type: ignore[misc]
        assert endings == [Done(n) for n in range(7)]


def test_no_tasks() -> None:
    assert Crew(4).run_all([]) == []


def test_what_a_task_raises_is_its_ending() -> None:
    def breaks() -> None:
        raise ValueError("x")

    for threads in (0, 2):
        first, second, third = Crew(threads).run_all([lambda: 1, breaks, lambda: 3])
        assert (first, third) == (Done(1), Done(3))
        assert isinstance(second, Broken)
        assert isinstance(second.error, ValueError)


def test_never_more_threads_than_allowed_however_deep_the_nesting() -> None:
    crew = Crew(3)
    caller = threading.current_thread()
    seen: set[threading.Thread] = set()
    most = 0

    def nested(depth: int) -> int:
        nonlocal most
        seen.add(threading.current_thread())
        most = max(most, threading.active_count())
        if depth:
            endings = crew.run_all([lambda: nested(depth - 1)] * 3)
            assert all(isinstance(ending, Done) for ending in endings)
        return depth

    before = threading.active_count()
    assert nested(5) == 5
    assert most <= before + 3
    assert caller in seen
    assert threading.active_count() == before


def test_threads_are_free_again_afterwards() -> None:
    crew = Crew(2)
    for _ in range(3):
        meeting = threading.Barrier(3, timeout=30)
        endings = crew.run_all([lambda meeting=meeting: meeting.wait() >= 0] * 3)  # type: ignore[misc]
        assert endings == [Done(True)] * 3


def test_tasks_that_are_not_worth_a_thread_get_none() -> None:
    caller = threading.current_thread()
    endings = Crew(4).run_all([lambda: threading.current_thread() is caller] * 3, wanted=1)
    assert endings == [Done(True)] * 3


def test_a_system_without_threads_left_runs_everything_on_the_caller(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew = Crew(2)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert crew.run_all([lambda: 1, lambda: 2]) == [Done(1), Done(2)]
    meeting = threading.Barrier(3, timeout=30)
    assert crew.run_all([lambda: meeting.wait() >= 0] * 3) == [Done(True)] * 3
