"""List what a store holds: one listing, then the small records in it side by side; never a request per artifact."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from ganbalance.errors import DataError
from ganbalance.maintenance.doctor import TRIALS
from ganbalance.pipeline import runs, stages
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.runs import Record
from ganbalance.pipeline.state import State
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifacts, Commit, InputRef
from ganbalance.store.base import Entry
from ganbalance.store.transfer import side_by_side

Name = TypeVar("Name", bound="str | Address")
Value = TypeVar("Value")


class Address(NamedTuple):
    """Where an artifact is: stages/<stage>/<key>."""

    stage: str
    key: str

    def __str__(self) -> str:
        return f"{self.stage}/{self.key}"

    @classmethod
    def of(cls, one: Commit | InputRef | Node) -> "Address":
        """Say where an artifact lies that was committed, read or planned."""
        return cls(one.stage, one.key)


@dataclass
class Holding:
    """What lies under one address."""

    committed: Entry | None = None
    attempts: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))

    @property
    def checkpoint(self) -> int | None:
        """The step of the checkpoint that is furthest on."""
        names = [entry.name for files in self.attempts.values() for entry in files if "/checkpoints/" in entry.name]
        steps = [int(step) for name in names if (step := name.rpartition("/")[2]).isdecimal()]
        return max(steps, default=None)


class Inventory:
    """A store at one moment. What turns out to be unreadable raises nothing; `problems` says what is wrong with it."""

    def __init__(self, store: Store, prefix: str = "") -> None:
        self.store = store
        self.n_bytes = 0
        self.runs: dict[str, list[Entry]] = defaultdict(list)
        self.recorded: list[str] = []  # the runs that have a record
        self.holdings: dict[Address, Holding] = defaultdict(Holding)
        self.trials: dict[str, list[Entry]] = defaultdict(list)  # of a doctor
        self.problems: dict[str | Address, DataError] = {}  # by run or address, of what was read so far
        for entry in store.entries(prefix):
            self.n_bytes += entry.size
            match entry.name.split("/"):
                case ["runs", run, *rest]:
                    self.runs[run].append(entry)
                    if rest == ["run.json"]:
                        self.recorded.append(run)
                case [top, trial, _, *_] if top == TRIALS:
                    self.trials[trial].append(entry)
                case ["stages", stage, key, "COMMIT.json"]:
                    self.holdings[Address(stage, key)].committed = entry
                case ["stages", stage, key, "attempts", attempt, _, *_]:
                    self.holdings[Address(stage, key)].attempts[attempt].append(entry)

    @property
    def committed(self) -> list[Address]:
        """Where there is an artifact."""
        return [at for at, holding in self.holdings.items() if holding.committed]

    def records(self) -> dict[str, Record]:
        """Load the record of every run that has a readable one."""
        return self._read(lambda run: load_record(self.store, run), self.recorded)

    def commits(self, addresses: Iterable[Address]) -> dict[Address, Commit]:
        """Read the commits at these addresses that are there and readable."""
        artifacts = Artifacts(self.store)
        return self._read(lambda at: artifacts.find(*at), set(addresses) & set(self.committed))

    def _read(self, read: Callable[[Name], Value | None], names: Iterable[Name]) -> dict[Name, Value]:
        """Read side by side what is there; an error in one does not stop the others."""

        def attempt(name: Name) -> Value | None:
            try:
                return read(name)
            except DataError as error:
                self.problems[name] = error
                return None

        return {name: value for name, value in side_by_side(attempt, names).items() if value is not None}

    def states(self, records: Mapping[str, Record]) -> dict[str, State]:
        """Compare runs with the store; what they look up was read beforehand, an unreadable commit counts as none."""
        keyed_by_present_inputs = {at for at in self.holdings if is_open(at.stage)}
        planned = {Address.of(node) for record in records.values() for node in record.plan.nodes}
        artifacts = _Read(self.store, self.commits(planned | keyed_by_present_inputs))
        return {run: State(record.plan, artifacts) for run, record in records.items()}

    def state(self, run: str) -> State:
        """Compare one run with the store. Raises ConfigError when there is no such run, DataError."""
        return self.states({run: load_record(self.store, run)})[run]


def load_record(store: Store, run: str) -> Record:
    """Load a run's record if this version knows its stages. Raises ConfigError when there is no such run, DataError."""
    found = runs.load(store, run)
    if strange := {node.stage for node in found.plan.nodes} - stages.ALL.keys():
        raise DataError(f"run {run} has stages that this version of ganbalance does not know: {', '.join(strange)}")
    return found


def address(state: State, node: Node) -> Address:
    """Say where the artifact of a stage is, or will be, as things stand."""
    return Address(node.stage, state.key(node))


def references(state: State) -> set[Address]:
    """List every address at which a run has, or looks for, an artifact; of its report also where the whole one goes."""
    return {at for node in state.plan.nodes for at in (address(state, node), Address.of(node))}


def is_open(stage: str) -> bool:
    """Tell whether the stage is keyed by those inputs that are there."""
    return stage in stages.ALL and stages.ALL[stage].allow_missing_inputs


class _Read(Artifacts):
    """Artifacts whose commits were read beforehand."""

    def __init__(self, store: Store, commits: Mapping[Address, Commit]) -> None:
        super().__init__(store)
        self._commits = commits

    def find(self, stage: str, key: str) -> Commit | None:
        return self._commits.get(Address(stage, key))
