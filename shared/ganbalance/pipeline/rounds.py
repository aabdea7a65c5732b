"""Keep which stage each index of a cluster's Job runs, in the run's record.

runs/<run>/rounds/<job>.json             one round of one group: index -> stage
runs/<run>/submissions/<number>.json     one submission of the run; written by `ganbalance.k8s.submissions`
"""

from typing import NamedTuple

from ganbalance.frozen import Frozen
from ganbalance.keys import digest
from ganbalance.pipeline import records
from ganbalance.pipeline.plan import Node, Plan
from ganbalance.store import Store

LONGEST_JOB = 52  # characters; a pod's name is the Job's, an index and a random suffix, 63 in all
LONGEST_GROUP = 34


class Group(NamedTuple):
    """The stages that one Job can run side by side: those of one stage and of one GAN or arm, whatever the seed."""

    stage: str
    of: str  # a GAN or an arm; empty for what needs neither

    def __str__(self) -> str:
        """A name that fits into labels and the names of Jobs."""
        return _short(f"{self.stage}-{self.of}" if self.of else self.stage)


class Round(Frozen):
    """One Job: `stages` by index. Which submission of the run started it says whether its failures are old."""

    job: str
    group: str
    number: int
    submission: int
    stages: tuple[str, ...]
    keys: tuple[str, ...]


def group_of(node: Node) -> Group:
    """The group of a node."""
    return Group(node.stage, node.arm or node.gan or "")


def groups(plan: Plan) -> dict[Group, list[Node]]:
    """The nodes of each group, those that are read before those that read them."""
    found: dict[Group, list[Node]] = {}
    for node in plan.nodes:
        found.setdefault(group_of(node), []).append(node)
    return _sorted(found)


def _sorted(found: dict[Group, list[Node]]) -> dict[Group, list[Node]]:
    """Groups in an order in which each comes after all that it reads; a plan's order is by seed."""
    left, ordered = dict(found), dict[Group, list[Node]]()
    home = {node.name: group for group, nodes in found.items() for node in nodes}
    while left:
        for group, nodes in left.items():
            parents = {home[parent] for node in nodes for parent in node.inputs.values()} - {group}
            if parents <= ordered.keys():
                break
        ordered[group] = left.pop(group)
    return ordered


def job_name(run: str, what: str, number: int) -> str:
    """A name of at most 52 characters that says as much of the run and of what the Job does as fits."""
    name, _, unique = run.rpartition("-")
    rest = f"{unique}-{what}-{number}"
    shown = name[: LONGEST_JOB - len(rest) - 1].strip("-")
    return f"{shown}-{rest}" if shown else rest


def _short(what: str) -> str:
    if len(what) <= LONGEST_GROUP:
        return what
    return f"{what[: LONGEST_GROUP - 9].rstrip('-')}-{digest(what)[:8]}"


def record(store: Store, run: str, new: Round) -> Round:
    """Keep a round; return the one that stands: another driver's, if that was first."""
    return new if store.create(_name(run, new.job), records.written(new)) else load(store, run, new.job)


def load(store: Store, run: str, job: str) -> Round:
    """The round of a Job. Raises ConfigError when there is none."""
    return records.read(
        store, _name(run, job), Round, fix="clean the run and submit it again",
        absent=lambda: f"run {run} has no Job {job!r}; its Jobs are listed under runs/{run}/rounds",
    )  # fmt: skip


def numbers(store: Store, run: str) -> dict[str, int]:
    """Every Job the run ever had, and the number of its round."""
    jobs = [name.rpartition("/")[2].removesuffix(".json") for name in store.names(f"runs/{run}/rounds")]
    return {job: int(job.rpartition("-")[2]) for job in jobs}


def _name(run: str, job: str) -> str:
    return f"runs/{run}/rounds/{job}.json"
