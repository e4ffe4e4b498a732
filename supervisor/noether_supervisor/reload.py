"""SIGHUP: the configuration is read again; a good one replaces the jobs, a bad one changes nothing.

Running runs go on as they were started, and paused jobs stay paused. What belongs to the whole
process (state directory, cap on descriptors) stays; a changed `state_dir` is said to need a
restart.
"""

import os
from pathlib import Path

from loguru import logger

from noether_supervisor.errors import SupervisorError
from noether_supervisor.jobs import load
from noether_supervisor.loop import Loop
from noether_supervisor.observe.systemd import Notifier
from noether_supervisor.opened import Opened


def reload(path: Path, opened: Opened, loop: Loop, notifier: Notifier) -> None:
    """Reads `path` again and tells the loop; an error is logged, and the old jobs stay."""
    notifier.reloading()
    try:
        loaded = load(path, os.environ)
    except SupervisorError as error:
        logger.error("not reloaded, the old configuration stays: {}", error.message)
    else:
        if loaded.config.state_path != opened.state_path:
            logger.warning("state_dir was changed; that takes effect at the next start")
        opened.loaded = loaded
        loop.jobs = {job.name: job for job in loaded.config.jobs}
        loop.happened(opened.changed())
        logger.info("reloaded: {} jobs", len(loop.jobs))
    notifier.ready(f"{len(loop.jobs)} jobs")
