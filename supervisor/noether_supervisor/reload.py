"""SIGHUP: the configuration is read again; a good one replaces the jobs, a bad one changes nothing.

Running runs go on as they were started, and paused jobs stay paused. What belongs to the whole
process (state directory, cap on descriptors) stays; a changed `state_dir` is said to need a
restart.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from loguru import logger

from noether_supervisor.config import SchedulerConfig
from noether_supervisor.errors import SupervisorError
from noether_supervisor.jobs import Loaded, load
from noether_supervisor.loop import Loop
from noether_supervisor.memory import hurry, settle
from noether_supervisor.observe.systemd import Notifier
from noether_supervisor.opened import Opened

_CHANGES_EVERY_GRAPH = ("store_path", "registry_url", "registry_api_key", "verify", "trusted_keys")
"""Keys that may change what a reference of any graph means."""


async def reload_when_asked(
    asked: asyncio.Event,
    path: Path,
    opened: Opened,
    loop: Loop,
    notifier: Notifier,
    on_changed: Callable[[Sequence[str]], None],
) -> None:
    """Reads `path` again whenever `asked` is set, and tells the loop, as long as the service lives.

    An error is logged, and the old jobs stay. Fires start meanwhile as ever, since reading is done
    in a thread. `on_changed` gets the names of the jobs that are new or changed.
    """
    while True:
        await asked.wait()
        asked.clear()
        notifier.reloading()
        hurry()
        try:
            changed = await _reload(path, opened, loop)
        except SupervisorError as error:
            logger.error("not reloaded, the old configuration stays: {}", error.message)
        except Exception:  # a mistake of ours must not be the last reload
            logger.exception("not reloaded, the old configuration stays")
        else:
            on_changed(changed)
        finally:
            settle()
        if loop.state.stopping is None:
            notifier.ready(f"{len(loop.jobs)} jobs")


async def _reload(path: Path, opened: Opened, loop: Loop) -> Sequence[str]:
    loaded = await asyncio.to_thread(_loaded, path)
    if loaded.config.state_path != opened.state_path:
        logger.warning("state_dir was changed; that takes effect at the next start")
    changed = _changed(opened.loaded.config, loaded.config)
    opened.reloaded(loaded)
    loop.jobs = {job.name: job for job in loaded.config.jobs}
    loop.happened(opened.changed())
    logger.info("reloaded: {} jobs", len(loop.jobs))
    return changed


def _loaded(path: Path) -> Loaded:
    loaded = load(path, os.environ)
    loaded.policies()  # worked out here, where nobody waits
    return loaded


def _changed(old: SchedulerConfig, new: SchedulerConfig) -> Sequence[str]:
    if any(getattr(old, key) != getattr(new, key) for key in _CHANGES_EVERY_GRAPH):
        return [job.name for job in new.jobs]
    before = {job.name: job for job in old.jobs}
    return [job.name for job in new.jobs if before.get(job.name) != job]
