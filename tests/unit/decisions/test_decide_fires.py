"""Due fires: order, lateness, overlap, the cap, jitter, runs by hand."""

import pytest

from noether_supervisor.decisions.decide import decide
from noether_supervisor.decisions.events import RunEnded, Woke
from unit.decisions.story import Story, instant, job


def test_a_due_fire_starts_and_the_next_wake_up_is_told() -> None:
    story = Story(job("a"))
    assert story.opening == ["sleep 08:05"]
    assert story.at("08:05").woke() == ["start a@08:05", "sleep 08:10"]
    assert story.at("08:06").ended("a@08:05") == []
    assert story.at("08:10").woke() == ["start a@08:10", "sleep 08:15"]


def test_waking_too_early_changes_nothing() -> None:
    story = Story(job("a"))
    before = story.state
    assert story.at("08:04:59.999").woke() == []
    assert story.state is before


def test_lateness_never_drops_a_fire() -> None:
    story = Story(job("a"))
    assert story.at("08:09:59").woke() == ["start a@08:05", "sleep 08:10"]


def test_several_instants_found_late_are_handled_in_order() -> None:
    story = Story(job("a", overlap="queue"), job("b", overlap="allow"))
    assert story.at("08:16").woke() == [
        "start a@08:05",
        "start b@08:05",
        "wait a@08:10",
        "start b@08:10",
        "skip a@08:15: queue full (a@08:10)",
        "start b@08:15",
        "sleep 08:20",
    ]


def test_a_fire_of_an_unknown_run_is_ignored() -> None:
    story = Story(job("a"))
    before = story.state
    assert decide(before, RunEnded("x@20260414T080000Z", instant("08:01"))) == (before, ())


def test_a_returned_state_is_never_changed_later() -> None:
    story = Story(job("a"), job("b"), cap=1)
    story.at("08:05").woke()
    kept = story.state
    shown = repr(kept)
    story.ended("a@08:05")
    story.at("08:10").woke()
    story.changed(job("c"))
    assert repr(kept) == shown
    # so an event can be answered twice, with the same answer
    assert decide(kept, Woke(instant("08:10"))) == decide(kept, Woke(instant("08:10")))


# --- overlap -------------------------------------------------------------------------------------


def test_skip_records_the_fire_and_the_run_in_its_way() -> None:
    story = Story(job("a", overlap="skip"))
    story.at("08:05").woke()
    assert story.at("08:10").woke() == ["skip a@08:10: overlap (a@08:05)", "sleep 08:15"]
    story.ended("a@08:05")
    assert story.at("08:15").woke() == ["start a@08:15", "sleep 08:20"]


def test_queue_keeps_one_fire_and_skips_the_others() -> None:
    story = Story(job("a", overlap="queue"))
    story.at("08:05").woke()
    assert story.at("08:10").woke() == ["wait a@08:10", "sleep 08:15"]
    assert story.at("08:15").woke() == ["skip a@08:15: queue full (a@08:10)", "sleep 08:20"]
    assert story.at("08:17").ended("a@08:05") == ["start a@08:10"]
    assert story.at("08:20").woke() == ["wait a@08:20", "sleep 08:25"]


def test_allow_starts_beside() -> None:
    story = Story(job("a", overlap="allow"))
    story.at("08:05").woke()
    assert story.at("08:10").woke() == ["start a@08:10", "sleep 08:15"]


def test_replace_kills_and_starts_when_the_old_run_is_gone() -> None:
    story = Story(job("a", overlap="replace"))
    story.at("08:05").woke()
    assert story.at("08:10").woke() == [
        "kill a@08:05: replaced",
        "wait a@08:10",
        "sleep 08:15",
    ]
    # the kill takes its time: the newest fire wins, and nothing is killed twice
    assert story.at("08:15").woke() == [
        "skip a@08:10: replaced (a@08:15)",
        "wait a@08:15",
        "sleep 08:20",
    ]
    assert story.at("08:15:01").ended("a@08:05") == ["start a@08:15"]


# --- the cap -------------------------------------------------------------------------------------


def test_further_fires_wait_in_due_order() -> None:
    story = Story(job("a"), job("b", "*/4 * * * *"), job("c"), cap=1)
    assert story.at("08:04").woke() == ["start b@08:04", "sleep 08:05"]
    assert story.at("08:05").woke() == ["wait a@08:05", "wait c@08:05", "sleep 08:08"]
    assert story.at("08:08").woke() == ["skip b@08:08: overlap (b@08:04)", "sleep 08:10"]
    assert story.at("08:09").ended("b@08:04") == ["start a@08:05"]
    assert story.at("08:09").ended("a@08:05") == ["start c@08:05"]
    assert story.at("08:09").ended("c@08:05") == []


def test_a_job_whose_fire_waits_for_a_place_counts_as_open() -> None:
    story = Story(job("a", "4 * * * *"), job("b"), cap=1)
    story.at("08:04").woke()
    story.at("08:05").woke()
    assert story.at("08:10").woke() == ["skip b@08:10: overlap (b@08:05)", "sleep 08:15"]


def test_a_fire_blocked_by_its_own_job_lets_others_pass() -> None:
    story = Story(job("a", overlap="queue"), job("b", "11 * * * *"), job("c", "1 8 * * *"), cap=2)
    story.at("08:01").woke()
    story.at("08:05").woke()
    assert story.at("08:10").woke() == ["wait a@08:10", "sleep 08:11"]
    assert story.at("08:11").woke() == ["wait b@08:11", "sleep 08:15"]
    assert story.at("08:12").ended("c@08:01") == ["start b@08:11"]
    assert story.at("08:12").ended("a@08:05") == ["start a@08:10"]


def test_a_run_that_is_being_killed_keeps_its_place() -> None:
    story = Story(job("a", overlap="replace"), job("b", "11 * * * *"), cap=1)
    story.at("08:05").woke()
    story.at("08:10").woke()
    assert story.at("08:11").woke() == ["wait b@08:11", "sleep 08:15"]
    assert story.ended("a@08:05") == ["start a@08:10"]


def test_newest_wins_also_among_waiting_fires() -> None:
    story = Story(job("a", overlap="replace"), job("b", "4 * * * *"), cap=1)
    story.at("08:04").woke()
    story.at("08:05").woke()
    assert story.at("08:10").woke() == [
        "skip a@08:05: replaced (a@08:10)",
        "wait a@08:10",
        "sleep 08:15",
    ]


# --- jitter --------------------------------------------------------------------------------------


def test_jitter_moves_the_start_and_not_the_fire() -> None:
    story = Story(job("a", jitter_seconds=90), job("b"))
    assert story.opening == ["sleep 08:05"]
    assert story.at("08:05").woke() == ["start b@08:05", "sleep 08:06:30"]
    assert story.at("08:06:30").woke() == ["start a@08:05", "sleep 08:10"]


def test_jitter_longer_than_the_interval_loses_nothing() -> None:
    story = Story(job("a", "* * * * *", jitter_seconds=150, overlap="allow"))
    assert story.opening == ["sleep 08:03:30"]
    assert story.at("08:03:30").woke() == ["start a@08:01", "sleep 08:04:30"]
    assert story.at("08:04:30").woke() == ["start a@08:02", "sleep 08:05:30"]


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlap", ["skip", "queue", "allow", "replace"])
def test_a_run_by_hand_starts_beside_a_running_one(overlap: str) -> None:
    story = Story(job("a", overlap=overlap))
    story.at("08:05").woke()
    assert story.at("08:06:01.234567").asked("a") == ["start a@08:06:01.234 by hand"]


def test_a_run_by_hand_waits_for_a_place_only() -> None:
    story = Story(job("a"), cap=1)
    story.at("08:05").woke()
    assert story.at("08:06").asked("a") == ["wait a@08:06 by hand"]
    assert story.at("08:10").woke() == ["skip a@08:10: overlap (a@08:05)", "sleep 08:15"]
    assert story.ended("a@08:05") == ["start a@08:06 by hand"]
    assert story.at("08:15").woke() == ["skip a@08:15: overlap (a@08:06 by hand)", "sleep 08:20"]


def test_a_waiting_run_by_hand_is_neither_replaced_nor_in_the_way_of_the_queue() -> None:
    story = Story(job("a", overlap="queue"), job("b", overlap="replace"), cap=2)
    story.at("08:05").woke()
    assert story.at("08:06").asked("a") == ["wait a@08:06 by hand"]
    assert story.at("08:07").asked("b") == ["wait b@08:07 by hand"]
    assert story.at("08:10").woke() == [
        "wait a@08:10",
        "kill b@08:05: replaced",
        "wait b@08:10",
        "sleep 08:15",
    ]


def test_runs_by_hand_in_one_millisecond_are_different_fires() -> None:
    story = Story(job("a"))
    assert story.at("08:01").asked("a") == ["start a@08:01 by hand"]
    assert story.asked("a") == ["start a@08:01:00.001 by hand"]
    assert story.ended("a@08:01 by hand") == []
    assert story.asked("a") == ["start a@08:01:00.002 by hand"]


def test_a_disabled_job_runs_by_hand_and_an_unknown_one_is_skipped() -> None:
    story = Story(job("a", enabled=False), positions={})
    assert story.opening == ["sleep none"]
    assert story.at("08:01").asked("a") == ["start a@08:01 by hand"]
    assert story.asked("b") == ["skip b@08:01:00.001 by hand: job removed"]
