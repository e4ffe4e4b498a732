"""Outages and jumps of the clock: missed, last, all; and what a start finds."""

import pytest

from unit.decisions.story import Story, job


def test_without_catch_up_an_outage_is_one_record() -> None:
    story = Story(job("a"), at="10:02", positions={"a": "08:05"})
    assert story.opening == ["missed a 08:10..10:00 x23: service was down", "sleep 10:05"]


def test_last_runs_the_last_instant_and_records_the_others() -> None:
    story = Story(job("a", catch_up="last"), at="10:02", positions={"a": "08:05"})
    assert story.opening == [
        "missed a 08:10..09:55 x22: service was down",
        "start a@10:00",
        "sleep 10:05",
    ]


def test_last_outside_the_window_is_missed() -> None:
    policy = job("a", "0 9 * * *", catch_up="last", catch_up_window=3600)
    assert Story(policy, at="10:00", positions={"a": "08:00"}).opening == [
        "start a@09:00",
        "sleep +1 09:00",
    ]
    assert Story(policy, at="10:00:00.001", positions={"a": "08:00"}).opening == [
        "missed a 09:00..09:00 x1: service was down",
        "sleep +1 09:00",
    ]


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_all_run_one_after_another_whatever_the_overlap(overlap: str) -> None:
    story = Story(job("a", catch_up="all", overlap=overlap), at="08:16", positions={"a": "08:00"})
    assert story.opening == ["start a@08:05", "wait a@08:10", "wait a@08:15", "sleep 08:20"]
    assert story.ended("a@08:05") == ["start a@08:10"]
    assert story.ended("a@08:10") == ["start a@08:15"]


def test_all_within_the_window_and_the_rest_missed() -> None:
    policy = job("a", catch_up="all", catch_up_window=600, overlap="allow")
    assert Story(policy, at="08:30", positions={"a": "08:00"}).opening == [
        "missed a 08:05..08:15 x3: service was down",
        "start a@08:20",
        "start a@08:25",
        "start a@08:30",
        "sleep 08:35",
    ]


def test_caught_up_fires_of_all_jobs_start_in_due_order() -> None:
    story = Story(
        job("a", "4 8 * * *", catch_up="last"),
        job("b", "2 8 * * *", catch_up="all"),
        job("c", "1 8 * * *"),
        at="08:10",
        cap=1,
        positions={"a": "07:00", "b": "07:00", "c": "07:00"},
    )
    assert story.opening == [
        "missed c 08:01..08:01 x1: service was down",
        "start b@08:02",
        "wait a@08:04",
        "sleep +1 08:01",
    ]


def test_what_jitter_holds_back_is_not_missed() -> None:
    policy = job("a", jitter_seconds=120)
    story = Story(policy, at="08:06", positions={"a": "08:00"})
    assert story.opening == ["sleep 08:07"]
    assert story.at("08:07").woke() == ["start a@08:05", "sleep 08:12"]
    assert Story(policy, at="08:12", positions={"a": "08:00"}).opening == [
        "missed a 08:05..08:10 x2: service was down",
        "sleep 08:17",
    ]


def test_a_window_shorter_than_the_jitter_does_not_miss_what_is_held() -> None:
    policy = job("a", jitter_seconds=120, catch_up="all", catch_up_window=30)
    story = Story(policy, at="08:11:59", positions={"a": "08:00"})
    assert story.opening == ["missed a 08:05..08:05 x1: service was down", "sleep 08:12"]


def test_a_job_seen_first_counts_from_now() -> None:
    story = Story(job("a", catch_up="all"), at="08:05", positions={})
    assert story.opening == ["position a 08:05", "sleep 08:10"]


def test_a_position_ahead_of_the_clock_is_not_fired_again() -> None:
    story = Story(job("a"), at="08:00", positions={"a": "09:00"})
    assert story.opening == ["sleep 09:05"]


def test_a_job_disabled_at_the_start_loses_its_position() -> None:
    story = Story(job("a", enabled=False), at="08:00", positions={"a": "07:00"})
    assert story.opening == ["position a none", "sleep none"]


# --- waiting fires of a dead service -------------------------------------------------------------


def test_waiting_fires_of_a_dead_service_start_first_and_are_not_recorded_again() -> None:
    story = Story(
        job("a", catch_up="all"),
        job("b"),
        at="08:16",
        cap=1,
        positions={"a": "08:10", "b": "08:15"},
        waiting=["b@08:15", "a@08:10"],
    )
    assert story.opening == ["start a@08:10", "wait a@08:15", "sleep 08:20"]
    assert story.ended("a@08:10") == ["start b@08:15"]
    assert story.ended("b@08:15") == ["start a@08:15"]


def test_waiting_fires_without_a_job_are_dropped_with_a_record() -> None:
    story = Story(
        job("b", enabled=False),
        at="08:06",
        positions={"b": "08:05"},
        waiting=["a@08:05", "b@08:05"],
    )
    assert story.opening == [
        "skip a@08:05: job removed",
        "skip b@08:05: job disabled",
        "position b none",
        "sleep none",
    ]


# --- jumps of the clock --------------------------------------------------------------------------


def test_a_jump_forwards_is_a_gap() -> None:
    story = Story(job("a"), job("b", catch_up="last"))
    story.at("08:05").woke()
    story.ended("a@08:05")
    assert story.at("09:00").jumped() == [
        "missed a 08:10..09:00 x11: clock jumped",
        "missed b 08:10..08:55 x10: clock jumped",
        "wait b@09:00",
        "sleep 09:05",
    ]
    assert story.ended("b@08:05") == ["start b@09:00"]


def test_a_jump_without_a_gap_only_sets_the_alarm_again() -> None:
    story = Story(job("a"))
    assert story.at("08:04").jumped() == ["sleep 08:05"]
    assert story.at("08:05").woke() == ["start a@08:05", "sleep 08:10"]


def test_a_jump_backwards_fires_nothing_twice() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    story.ended("a@08:05")
    assert story.at("07:00").jumped() == ["sleep 08:10"]
    assert story.at("08:05").woke() == []
    assert story.at("08:10").woke() == ["start a@08:10", "sleep 08:15"]
