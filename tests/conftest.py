"""What holds for all tests: properties have no deadline, and CI tries the same cases every time."""

import os

from hypothesis import settings

# A shared machine may be slow at any moment: no test depends on the clock. Where a landing hangs
# on the result, the cases are the same each time; by hand they are new ones.
settings.register_profile("noether", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("noether")
