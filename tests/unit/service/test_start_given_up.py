"""A run whose start is waited for no longer, as a look at the graphs when the service stops."""

import asyncio
import contextlib
from pathlib import Path

from launching import BY_NURSERY, launching, request


def test_a_start_that_is_given_up_leaves_no_directory(tmp_path: Path) -> None:
    asked = request(tmp_path, "hang")

    async def give_up() -> None:
        async with launching(BY_NURSERY) as launcher:
            starting = asyncio.create_task(launcher.start(asked))
            while not Path(asked.work_dir).exists():
                assert not starting.done()
                await asyncio.sleep(0)
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
            assert starting.cancelled()
            assert not Path(asked.work_dir).exists()

    asyncio.run(give_up())
