"""A cluster and a store in this process for what is typed about runs."""

from pathlib import Path
from typing import Any

import pytest

from ganbalance import cli
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.driver import Driver
from ganbalance.k8s.manifest import PART, RUN
from ganbalance.pipeline import runs
from ganbalance.pipeline.state import State
from ganbalance.store import Store
from ganbalance.store.artifacts import Artifacts
from tests.cluster_double import ClusterDouble, Object
from tests.stage_pods import StagePods


class Bench:
    """A cluster that a run can be submitted to, its store, and the command line."""

    def __init__(self, double: ClusterDouble, store: Store, experiment: Path, capsys: pytest.CaptureFixture[str]):
        self.double, self.store, self.experiment, self._capsys = double, store, experiment, capsys
        self.double.pods = self.pods = StagePods(store)

    def type(self, command: str, *words: str) -> tuple[int, str]:
        """Type a command; its exit code and all that it says."""
        code = cli.main([command, *words, "--kubeconfig", str(self.double.kubeconfig)])
        said = self._capsys.readouterr()
        return code, said.out + said.err

    def submit(self, *words: str) -> tuple[int, str]:
        return self.type("submit", str(self.experiment), *words)

    def driver_jobs(self) -> list[Object]:
        return [job for job in self.double.objects("Job") if job["metadata"]["labels"].get(PART) == "driver"]

    @property
    def run(self) -> str:
        """The run that was submitted."""
        return str(self.driver_jobs()[0]["metadata"]["labels"][RUN])

    def step(self, run: str) -> None:
        """Let a driver look once."""
        record, submission = runs.load(self.store, run), runs.load_submission(self.store, run, 1)
        cluster = Cluster(Access(kubeconfig=str(self.double.kubeconfig)))
        Driver(
            cluster, record.experiment, State(record.plan, Artifacts(self.store, self.experiment.parent)), submission
        ).step()

    def stopped_after(self, steps: int) -> str:
        """Submit, let a driver look so many times, and run nothing after; the run's name."""
        self.submit()
        run = self.run
        for _ in range(steps):
            self.step(run)
        self.double.ticks_on_list = False
        return run

    def change_template(self, **container: Any) -> None:
        """Change the program in every template."""
        for found in self.double.objects("PodTemplate"):
            found["template"]["spec"]["containers"][0].update(container)
            self.double.add(found)
