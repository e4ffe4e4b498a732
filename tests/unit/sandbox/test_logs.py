from hypothesis import given
from hypothesis import strategies as st

from noether_runner.sandbox.logs import MARK_ROOM, Log, LogBuffer

CHUNKS = st.lists(st.binary(max_size=300), max_size=20)


@given(CHUNKS, st.integers(0, 1000))
def test_first_and_last_half_are_kept(chunks: list[bytes], limit: int) -> None:
    buffer = LogBuffer(limit)
    for chunk in chunks:
        buffer.feed(chunk)
    log = buffer.log()
    whole = b"".join(chunks)
    assert log.truncated == (len(whole) > limit)
    if log.truncated:
        assert len(log.head) + len(log.tail) <= max(0, limit - min(MARK_ROOM, len(log.head)))
        assert whole.startswith(log.head)
        assert whole.endswith(log.tail)
        assert len(log.head) + log.dropped + len(log.tail) == len(whole)
    else:
        assert log.head + log.tail == whole


@given(CHUNKS, st.integers(128, 600), st.integers(600, 2000))
def test_cutting_later_is_cutting_at_once(chunks: list[bytes], small: int, large: int) -> None:
    narrow, wide = LogBuffer(small), LogBuffer(large)
    for chunk in chunks:
        narrow.feed(chunk)
        wide.feed(chunk)
    if not wide.log().truncated:
        assert wide.log().cut(small) == narrow.log()


def test_cutting_what_was_cut_counts_all_that_is_missing() -> None:
    log = Log(b"a" * 500, b"z" * 500, dropped=70).cut(400)
    assert len(log.head) + log.dropped + len(log.tail) == 1070


def test_a_flood_is_not_kept() -> None:
    buffer = LogBuffer(1000)
    for _ in range(1000):
        buffer.feed(b"x" * 65536)
    assert len(buffer._tail) < 200_000
    assert buffer.log().dropped > 65_000_000


def test_the_last_bytes() -> None:
    assert Log(b"abc", b"def").tail_bytes(4) == b"cdef"
    assert Log(b"abc", b"def").tail_bytes(2) == b"ef"
    assert Log(b"abc").tail_bytes(10) == b"abc"
