"""Stages from a registry over HTTP (`stages.md` §7, §8).

    store.py      the questions of a run, and by which means each is answered
    library.py    stages by id: cached, fresh, proven
    active.py     all Active stages, for names, prefixes and signatures
    client.py     requests: attempts, time, redirections
    proven.py     cached records that have proved what they are
    cache.py      what lies on disk

A run whose stages are cached and fresh makes no request. Nothing that a registry or the cache says
is executed before its content has proved its id. Another store never stands in for a registry.
"""

import time
from collections.abc import Callable
from pathlib import Path

from noether_contract.messages import RegistryRef
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.stages.verify import Policy
from noether_runner.stores.registry.active import ActiveIndex
from noether_runner.stores.registry.address import read_address
from noether_runner.stores.registry.cache import Cache
from noether_runner.stores.registry.client import RegistryClient
from noether_runner.stores.registry.library import Library
from noether_runner.stores.registry.patience import Patience
from noether_runner.stores.registry.proven import ProvenRecords
from noether_runner.stores.registry.quota import Quota
from noether_runner.stores.registry.settings import Settings
from noether_runner.stores.registry.store import RegistryStore

_SETTINGS = Settings()


def open_registry(
    reference: RegistryRef,
    cache_dir: Path | None,
    policy: Policy,
    cancellation: Cancellation | None = None,
    settings: Settings = _SETTINGS,
    now: Callable[[], float] = time.time,
) -> RegistryStore:
    """The registry of a run; makes no request yet. `now` is the wall clock, seconds since 1970.

    Raises `RunnerError` when the URL or the key cannot be used.
    """
    address = read_address(reference.url)
    folder = None if cache_dir is None else cache_dir / "registries" / address.folder_name
    patience = Patience(settings.resolution_seconds, cancellation)
    quota = Quota(None if folder is None else folder / "quota.json", now)
    client = RegistryClient(address, reference.api_key, settings, patience, quota)
    cache = Cache(folder, settings.cache_bytes)
    index = ActiveIndex(client, cache, settings, patience, now)
    library = Library(client, ProvenRecords(cache), index, settings, now)
    return RegistryStore(client, cache, index, library, settings, policy)
