"""A configuration that is read again, and the stop of the service."""

from unit.decisions.story import Story, job


def test_an_unchanged_job_goes_on() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    assert story.changed(job("a", overlap="allow")) == []
    assert story.at("08:10").woke() == ["start a@08:10", "sleep 08:15"]


def test_another_spelling_of_a_schedule_is_no_change() -> None:
    story = Story(job("a", "0 9 * * 1-5"))
    assert story.at("08:01").changed(job("a", "0 9 * * mon-fri")) == []


def test_a_changed_schedule_takes_effect_from_now() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    story.ended("a@08:05")
    assert story.at("08:07:30").changed(job("a", "* * * * *")) == [
        "position a 08:07:30",
        "sleep 08:08",
    ]
    assert story.at("08:08").woke() == ["start a@08:08", "sleep 08:09"]


def test_a_changed_schedule_does_not_lose_what_was_due() -> None:
    story = Story(job("a", jitter_seconds=60))
    assert story.at("08:05:20").changed(job("a", "0 9 * * *", jitter_seconds=60)) == [
        "start a@08:05",
        "position a 08:05:20",
        "sleep 09:01",
    ]


def test_a_changed_schedule_after_a_jump_backwards_refires_nothing() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    story.ended("a@08:05")
    story.at("07:30").jumped()
    assert story.changed(job("a", "*/1 * * * *")) == ["position a 08:05", "sleep 08:06"]


def test_changed_jitter_keeps_the_fire() -> None:
    story = Story(job("a", jitter_seconds=60))
    assert story.at("08:05:20").changed(job("a")) == ["sleep 08:05"]
    assert story.woke() == ["start a@08:05", "sleep 08:10"]


def test_a_disabled_job_fires_nothing_and_counts_from_its_return() -> None:
    story = Story(job("a", catch_up="all"))
    assert story.at("08:01").changed(job("a", enabled=False)) == [
        "position a none",
        "sleep none",
    ]
    assert story.at("09:00").woke() == []
    assert story.changed(job("a", enabled=False)) == []
    assert story.at("09:02").changed(job("a", catch_up="all")) == [
        "position a 09:02",
        "sleep 09:05",
    ]


def test_a_paused_job_fires_nothing_and_counts_from_its_resumption() -> None:
    story = Story(job("a", catch_up="all", overlap="queue", jitter_seconds=60), cap=1)
    story.at("08:06").woke()
    story.at("08:11").woke()
    assert story.at("08:15:10").changed(job("a", paused=True)) == [
        "skip a@08:10: job paused",
        "skip a@08:15: job paused",
        "position a none",
        "sleep none",
    ]
    assert story.asked("a") == ["wait a@08:15:10 by hand"]
    assert story.at("08:30").woke() == []
    assert story.ended("a@08:05") == ["start a@08:15:10 by hand"]
    assert story.at("09:02").changed(job("a", catch_up="all")) == [
        "position a 09:02",
        "sleep 09:05",
    ]


def test_a_disabled_job_that_is_resumed_stays_disabled() -> None:
    story = Story(job("a"))
    story.at("08:01").changed(job("a", enabled=False, paused=True))
    assert story.at("08:06").changed(job("a", enabled=False)) == []
    assert story.at("08:11").changed(job("a", paused=True)) == []
    assert story.at("08:16").changed(job("a")) == ["position a 08:16", "sleep 08:20"]


def test_what_is_due_when_a_job_is_disabled_or_removed_is_recorded() -> None:
    story = Story(job("a", jitter_seconds=60), job("b", jitter_seconds=60))
    assert story.at("08:05:10").changed(job("a", enabled=False)) == [
        "skip a@08:05: job disabled",
        "skip b@08:05: job removed",
        "position a none",
        "position b 08:05:10",
        "sleep none",
    ]


def test_a_removed_job_keeps_its_run_and_loses_its_waiting_fire() -> None:
    story = Story(job("a", overlap="queue"), job("b"), cap=1)
    story.at("08:05").woke()
    story.asked("a")
    assert story.at("08:06").changed(job("b")) == [
        "skip a@08:05 by hand: job removed",
        "position a 08:06",
    ]
    assert story.at("08:07").ended("a@08:05") == ["start b@08:05"]


def test_a_removed_job_that_returns_is_still_running() -> None:
    daily = job("b", "0 0 * * *")
    story = Story(job("a"), daily)
    story.at("08:05").woke()
    assert story.at("08:06").changed(daily) == ["position a 08:06", "sleep +1 00:00"]
    assert story.at("08:07").changed(job("a"), daily) == ["sleep 08:10"]
    assert story.at("08:10").woke() == ["skip a@08:10: overlap (a@08:05)", "sleep 08:15"]


def test_a_job_that_returns_goes_on_where_it_was_removed() -> None:
    daily = job("b", "0 0 * * *")
    story = Story(job("a"), daily)
    story.at("08:05").woke()
    story.at("08:06").changed(daily)
    # its position at the start of the service is of no interest any more
    assert story.at("08:16").changed(job("a"), daily, positions={"a": "08:00"}) == [
        "missed a 08:10..08:15 x2: job was absent",
        "sleep 08:20",
    ]


def test_a_job_that_was_disabled_and_removed_counts_from_its_return() -> None:
    daily = job("b", "0 0 * * *")
    story = Story(job("a"), daily)
    story.at("08:01").changed(job("a", enabled=False), daily)
    assert story.at("08:06").changed(daily) == []
    assert story.at("08:16").changed(job("a"), daily, positions={"a": "08:00"}) == [
        "position a 08:16",
        "sleep 08:20",
    ]


def test_a_new_job_counts_from_now_or_from_its_ledger() -> None:
    story = Story(job("a", "0 0 * * *"))
    changed = story.at("09:01").changed(
        job("a", "0 0 * * *"),
        job("new"),
        job("back", catch_up="last"),
        positions={"back": "08:00"},
    )
    assert changed == [
        "missed back 08:05..08:55 x11: job was absent",
        "start back@09:00",
        "position new 09:01",
        "sleep 09:05",
    ]


def test_a_disabled_job_loses_its_waiting_fire_but_not_what_was_asked() -> None:
    story = Story(job("a"), job("z", "4 8 * * *"), cap=1)
    story.at("08:04").woke()
    story.at("08:05").woke()
    story.at("08:06").asked("a")
    assert story.changed(job("a", enabled=False), job("z", "4 8 * * *")) == [
        "skip a@08:05: job disabled",
        "position a none",
        "sleep +1 08:04",
    ]
    assert story.ended("z@08:04") == ["start a@08:06 by hand"]


def test_a_wider_cap_starts_what_waits() -> None:
    story = Story(job("a"), job("b"), job("c"), cap=1)
    story.at("08:05").woke()
    assert story.changed(job("a"), job("b"), job("c"), cap=2) == ["start b@08:05"]
    # a narrower one kills nothing
    assert story.changed(job("a"), job("b"), job("c"), cap=1) == []
    assert story.ended("a@08:05") == []
    assert story.ended("b@08:05") == ["start c@08:05"]


def test_allow_lets_what_waited_for_its_own_job_start() -> None:
    story = Story(job("a", overlap="queue"))
    story.at("08:05").woke()
    story.at("08:10").woke()
    assert story.changed(job("a", overlap="allow")) == ["start a@08:10"]


def test_one_reload_may_drop_start_and_queue_fires() -> None:
    z = job("z", "4 8 * * *")
    story = Story(job("a"), job("b", overlap="queue"), z, cap=1)
    story.at("08:04").woke()
    story.at("08:05").woke()
    assert story.at("08:10:01").changed(job("b", "0 9 * * *", overlap="queue"), z, cap=2) == [
        "skip a@08:05: job removed",
        "start b@08:05",
        "skip a@08:10: job removed",
        "wait b@08:10",
        "position b 08:10:01",
        "position a 08:10:01",
        "sleep 09:00",
    ]


# --- the stop ------------------------------------------------------------------------------------


def test_an_idle_service_exits_at_once() -> None:
    story = Story(job("a"))
    assert story.at("08:01").stop_asked() == ["exit"]
    assert story.at("08:05").woke() == []
    assert story.asked("a") == []
    assert story.stop_forced() == []


def test_running_runs_get_their_grace() -> None:
    story = Story(job("a"), job("b"))
    story.at("08:05").woke()
    assert story.at("08:06").stop_asked(30) == ["sleep 08:06:30"]
    assert story.at("08:06:10").ended("a@08:05") == []
    assert story.at("08:06:29").woke() == []
    assert story.at("08:06:30").woke() == ["kill b@08:05: stopping", "sleep none"]
    assert story.at("08:06:31").ended("b@08:05") == ["exit"]


def test_nothing_starts_during_a_stop() -> None:
    story = Story(job("a", "* * * * *", overlap="queue"), job("b", "1 8 * * *"), cap=1)
    story.at("08:01").woke()
    assert story.at("08:01:30").stop_asked(600) == ["sleep 08:11:30"]
    assert story.at("08:05").woke() == []
    assert story.changed(job("b")) == []
    assert story.asked("b") == ["skip b@08:05 by hand: service stopping"]
    # the fires that wait stay recorded as waiting: the next start takes them up
    assert story.ended("a@08:01") == ["exit"]
    assert [fire.run_id for fire in story.state.waiting] == ["b@20260414T080100Z"]


def test_a_stop_without_grace_kills_at_once() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    assert story.stop_asked(0) == ["kill a@08:05: stopping", "sleep none"]


def test_a_forced_stop_kills_whatever_runs() -> None:
    story = Story(job("a"), job("b", overlap="replace"))
    story.at("08:05").woke()
    assert story.at("08:10").woke() == [
        "skip a@08:10: overlap (a@08:05)",
        "kill b@08:05: replaced",
        "wait b@08:10",
        "sleep 08:15",
    ]
    story.stop_asked(30)
    assert story.stop_forced() == [
        "kill a@08:05: forced",
        "kill b@08:05: forced",
        "sleep none",
    ]
    assert story.stop_forced() == []
    assert story.ended("a@08:05") == []
    assert story.ended("b@08:05") == ["exit"]


def test_a_forced_stop_needs_no_earlier_one() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    assert story.stop_forced() == ["kill a@08:05: forced", "sleep none"]
    assert Story(job("a")).stop_forced() == ["exit"]


def test_a_jump_backwards_does_not_lengthen_the_grace() -> None:
    story = Story(job("a"))
    story.at("08:05").woke()
    story.stop_asked(30)
    assert story.at("07:00").jumped() == ["sleep 07:00:30"]
    assert story.at("07:00:30").woke() == ["kill a@08:05: stopping", "sleep none"]
