"""Whatever a registry answers: a proven stage, or one error; and never more than it may take."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bad_input import fewer, noise, odd_strings, outcome, spoilt_texts
from noether_runner.errors import RunnerError
from noether_runner.stages.stage import write_stage
from noether_runner.stores.registry.settings import Settings
from registry_samples import Runs
from registry_server import Answer, Asked, Registry, serving
from stage_samples import sample

STAGE = sample("wanted")
RECORD = write_stage(STAGE)
IMPATIENT = Settings(
    delays_seconds=(0.0,), attempts=2, unasked_wait_seconds=0.0, body_bytes=60_000, pages=5
)
HEADERS: dict[str, st.SearchStrategy[str]] = {
    "Retry-After": st.sampled_from(["0", "-1", "x", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 30]),
    "X-RateLimit-Limit": st.sampled_from(["0", "1000000", "-5", "x", "9" * 40]),
    "X-RateLimit-Remaining": st.sampled_from(["0", "-1", "x", "1e9"]),
    "ETag": st.sampled_from(['"a"', "", "W/", '"' + "x" * 500 + '"', '"\xe9"']),
    "Location": st.sampled_from(["/stages", "http://other.invalid/", "//", "http://[", "\\", ""]),
    "Content-Encoding": st.sampled_from(["gzip", "identity", "x", ""]),
    "Content-Type": st.sampled_from(["text/html; charset=utf-16", "application/json", ";"]),
}
answers = st.builds(
    Answer,
    st.sampled_from(
        [200, 200, 200, 204, 301, 302, 304, 400, 401, 404, 418, 422, 429, 500, 503, 599]
    ),
    st.one_of(
        noise,
        spoilt_texts({"ok": True, "result": RECORD}),
        spoilt_texts({"ok": True, "result": {"stages": [RECORD], "total": 1, "limit": 50}}),
        spoilt_texts(
            {"ok": False, "error": {"code": "STORE_ERROR", "message": "m", "details": {}}}
        ),
        odd_strings.map(lambda text: {"ok": False, "error": {"code": text, "message": text}}),
    ),
    st.fixed_dictionaries({}, optional=HEADERS),
)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with serving(Registry(list)) as it:
        yield it


@fewer
@given(
    reference=st.sampled_from([STAGE.id, STAGE.signature_id, "wanted", STAGE.id[:8]]),
    data=st.data(),
)
def test_an_answer_is_a_proven_stage_or_one_error(
    registry: Registry, reference: str, data: st.DataObject
) -> None:
    given_ = [data.draw(answers) for _ in range(3)]

    def trouble(asked: Asked) -> Answer:
        return given_[min(len(registry.asked), len(given_)) - 1]

    registry.asked.clear()
    registry.trouble = trouble
    runs = Runs(registry, None, settings=IMPATIENT)
    run = outcome(lambda: runs.resolve(reference), RunnerError)
    if isinstance(run, RunnerError):
        assert run.message
        assert len(run.message) < 3000
    else:
        assert run.ids == [STAGE.id]
        assert run.stages[STAGE.id].code == STAGE.code
    assert len(registry.asked) <= 40
