"""When jobs are due: cron expressions in time zones, and the fires of an interval."""
