"""`noether-scheduler` with a quicker clockwork: jobs on `* * * * *` are due every second.

And those on `*/3 * * * *` every three seconds.

An entry point for tests only, which the product knows nothing of: the schedule is replaced before
the command line is looked at, everything else is the product's own. Waiting for minutes would
make tests slow, not better.
"""

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from noether_supervisor import jobs
from noether_supervisor.cli import main
from noether_supervisor.schedule.expression import schedule_for

EVERY_MINUTE = "* * * * *"
EVERY_THREE_MINUTES = "*/3 * * * *"


@dataclass(frozen=True)
class EverySeconds:
    """Due at every so many seconds, as counted from a full hour."""

    seconds: int

    def next(self, after: datetime) -> datetime:
        """The first such second later than `after`."""
        second = after.astimezone(UTC).replace(microsecond=0)
        past = (second.minute * 60 + second.second) % self.seconds
        return second + timedelta(seconds=self.seconds - past)


_QUICK = {EVERY_MINUTE: EverySeconds(1), EVERY_THREE_MINUTES: EverySeconds(3)}


def quick_schedule(cron: str, zone: ZoneInfo) -> Any:
    """The schedule of an expression; every second in place of every minute."""
    return _QUICK.get(cron) or schedule_for(cron, zone)


if __name__ == "__main__":
    with patch.object(jobs, "schedule_for", quick_schedule):
        sys.exit(main())
