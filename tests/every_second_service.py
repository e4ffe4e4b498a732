"""`noether-scheduler` with a quicker clockwork: jobs on `* * * * *` are due every second.

An entry point for tests only, which the product knows nothing of: the schedule is replaced before
the command line is looked at, everything else is the product's own. Waiting for minutes would
make tests slow, not better.
"""

import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from noether_supervisor import jobs
from noether_supervisor.cli import main
from noether_supervisor.schedule.expression import schedule_for

EVERY_MINUTE = "* * * * *"


class EverySecond:
    """Due at every whole second."""

    def next(self, after: datetime) -> datetime:
        """The first whole second later than `after`."""
        return after.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)


_EVERY_SECOND = EverySecond()


def quick_schedule(cron: str, zone: ZoneInfo) -> Any:
    """The schedule of an expression; every second in place of every minute."""
    return _EVERY_SECOND if cron == EVERY_MINUTE else schedule_for(cron, zone)


if __name__ == "__main__":
    with patch.object(jobs, "schedule_for", quick_schedule):
        sys.exit(main())
