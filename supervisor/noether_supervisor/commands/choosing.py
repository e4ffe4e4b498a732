"""Finding the job that a person meant."""

import difflib

from noether_supervisor.config import Job, SchedulerConfig
from noether_supervisor.errors import UsageError


def chosen_job(config: SchedulerConfig, name: str) -> Job:
    """The job of that name; raises `UsageError` that names the nearest ones."""
    if (job := config.job(name)) is not None:
        return job
    names = [each.name for each in config.jobs]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    where = config.path or "the configuration"
    if near:
        advice = f"did you mean {' or '.join(repr(each) for each in near)}?"
    else:
        some = ", ".join(names[:10])
        advice = f"it has {some}{', …' if len(names) > 10 else ''}"
    raise UsageError(f"there is no job {name!r} in {where}; {advice}")
