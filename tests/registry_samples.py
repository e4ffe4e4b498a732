"""What tests of the registry's client share: stages to serve, a clock to turn, runs to open."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from noether_contract.messages import RegistryRef, Resolution
from noether_runner.graph.nodes import SequentialNode, StageNode
from noether_runner.graph.resolve import Resolved, resolve
from noether_runner.sandbox.cancellation import Cancellation
from noether_runner.stages.lifecycle import Lifecycle
from noether_runner.stages.stage import Stage, write_stage
from noether_runner.stages.verify import Policy
from noether_runner.stores.builtin import BuiltinStore
from noether_runner.stores.layered import LayeredStore
from noether_runner.stores.registry import open_registry
from noether_runner.stores.registry.settings import Settings
from noether_runner.stores.registry.store import RegistryStore
from registry_server import Record, Registry, serving
from stage_samples import sample

QUICK = Settings(delays_seconds=(0.0,))
"""The real figures, but nothing is waited for before it is tried again."""


@dataclass
class Shelf:
    """The records of a registry, to be changed while it is served."""

    records: list[Record] = field(default_factory=list)

    def put(self, *stages: Stage) -> None:
        """Adds stages, or replaces those of the same id."""
        for stage in stages:
            self.records = [each for each in self.records if each["id"] != stage.id]
            self.records.append(write_stage(stage))

    def set_lifecycle(self, stage: Stage, lifecycle: Lifecycle) -> None:
        self.put(replace(stage, lifecycle=lifecycle))

    def __call__(self) -> list[Record]:
        return self.records


@contextmanager
def serving_stages(*stages: Stage, **more: object) -> Iterator[tuple[Registry, Shelf]]:
    """A registry with these stages, and the shelf that they stand on."""
    shelf = Shelf()
    shelf.put(*stages)
    registry = Registry(shelf)
    for name, value in more.items():
        setattr(registry, name, value)
    with serving(registry):
        yield registry, shelf


@dataclass
class Turned:
    """A wall clock that only tests move."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


def many(count: int) -> list[Stage]:
    """Different small stages: names `stage0`, `stage1` and so on."""
    return [
        sample(f"stage{number}", f"def execute(input):\n    return {number}\n")
        for number in range(count)
    ]


@dataclass
class Runs:
    """Opens the stores of successive runs that share one cache."""

    registry: Registry
    cache_dir: Path | None
    clock: Turned = field(default_factory=Turned)
    settings: Settings = QUICK
    policy: Policy = field(default_factory=Policy)
    key: str | None = None
    cancellation: Cancellation | None = None

    def open(self) -> RegistryStore:
        """The store of a new run."""
        reference = RegistryRef(url=self.registry.url, api_key=self.key)
        return open_registry(
            reference, self.cache_dir, self.policy, self.cancellation, self.settings, self.clock
        )

    def resolve(self, *references: str, pinned: Iterable[str] = ()) -> "Run":
        """A new run of a graph with these references, as `session.py` resolves and loads it."""
        registry = self.open()
        nodes = [StageNode(each) for each in references]
        nodes += [StageNode(each, pinning="both") for each in pinned]
        root = nodes[0] if len(nodes) == 1 else SequentialNode(tuple(nodes))
        registry.prepare([(node.id, node.pinning == "both") for node in nodes])
        store = LayeredStore(BuiltinStore(), registry)
        resolved = resolve(root, store)
        ids = [each.stage_id for each in resolved.resolutions]
        return Run(resolved, {each: store.stage(each) for each in ids}, list(store.warnings))

    @property
    def folder(self) -> Path:
        """Where the registry's cache lies."""
        assert self.cache_dir is not None
        (folder,) = (self.cache_dir / "registries").iterdir()
        return folder

    def object_of(self, stage: Stage) -> Path:
        return self.folder / "objects" / stage.id[:2] / f"{stage.id}.json"


@dataclass(frozen=True)
class Run:
    """What a run found."""

    resolved: Resolved
    stages: dict[str, Stage]
    warnings: list[str]

    @property
    def ids(self) -> list[str]:
        return [each.stage_id for each in self.resolved.resolutions]

    @property
    def sources(self) -> list[str]:
        return [each.source for each in self.resolved.resolutions]

    @property
    def resolution(self) -> Resolution:
        (only,) = self.resolved.resolutions
        return only
