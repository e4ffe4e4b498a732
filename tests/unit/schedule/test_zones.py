"""Time zones of jobs and of the process: exact, or an error that names them."""

import shutil
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from noether_supervisor.schedule.expression import schedule_for
from noether_supervisor.schedule.zones import ZoneError, named_zone, process_zone

RULE = "CET-1CEST,M3.5.0,M10.5.0/3"


def madrid_file(folder: Path) -> Path:
    path = folder / "zone"
    source = resources.files("tzdata.zoneinfo.Europe").joinpath("Madrid")
    path.write_bytes(source.read_bytes())
    return path


def offsets(zone: ZoneInfo, year: int) -> list[timedelta | None]:
    start = datetime(year, 1, 1, tzinfo=UTC)
    hours = (start + timedelta(hours=index) for index in range(366 * 24))
    return [hour.astimezone(zone).utcoffset() for hour in hours]


def test_a_named_zone() -> None:
    assert named_zone("Europe/Madrid") is ZoneInfo("Europe/Madrid")


@pytest.mark.parametrize(
    "key",
    ["Mars/Olympus", "", "/etc/localtime", "../etc", "Europe\0", "Europe", "x" * 5000, "\ud800"],
)
def test_what_is_no_zone(key: str) -> None:
    with pytest.raises(ZoneError, match="is unknown") as refused:
        named_zone(key)
    assert len(refused.value.message) < 250
    assert refused.value.message.isascii()


def test_a_near_name_is_proposed() -> None:
    with pytest.raises(ZoneError, match=r"did you mean Europe/Madrid\?"):
        named_zone("europe/madird")


# --- TZ ------------------------------------------------------------------------------------------


def test_tz_unset_means_the_zone_of_the_system(tmp_path: Path) -> None:
    zone = process_zone({}, madrid_file(tmp_path))
    assert offsets(zone, 2026) == offsets(ZoneInfo("Europe/Madrid"), 2026)
    assert process_zone({}, tmp_path / "nowhere").key == "UTC"


def test_a_link_into_the_database_tells_the_name(tmp_path: Path) -> None:
    database = tmp_path / "zoneinfo" / "Europe"
    database.mkdir(parents=True)
    shutil.move(madrid_file(tmp_path), database / "Madrid")
    link = tmp_path / "localtime"
    link.symlink_to(database / "Madrid")
    assert process_zone({}, link).key == "Europe/Madrid"


def test_a_link_into_a_database_that_is_gone_still_tells_the_name(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    link.symlink_to(tmp_path / "zoneinfo" / "Asia" / "Tokyo")
    assert process_zone({}, link).key == "Asia/Tokyo"
    link.unlink()
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ZoneError, match=r"link to .*elsewhere, which is not there"):
        process_zone({}, link)


def test_a_broken_system_zone_is_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "localtime"
    broken.write_bytes(b"TZif2 nothing more")
    with pytest.raises(ZoneError, match="localtime cannot be used"):
        process_zone({}, broken)


@pytest.mark.parametrize(
    ("value", "key"),
    [("", "UTC"), ("Asia/Tokyo", "Asia/Tokyo"), (":Asia/Tokyo", "Asia/Tokyo"), ("UTC", "UTC")],
)
def test_tz_names_a_zone(value: str, key: str) -> None:
    assert process_zone({"TZ": value}).key == key


@pytest.mark.parametrize("prefix", ["", ":"])
def test_tz_is_the_path_of_a_file(tmp_path: Path, prefix: str) -> None:
    zone = process_zone({"TZ": f"{prefix}{madrid_file(tmp_path)}"})
    assert offsets(zone, 2026) == offsets(ZoneInfo("Europe/Madrid"), 2026)


def test_the_same_zone_twice_gives_equal_schedules(tmp_path: Path) -> None:
    environ = {"TZ": str(madrid_file(tmp_path))}
    first = schedule_for("0 9 * * *", process_zone(environ))
    assert schedule_for("0 9 * * *", process_zone(environ)) is first
    rule = schedule_for("0 9 * * *", process_zone({"TZ": RULE}))
    assert schedule_for("0 9 * * *", process_zone({"TZ": RULE})) is rule


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        (RULE, "Europe/Madrid"),
        ("EST5EDT,M3.2.0,M11.1.0", "America/New_York"),
        ("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "Australia/Lord_Howe"),
        ("IST-1GMT0,M10.5.0,M3.5.0/1", "Europe/Dublin"),
        ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "America/Nuuk"),
        ("<+0545>-5:45", "Asia/Kathmandu"),
        ("IST-2IDT,M3.4.4/26,M10.5.0", "Asia/Jerusalem"),
    ],
)
def test_a_posix_rule_is_evaluated_exactly(rule: str, key: str) -> None:
    zone = process_zone({"TZ": rule})
    assert zone.key == rule
    for year in (2026, 2027, 2028):
        assert offsets(zone, year) == offsets(ZoneInfo(key), year)


@pytest.mark.parametrize(
    "value",
    [
        "Mars/Olympus",
        "Foo",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M3.5.0,M10.5.0/3,",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.0,M13.5.0",
        "CET-1:00:30CEST,M3.5.0,M10.5.0",
        "CET-25",
        # evaluated otherwise by zoneinfo than by the C library
        "CET-1CEST,J60,J300",
        "CET-1CEST,59,300",
        "CET-1CEST,M12.5.0,M6.1.0",
        "CET-1CEST,M3.5.0,M1.1.0",
        "CET-1CEST,M3.5.0/200,M10.5.0",
        "CET-1CEST,M6.3.2,M6.4.0",
        ":" + RULE,
        ":",
        "utc ",
        "/nonexistent/zone",
        "/etc",
        "A" * 100_000,
    ],
)
def test_anything_else_is_an_error_that_names_tz(value: str) -> None:
    with pytest.raises(ZoneError, match="TZ is '") as refused:
        process_zone({"TZ": value})
    assert refused.value.exit_code == 2
    assert len(refused.value.message) < 400


def test_a_cut_file_is_an_error_at_any_length(tmp_path: Path) -> None:
    path = madrid_file(tmp_path)
    image = path.read_bytes()
    # also inside its footer, where zoneinfo alone would never stop
    for length in (*range(0, len(image), 7), *range(len(image) - 40, len(image))):
        path.write_bytes(image[:length])
        with pytest.raises(ZoneError):
            process_zone({"TZ": str(path)})


def test_the_schedule_of_a_rule_knows_its_clock_changes() -> None:
    schedule = schedule_for("30 2 * * *", process_zone({"TZ": RULE}))
    found = schedule.next(datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert found == datetime(2026, 3, 29, 1, tzinfo=UTC)
