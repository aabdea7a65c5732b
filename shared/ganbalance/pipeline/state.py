"""Find what of a plan is done: read from the store every time, kept nowhere else."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ganbalance.keys import stage_key
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifact, Artifacts, Commit, Ended


@dataclass(frozen=True)
class Inputs:
    """The committed inputs of a node by role, and the names of the nodes that are not committed."""

    commits: dict[str, Commit]
    missing: tuple[str, ...]


class State:
    """A plan compared with the store.

    A node is done while its commit exists and records the very bytes its inputs have now; delete an artifact
    and it is made again, and what depends on it only if its bytes changed.
    """

    def __init__(self, plan: Plan, artifacts: Artifacts) -> None:
        self.plan = plan
        self.artifacts = artifacts
        self._done: dict[str, Commit] = {}  # a commit found once is not looked up again

    def commit(self, name: str, absent: set[str] | None = None) -> Commit | None:
        """Find the current commit of a node, or None; those found to have none at one look are kept in `absent`."""
        absent = set() if absent is None else absent
        if name in self._done or name in absent:
            return self._done.get(name)
        node = self.plan.by_name[name]
        inputs = self.inputs(node, absent)
        is_blocked = inputs.missing and not node.kind.allow_missing_inputs
        commit = None if is_blocked else self.artifacts.find(node.stage, self.key(node, absent))
        if commit is None or commit.inputs != {role: parent.ref() for role, parent in inputs.commits.items()}:
            absent.add(name)
            return None
        if not inputs.missing:  # a commit made without some inputs may be replaced
            self._done[name] = commit
        return commit

    def artifact(self, name: str) -> Artifact | None:
        """Open what a node has made; None while it is not done."""
        commit = self.commit(name)
        return None if commit is None else self.artifacts.open(commit)

    def ended(self, name: str) -> list[Ended]:
        """List the attempts at a node that are known to have ended without a commit."""
        node = self.plan.by_name[name]
        return self.artifacts.ended(node.stage, node.key)

    def unsettled(self, nodes: Iterable[Node]) -> list[Node]:
        """Pick those that are not done, or could read something that is still to come, at one look."""
        absent: set[str] = set()
        return [node for node in nodes if self.commit(node.name, absent) is None or node.name not in self._done]

    def inputs(self, node: Node, absent: set[str] | None = None) -> Inputs:
        """Find what the node would read now."""
        absent = set() if absent is None else absent
        found = {role: self.commit(parent, absent) for role, parent in node.inputs.items()}
        commits = {role: commit for role, commit in found.items() if commit is not None}
        return Inputs(commits, missing=tuple(node.inputs[role] for role in found if role not in commits))

    def key(self, node: Node, absent: set[str] | None = None) -> str:
        """Compute the node's key; of a stage that allows missing inputs, the one that goes with those there are."""
        if not node.kind.allow_missing_inputs:
            return node.key
        present = {role: self.plan.by_name[node.inputs[role]].key for role in self.inputs(node, absent).commits}
        return stage_key(node.stage, node.kind.version, node.config, node.seed, present)


@contextmanager
def open_state(plan: Plan, store: Store) -> Iterator[State]:
    """Provide a plan compared with a store; artifacts' files that are read are on this machine until the block ends."""
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
        yield State(plan, Artifacts(store, Path(scratch)))
