"""Pods of a run's stages for `ClusterDouble`: they commit tiny artifacts instead of training anything.

pods = cluster.pods = StagePods(store)
pods.fates["train-gan/dcgan/class-1/seed-0"] = exits(78, "no such device")     # an Outcome, or
pods.fates["report"] = [Exits(1), Exits(143)]                                 # one per try, then it works
pods.ran                                                                      # how often each stage was made
pods.bytes["imbalance/seed-0"] = b"other"                                     # what its artifact holds from now on
"""

import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from ganbalance.k8s.manifest import RUN, Round
from ganbalance.pipeline import runs
from ganbalance.pipeline.state import State
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifacts, new_attempt
from tests.job_controller import Exits, Object, Outcome


class StagePods:
    """What a pod of a stage Job does; its arguments name the stages, as those of a real one do."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fates: dict[str, Outcome | list[Outcome]] = {}
        self.bytes: dict[str, bytes] = {}
        self.ran: Counter[str] = Counter()

    def __call__(self, job: Object, index: int) -> Outcome:
        run = job["metadata"]["labels"][RUN]
        if job["spec"].get("completionMode") != "Indexed":
            return Exits()  # a driver Job: its program is not here
        stage = Round.of(job).stages[index]
        fate = self.fates.get(stage, Exits())
        if isinstance(fate, list):
            fate = fate[0] if fate else Exits()
        if isinstance(fate, Exits):
            return replace(fate, work=lambda: self._work(run, stage, fate))
        return fate

    def _work(self, run: str, stage: str, ends: Exits) -> None:
        left = self.fates.get(stage)
        if isinstance(left, list) and left:
            left.pop(0)
        self.ran[stage] += 1
        if ends.work:
            ends.work()
        if ends.code == 0:
            self.commit(run, stage)

    def commit(self, run: str, stage: str) -> None:
        """Make a stage's artifact from the inputs it has now."""
        with tempfile.TemporaryDirectory(prefix="ganbalance-") as scratch:
            state = State(runs.load(self._store, run).plan, Artifacts(self._store, Path(scratch)))
            node = state.plan.node(stage)
            inputs = state.inputs(node)
            assert node.kind.allow_missing_inputs or not inputs.missing, f"{stage} started without {inputs.missing}"
            folder = Path(scratch) / "files"
            folder.mkdir()
            (folder / "made.txt").write_bytes(self.bytes.get(stage, stage.encode()))
            state.artifacts.commit(
                node.stage, state.key(node), attempt=new_attempt(), folder=folder, inputs=inputs.commits,
                outcome="done", metrics={}, provenance={},
            )  # fmt: skip
