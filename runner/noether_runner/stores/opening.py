"""Opens the store that a run request names."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, assert_never

from noether_contract.messages import FileStoreRef, RegistryRef
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.stages.verify import Policy
from noether_runner.stores.builtin import BuiltinStore
from noether_runner.stores.file import FileStore
from noether_runner.stores.layered import LayeredStore
from noether_runner.stores.store import StageStore


def open_store(
    reference: FileStoreRef | RegistryRef,
    cache_dir: Path | None,
    *,
    mode: Literal["content", "signed"] = "content",
    trusted_keys: tuple[str, ...] = (),
    references: Iterable[tuple[str, bool]] = (),
    cancellation: Cancellation | None = None,
) -> StageStore:
    """The named store with the standard library; `mode` and keys say what a stage must prove.

    A file stands above the standard library, a registry below it (`stages.md` §8.2). A registry
    is asked at once for the `references` of a graph, each with whether it is pinned to one
    implementation; a cancellation ends the waiting for it. Raises `StoreError` when a file cannot
    be read; for a registry what `RegistryStore.prepare` raises.
    """
    builtins = BuiltinStore()
    policy = Policy(mode, trusted_keys, builtin_ids=builtins)
    match reference:
        case FileStoreRef():
            return LayeredStore(FileStore(Path(reference.path), cache_dir, policy), builtins)
        case RegistryRef():
            # Not loaded for runs that have a store file.
            from noether_runner.stores.registry import open_registry

            registry = open_registry(reference, cache_dir, policy, cancellation)
            registry.prepare(each for each in references if not _is_standard(builtins, each[0]))
            return LayeredStore(builtins, registry)
        case _:
            assert_never(reference)


def _is_standard(builtins: BuiltinStore, reference: str) -> bool:
    return (
        reference in builtins
        or bool(builtins.with_name(reference))
        or bool(builtins.active_with_signature(reference))
    )
