"""The tiny experiment as a run on `ClusterDouble`: submitted, driven, looked at. Its pods are `StagePods`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganbalance import config
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.driver import Driver
from ganbalance.k8s.manifest import PART, RUN, TEMPLATES, Round
from ganbalance.k8s.status import observe
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import make_plan
from ganbalance.pipeline.runs import Record, Submission
from ganbalance.pipeline.state import State
from ganbalance.store import Store, make_store, open_store
from ganbalance.store.artifacts import Artifacts, commit_name
from tests.cluster_double import ClusterDouble
from tests.job_controller import Object
from tests.stage_pods import StagePods

PENDING_S = 600.0
STEPS = 200  # more than any run here takes; a driver that needs more hangs

GAN_0, GAN_1 = "train-gan/dcgan/class-1/seed-0", "train-gan/dcgan/class-1/seed-1"
SYNTHESIZE_0, FEATURES_0 = "synthesize/dcgan/class-1/seed-0", "features/dcgan/class-1/seed-0"
CELL_0, QUALITY_0 = "train-classifier/dcgan/seed-0", "quality/dcgan/class-1/seed-0"
BLOCKED = {SYNTHESIZE_0, FEATURES_0, CELL_0, QUALITY_0}  # where GAN_0 fails


def template(name: str) -> Object:
    """As k8s/ has them, without what is of no interest here."""
    container = {
        "name": "program", "image": "ganbalance/programs", "command": [name],
        "resources": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi"}},
    }  # fmt: skip
    return {
        "metadata": {"name": name, "labels": {"ganbalance.io/template": name}, "annotations": {}},
        "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
    }


def plan_record(settings: dict[str, Any]) -> Record:
    """What a submission of these settings records."""
    experiment = config.check(settings, where="tiny.yaml")
    return Record(experiment=experiment, plan=make_plan(experiment))


@dataclass
class KubernetesRun:
    """A run, its store and its cluster. `plan` and `record` are read only."""

    record: Record
    store: Store
    folder: Path
    double: ClusterDouble
    pods: StagePods

    @classmethod
    def new(cls, record: Record, folder: Path, double: ClusterDouble, **settings: Any) -> "KubernetesRun":
        """A run that is submitted once and has no driver yet."""
        url = tempfile.mkdtemp(prefix="store-", dir=folder)
        make_store(url)
        store = open_store(url)
        runs.submit(store, record)
        double.pods = pods = StagePods(store)
        made = cls(record, store, folder, double, pods)
        made.submit(**settings)
        return made

    @property
    def name(self) -> str:
        return self.record.plan.run

    @property
    def stages(self) -> set[str]:
        return {node.name for node in self.record.plan.nodes}

    def last_submission(self) -> int:
        return max(runs.submission_numbers(self.store, self.name), default=0)

    def submit(self, **settings: Any) -> int:
        """One more submission; its number."""
        number = self.last_submission() + 1
        submission = Submission(
            run=self.name, number=number, parallel=settings.get("parallel", 4), pending_s=PENDING_S,
            away_s=settings.get("away_s", runs.AWAY_S),
            templates={name: template(name) for name in TEMPLATES} | settings.get("templates", {}),
        )  # fmt: skip
        assert runs.record_submission(self.store, submission) == submission
        return number

    def cluster(self) -> Cluster:
        return Cluster(Access(kubeconfig=str(self.double.kubeconfig)))

    def state(self, store: Store | None = None) -> State:
        return State(self.record.plan, Artifacts(store or self.store, self.folder))

    def driver(self, number: int | None = None, cluster: Cluster | None = None, store: Store | None = None) -> Driver:
        """A driver of the last submission, or of that number, which knows nothing yet."""
        submission = runs.load_submission(self.store, self.name, number or self.last_submission())
        return Driver(cluster or self.cluster(), self.record.experiment, self.state(store), submission)

    def drive(self, driving: Driver | None = None) -> dict[str, str]:
        """Drive to the end; the stages that failed and why."""
        driving = driving or self.driver()
        for _ in range(STEPS):
            if driving.step():
                return driving.failures(observe(self.cluster(), self.name))
        raise AssertionError("the run does not settle")

    def is_done(self, stage: str) -> bool:
        return self.state().commit(stage) is not None

    def delete_artifact(self, stage: str) -> None:
        node = self.record.plan.node(stage)
        self.store.delete(commit_name(node.stage, node.key))

    def jobs(self) -> list[Object]:
        return [job for job in self.double.objects("Job") if job["metadata"]["labels"][PART] == "stage"]

    def job(self, group: str, number: int = 1) -> Object:
        return self.double.object("Job", runs.job_name(self.name, group, number))

    def rounds(self) -> list[Round]:
        return [Round.of(job) for job in self.jobs() if job["metadata"]["labels"][RUN] == self.name]

    def events(self, reason: str) -> dict[str, str]:
        """Messages of the events with that reason by the name of their Job."""
        found = [event for event in self.double.objects("Event") if event["reason"] == reason]
        return {event["involvedObject"]["name"]: event["message"] for event in found}

    def check_records(self) -> None:
        """Every Job says which stages it has, and is named and as wide as they say."""
        for of in self.rounds():
            assert of.job == runs.job_name(self.name, of.group, of.number)
            assert self.double.object("Job", of.job)["spec"]["completions"] == len(of.stages)
            assert {runs.group_of(self.record.plan.node(stage)) for stage in of.stages} == {of.group}

    def check_ran_once(self) -> None:
        """All is done, by one Job for each stage and one pod each."""
        state = self.state()
        assert {stage for stage in self.stages if state.commit(stage) is None} == set()
        assert dict(self.pods.ran) == dict.fromkeys(self.stages, 1)
        listed = [stage for of in self.rounds() for stage in of.stages]
        assert sorted(listed) == sorted(self.stages)
        assert len(self.double.objects("Pod")) == len(self.stages)
        self.check_records()
