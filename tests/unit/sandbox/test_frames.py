import pytest
from hypothesis import given
from hypothesis import strategies as st

from noether_runner.sandbox.frames import FrameReader
from noether_runner.sandbox.wire import frame

TOKEN = "0123456789abcdef"


def reader(limit: int = 100) -> FrameReader:
    return FrameReader(TOKEN, limit)


def test_a_result_between_scribbles() -> None:
    frames = reader()
    frames.feed(b'{"forged": 1}\nfedcba9876543210 R 4\nnull' + frame(TOKEN, "R", b"[1]") + b"junk")
    assert frames.result == b"[1]"
    assert frames.answered
    assert not frames.incomplete


def test_the_first_result_counts_and_an_error_after_it_is_kept() -> None:
    frames = reader()
    frames.feed(frame(TOKEN, "R", b"1") + frame(TOKEN, "R", b"2") + frame(TOKEN, "E", b"{}"))
    assert (frames.result, frames.error) == (b"1", b"{}")


def test_an_empty_result_is_an_answer() -> None:
    frames = reader()
    frames.feed(frame(TOKEN, "R", b""))
    assert frames.result == b""
    assert frames.answered


def test_an_announced_result_over_the_limit_is_known_before_it_arrives() -> None:
    frames = reader(limit=3)
    frames.feed(b"\n%s R 4\n" % TOKEN.encode())
    assert frames.too_large


def test_a_result_at_the_limit_is_taken() -> None:
    frames = reader(limit=3)
    frames.feed(frame(TOKEN, "R", b"123"))
    assert (frames.result, frames.too_large) == (b"123", False)


def test_a_frame_that_breaks_off() -> None:
    frames = reader()
    frames.feed(frame(TOKEN, "R", b"12345")[:-1])
    assert frames.result is None
    assert frames.incomplete


def test_a_stream_is_all_that_follows() -> None:
    frames = reader()
    frames.feed(b"noise" + frame(TOKEN, "S", b"") + b"[1,")
    frames.feed(b" 2]" + frame(TOKEN, "R", b"3"))
    assert frames.streamed
    assert frames.stream() == b"[1, 2]" + frame(TOKEN, "R", b"3")
    assert frames.result is None


def test_a_stream_over_the_limit() -> None:
    frames = reader(limit=10)
    frames.feed(frame(TOKEN, "S", b"") + b"x" * 10)
    assert not frames.too_large
    frames.feed(b"x")
    assert frames.too_large


@pytest.mark.parametrize("header", [b"R -1", b"R 1x", b"X 1", b"R  1", b"R 9999999999999999"])
def test_a_damaged_header_is_noise(header: bytes) -> None:
    frames = reader()
    frames.feed(b"\n%s %s\n1" % (TOKEN.encode(), header))
    assert not frames.answered
    assert not frames.incomplete


@given(st.binary(max_size=200), st.binary(max_size=100), st.lists(st.integers(1, 50), max_size=40))
def test_however_the_bytes_are_cut(noise: bytes, payload: bytes, cuts: list[int]) -> None:
    """The same frame comes out of every slicing of the same bytes."""
    text = noise.replace(TOKEN.encode(), b"") + frame(TOKEN, "R", payload)
    frames = reader()
    position = 0
    for cut in cuts:
        frames.feed(text[position : position + cut])
        position += cut
    frames.feed(text[position:])
    assert frames.result == payload


def test_noise_is_not_kept() -> None:
    frames = reader()
    for _ in range(100):
        frames.feed(b"\n" * 65536)
    assert len(frames._pending) < 100
