"""Find what of a plan is done: read from the store every time, kept nowhere else."""

from dataclasses import dataclass

from ganbalance.keys import stage_key
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.store.artifacts import Artifacts, Commit


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
        self._nodes = {node.name: node for node in plan.nodes}
        self._done: dict[str, Commit] = {}  # a commit found once is not looked up again

    def commit(self, name: str) -> Commit | None:
        """The current commit of a node, or None while it has none."""
        if name in self._done:
            return self._done[name]
        node = self._nodes[name]
        inputs = self.inputs(node)
        if inputs.missing and not node.kind.allow_missing_inputs:
            return None
        commit = self.artifacts.find(node.stage, self.key(node))
        if commit is None or not self.artifacts.is_current(commit, inputs.commits):
            return None
        if not inputs.missing:  # a commit made without some inputs may be replaced
            self._done[name] = commit
        return commit

    def is_settled(self, name: str) -> bool:
        """Whether the node is done and nothing it could read is still to come."""
        return self.commit(name) is not None and name in self._done

    def inputs(self, node: Node) -> Inputs:
        """What the node would read now."""
        found = {role: self.commit(parent) for role, parent in node.inputs.items()}
        return Inputs(
            commits={role: commit for role, commit in found.items() if commit is not None},
            missing=tuple(node.inputs[role] for role, commit in found.items() if commit is None),
        )

    def key(self, node: Node) -> str:
        """The node's key; of a stage that allows missing inputs, the key that goes with those that are there."""
        if not node.kind.allow_missing_inputs:
            return node.key
        present = {role: self._nodes[node.inputs[role]].key for role in self.inputs(node).commits}
        return stage_key(node.stage, node.kind.version, node.config, node.seed, present)
