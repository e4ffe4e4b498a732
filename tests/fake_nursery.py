"""A nursery whose runners are `fake_runner`s; its words are faults: `mute`, `broken`, `hung`."""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fake_runner
from noether_runner import nursery_process
from noether_runner.sandbox.child import Children


class NoChildren:
    """Stands where a runner has its zygote; the fake runner calls no stages."""


def no_children() -> Children:
    children: object = NoChildren()
    return children  # type: ignore[return-value]  # the fake runner never looks at it


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["broken"]:
            sys.exit(5)
        case ["hung"]:
            time.sleep(60)
        case ["mute"]:
            os.write(0, b'{"ready": 1}')
            time.sleep(60)
        case _:
            sys.exit(nursery_process.main(fake_runner.run_contract, no_children))
