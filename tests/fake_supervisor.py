"""A supervisor to be killed: starts runs that never end, tells all pids, waits."""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from launching import BY_NURSERY, launching, started, written_pids
from noether_supervisor.runs.process import descendants_of


async def main(folder: Path) -> None:
    async with launching(BY_NURSERY) as launcher:
        for name in ("one", "two"):
            left = folder / name
            left.mkdir()
            await started(launcher, folder, f"hang:{left}", run_id=name)
        strays = [*written_pids(folder / "one"), *written_pids(folder / "two")]
        pids = sorted({*descendants_of(os.getpid()), *strays})
        print(*pids, flush=True)  # noqa: T201 - what the test reads
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
