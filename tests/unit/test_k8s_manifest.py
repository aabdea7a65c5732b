"""A Job is a template that was given its arguments and its resources, and knows what an exit code means."""

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganbalance import __version__
from ganbalance.config import GPUS, PodResources
from ganbalance.errors import ConfigError, DataError
from ganbalance.k8s import manifest
from ganbalance.k8s.manifest import GPU_RESOURCE, STEPS, Manifest, Round
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import Node
from ganbalance.pipeline.runs import Submission, group_of, job_name
from ganbalance.pipeline.state import State
from ganbalance.store.artifacts import Artifacts
from ganbalance.store.local import LocalStore
from tests.unit.k8s_run import plan_record

GPU, MIG = "nvidia.com/gpu", "nvidia.com/mig-1g.10gb"
ROUND = Round(
    "tiny-0123abcd-train-gan-dcgan-2", "train-gan-dcgan", number=2, submission=3, stages=("a/0", "a/1", "b"),
    steps=(0, 7, 0),
)  # fmt: skip


def template(gpu: str | None = None) -> Manifest:
    """As the API server gives one back, with what kustomize and a user may have added."""
    limits = {"cpu": "4", "memory": "8Gi"} | ({gpu: "1"} if gpu else {})
    spec: dict[str, Any] = {
        "restartPolicy": "Never", "activeDeadlineSeconds": 3600,
        "containers": [
            {"name": "sidecar", "image": "other"},
            {
                "name": "program", "image": "ganbalance/programs", "command": ["train-gan"],
                "resources": {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": limits},
            },
        ],
        "tolerations": [{"key": "team", "operator": "Exists"}, {"operator": "Exists", "effect": "NoExecute"}],
        "nodeSelector": {"pool": "batch"},
    }  # fmt: skip
    annotations = {"team.example/cost": "42", "kubectl.kubernetes.io/last-applied-configuration": "{}"}
    if gpu:
        annotations[GPU_RESOURCE] = gpu
        spec["tolerations"].append({"key": GPU, "operator": "Exists"})
        spec["nodeSelector"] |= {"nvidia.com/gpu.present": "true"}
    return {
        "metadata": {
            "name": "train-gan", "annotations": annotations,
            "labels": {"ganbalance.io/template": "train-gan", "app.kubernetes.io/part-of": "ganbalance",
                       "kueue.x-k8s.io/queue-name": "batch"},
        },
        "template": {
            "metadata": {"labels": {"app.kubernetes.io/component": "stage"}, "annotations": {"a.example/b": "c"}},
            "spec": spec,
        },
    }  # fmt: skip


def job(given: Manifest | None = None, parallelism: int = 2, of: Round = ROUND, **resources: Any) -> Manifest:
    return manifest.stage_job(
        "tiny-0123abcd", of, given or template(), PodResources(**resources), parallelism=parallelism
    )


def pod_spec(of: Manifest) -> Manifest:
    spec: Manifest = of["spec"]["template"]["spec"]
    return spec


def program(of: Manifest) -> Manifest:
    (found,) = [one for one in pod_spec(of)["containers"] if one["name"] == "program"]
    return dict(found)


# ---- labels, annotations, arguments --------------------------------------------------------------------------------


def test_labels_say_what_a_job_is_and_keep_what_the_template_has() -> None:
    expected = {
        "ganbalance.io/part": "stage", "ganbalance.io/run": "tiny-0123abcd", "ganbalance.io/group": "train-gan-dcgan",
        "ganbalance.io/round": "2", "ganbalance.io/submission": "3", "app.kubernetes.io/part-of": "ganbalance",
        "kueue.x-k8s.io/queue-name": "batch", "app.kubernetes.io/instance": "tiny-0123abcd",
        "app.kubernetes.io/version": __version__, "app.kubernetes.io/managed-by": "ganbalance",
    }  # fmt: skip
    made = job()
    assert made["metadata"]["labels"] == expected
    assert made["spec"]["template"]["metadata"]["labels"] == expected | {"app.kubernetes.io/component": "stage"}
    assert all(re.fullmatch(r"[a-z0-9]([a-zA-Z0-9._-]{0,61}[a-z0-9])?", value) for value in expected.values())
    assert manifest.driver_job("tiny-0123abcd", 3, template())["metadata"]["labels"].items() >= {
        "app.kubernetes.io/instance": "tiny-0123abcd", "app.kubernetes.io/version": __version__,
    }.items()  # fmt: skip


def test_annotations_are_kept_but_for_those_about_the_template_itself() -> None:
    made = job(template(GPU))
    of_job = {"ganbalance.io/stages": "0=a/0\n1=a/1\n2=b", STEPS: "[0, 7, 0]"}
    assert made["metadata"]["annotations"] == {"team.example/cost": "42"} | of_job
    assert made["spec"]["template"]["metadata"]["annotations"] == {"a.example/b": "c"}


def test_the_program_gets_its_run_and_its_stages_and_other_containers_nothing() -> None:
    made = job()
    assert program(made)["args"] == ["--run", "tiny-0123abcd", "--stages", "a/0", "a/1", "b"]
    assert pod_spec(made)["containers"][0] == {"name": "sidecar", "image": "other"}


def test_a_template_is_not_changed() -> None:
    given = template(GPU)
    before = copy.deepcopy(given)
    job(given, gpus=0, cpu="3", memory="1Gi")
    assert given == before


def test_a_template_that_is_bare_will_do() -> None:
    bare = {"metadata": {"name": "x"}, "template": {"spec": {"containers": [{"name": "program"}]}}}
    assert program(job(bare, cpu="1"))["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}


def test_a_template_without_the_program_is_refused() -> None:
    given = template()
    given["template"]["spec"]["containers"].pop()
    with pytest.raises(ConfigError, match=r"PodTemplate train-gan has no container 'program'.*make deploy"):
        job(given)


# ---- resources -----------------------------------------------------------------------------------------------------


def test_what_the_experiment_leaves_open_is_the_templates_to_say() -> None:
    given = template(GPU)
    made = job(given)
    assert program(made)["resources"] == given["template"]["spec"]["containers"][1]["resources"]
    assert pod_spec(made)["tolerations"] == given["template"]["spec"]["tolerations"]


def test_what_the_experiment_asks_for_is_requested_and_the_limit() -> None:
    assert program(job(cpu="500m", memory="12Gi"))["resources"] == {
        "requests": {"cpu": "500m", "memory": "12Gi"}, "limits": {"cpu": "500m", "memory": "12Gi"},
    }  # fmt: skip
    assert program(job(memory="12Gi"))["resources"]["requests"] == {"cpu": "1", "memory": "12Gi"}
    with_disk = program(job(ephemeral_storage="4Gi"))["resources"]  # also where the template says nothing of it
    assert with_disk["requests"]["ephemeral-storage"] == with_disk["limits"]["ephemeral-storage"] == "4Gi"


@pytest.mark.parametrize("gpu", [GPU, MIG])
def test_gpus_are_counted_in_what_the_gpu_component_names(gpu: str) -> None:
    given = template(gpu)
    given["template"]["spec"]["containers"][1]["resources"]["requests"][gpu] = "1"
    granted = program(job(given, gpus=2))["resources"]
    assert granted["limits"][gpu] == "2"
    assert gpu not in granted["requests"]


@pytest.mark.parametrize("gpu", [GPU, MIG])
def test_no_gpus_take_away_the_resource_and_its_selector_and_no_toleration(gpu: str) -> None:
    made = job(template(gpu), gpus=0)
    assert program(made)["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"cpu": "4", "memory": "8Gi"},
    }  # fmt: skip
    assert pod_spec(made)["nodeSelector"] == {"pool": "batch"}
    assert pod_spec(made)["tolerations"] == template(gpu)["template"]["spec"]["tolerations"]


def test_no_gpus_where_there_are_none_change_nothing() -> None:
    assert job(gpus=0) == job()


def test_gpus_without_the_gpu_component_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"asks for 1 GPUs.*gpu component"):
        job(gpus=1)


@pytest.mark.parametrize(("gpus", "given"), [(None, "1"), (2, "2"), (0, None)])
def test_a_program_learns_of_the_gpus_that_its_container_asks_for(gpus: int | None, given: str | None) -> None:
    found = {one["name"]: one["value"] for one in program(job(template(GPU), gpus=gpus)).get("env", [])}
    assert found.get(GPUS) == given
    assert GPUS not in str(job())


@pytest.fixture
def gpus_of(tiny: dict[str, Any], tmp_path: Path) -> Callable[..., dict[str, int]]:
    """How many GPUs the pods of each stage ask for, where templates ask for one, with these `resources`."""

    def made(**resources: Any) -> dict[str, int]:
        experiment, plan = (record := plan_record(tiny | {"resources": resources})).experiment, record.plan
        templates = {name: template(GPU) for name in manifest.TEMPLATES}
        submission = Submission(run=plan.run, number=1, parallel=1, pending_s=1, templates=templates)
        state, found = State(plan, Artifacts(LocalStore(str(tmp_path)))), {}
        for node in plan.nodes:
            made = manifest.next_job(experiment, state, submission, [node], {}, parallelism=1)
            found[node.stage] = int(program(made)["resources"]["limits"].get(GPU, 0))
        hours = manifest.gpu_hours(experiment, templates, list(plan.nodes))
        assert hours == sum(found[node.stage] for node in plan.nodes)
        return found

    return made


def test_stages_that_never_touch_a_gpu_ask_for_none(gpus_of: Callable[..., dict[str, int]]) -> None:
    found = gpus_of()
    assert {name for name, gpus in found.items() if gpus} == {"train-gan", "synthesize", "features"}
    assert found.keys() > {"backbone", "train-classifier", "imbalance", "report"}
    of_program = gpus_of(pods={"train-classifier": {"gpus": 2}, "synthesize": {"gpus": 0}})
    assert {name: gpus for name, gpus in of_program.items() if gpus} == {"train-gan": 1, "features": 2}


def test_an_experiment_on_the_cpu_asks_for_no_gpu(gpus_of: Callable[..., dict[str, int]]) -> None:
    assert not any(gpus_of(device="cpu").values())
    assert any(gpus_of(device="cuda").values())


# ---- what an exit code means ---------------------------------------------------------------------------------------


def test_a_stage_job_runs_its_stages_side_by_side_and_each_may_fail_alone() -> None:
    spec = job()["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 2)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (3, 3)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["ttlSecondsAfterFinished"] > 0
    assert "backoffLimit" not in spec


def test_bad_configuration_fails_the_job_bad_data_the_index_an_outage_and_a_disruption_nothing() -> None:
    rules = job()["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["FailJob", "FailIndex", "Ignore", "Ignore"]
    assert [rule["onExitCodes"]["values"] for rule in rules[:3]] == [[78], [65], [75]]
    assert {rule["onExitCodes"]["containerName"] for rule in rules[:3]} == {"program"}
    assert rules[3]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


def test_a_driver_starts_again_unless_it_was_asked_for_what_cannot_be_or_has_waited_for_long() -> None:
    made = manifest.driver_job("tiny-0123abcd", 3, template())
    spec = made["spec"]
    assert made["metadata"]["name"] == "tiny-0123abcd-driver-3"
    assert made["metadata"]["labels"]["ganbalance.io/part"] == "driver"
    assert program(made)["args"] == ["--run", "tiny-0123abcd", "--submission", "3"]
    assert "completionMode" not in spec
    assert spec["backoffLimit"] == 10
    rules = spec["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["FailJob", "Ignore"]
    assert rules[0]["onExitCodes"]["values"] == [65, 75, 78]


# ---- rounds and names ----------------------------------------------------------------------------------------------


def test_a_job_says_which_round_it_is() -> None:
    assert Round.of(job(template(GPU), cpu="2")) == ROUND


@pytest.mark.parametrize("break_it", [lambda made: made["metadata"].pop("labels"), lambda made: program(made).clear()])
def test_a_job_that_says_nothing_of_stages_is_reported(break_it: Callable[[Manifest], object]) -> None:
    made = job()
    break_it(made)
    made["spec"]["template"]["spec"]["containers"] = [{"name": "program"}] * ("labels" in made["metadata"])
    with pytest.raises(DataError, match=f"another Job {ROUND.job}.*kubectl delete job {ROUND.job}"):
        Round.of(made)


def group(stage: str, arm: str) -> str:
    return group_of(Node(name="x", stage=stage, config={}, inputs={}, key="k", arm=arm))


RUNS = [f"{'long-name-' * 5}"[:length].strip("-") + "-0123abcd" for length in range(1, 41)]
GROUPS = [
    "report", "train-classifier-class-weight", group("train-paper-classifier", "r3gan-with-a-very-long-name"),
    group("train-classifier", "x" * 200),
]  # fmt: skip


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("number", [1, 10, 99999])
def test_names_are_dns_labels_that_leave_room_for_what_pods_add(group: str, number: int) -> None:
    for run in RUNS:
        name = job_name(run, group, number)
        assert len(name) <= runs.LONGEST_JOB
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
        assert "--" not in name
        assert name.endswith(f"0123abcd-{group}-{number}")
        assert len(f"{name}-999-abcde") <= 63


def test_groups_that_begin_alike_have_names_of_their_own() -> None:
    alike = [group("train-classifier", "very-long-name-of-a-gan-" + end) for end in ("a", "b")]
    assert len(set(alike)) == 2
    assert all(len(name) <= runs.LONGEST_GROUP for name in alike)
