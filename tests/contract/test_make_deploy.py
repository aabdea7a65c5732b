"""What `make deploy` and its neighbours call: kubectl, kind and Docker are stand-ins that only write it down."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import manifests
from tests.manifests import GPU, TORCH, Manifest, program, templates

# `kustomize` is kubectl's own; the rest is noted, with what comes in, and answered as a healthy cluster would.
KUBECTL = """#!/usr/bin/env bash
[[ $1 != kustomize ]] || exec {kubectl} "$@"
echo "kubectl $*" >>"$NOTES/calls"
claim='{{"storageClassName":"standard"}}'
case "$*" in
    *"create secret"*) cat >"$NOTES/secret";;
    *"auth can-i patch ${{MAY_NOT-nothing}}"*) exit 1;;
    *"rollout status"*) [[ -e ${{UP-/}} ]] && echo 'successfully rolled out';;
    *"events"*) echo "${{EVENT-5s  Normal  Pulling  Pod/minio-1  Pulling the image}}";;
    *"get storageclass"*) echo "${{CLASS-}}";;
    *"get secret"*) printf %s "${{FOUND-}}";;
    *"get pods,pvc"*|*"get pvc"*) printf %s "${{PHASES-Running}}";;
    *"get pods"*) printf %s "${{WAITS-}}";;
    *"get job"*) echo "${{BUCKET-SuccessCriteriaMet Complete}}";;
    *"get configmap"*name*) printf %s "${{MADE_WITH+configmap/ganbalance-store}}";;
    *"get configmap"*) printf %s "${{MADE_WITH-}}";;
    *"get deployment"*) printf "${{LIVE-}}";;
    *"--dry-run=server"*PersistentVolumeClaim*) echo "${{CLAIM-$claim}}";;
    *"--dry-run=server"*) printf "${{NEXT-}}";;
    *diff*) echo "${{DIFF-}}"; exit 1;;
esac
"""
OTHER = '#!/usr/bin/env bash\necho "$(basename "$0") $*" >>"$NOTES/calls"\n'


class Bench:
    """A folder with stand-ins for programs, and what they noted."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.folder, self.namespace = folder, namespace
        for name, script in {
            "kubectl": KUBECTL.format(kubectl=manifests.kubectl()), "kind": OTHER, "docker": OTHER,
        }.items():  # fmt: skip
            (folder / name).write_text(script)
            (folder / name).chmod(0o755)

    def make(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        for note in ("calls", "secret"):
            (self.folder / note).unlink(missing_ok=True)
        plain = {name: value for name, value in os.environ.items() if name in {"HOME", "PATH", "LANG"}}
        plain |= {"PATH": f"{self.folder}{os.pathsep}{plain['PATH']}", "NOTES": str(self.folder), **environment}
        command = ["make", "--no-print-directory", f"NAMESPACE={self.namespace}", *arguments]
        return subprocess.run(command, env=plain, capture_output=True, text=True, check=False)

    @property
    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def applied(self) -> dict[str, Manifest]:
        return templates(manifests.render(Path(".kustomize") / self.namespace))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    namespace = f"test-{os.getpid()}"
    yield Bench(tmp_path, namespace)
    written = Path(".kustomize") / namespace
    (written / "kustomization.yaml").unlink(missing_ok=True)
    if written.exists():
        written.rmdir()


def test_deploy_makes_the_namespace_the_credentials_and_then_the_rest(bench: Bench) -> None:
    done = bench.make("deploy")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"namespace {bench.namespace} is ready; next: make submit")
    verbs = [
        "get configmap",
        "auth can-i patch podtemplates",
        "auth can-i patch namespaces/",
        "get deployment",
        "get configmap",
        "apply",
        "get secret",
        "apply",
        "get storageclass standard",
        "create secret",
        "delete job minio-bucket",
        "apply",
        "rollout status",
        "get job",
        "get pods",
    ]
    found = [call.removeprefix("kubectl ").removeprefix(f"--namespace {bench.namespace} ") for call in bench.calls]
    assert [call.startswith(verb) for call, verb in zip(found, verbs, strict=True)] == [True] * len(verbs), found


def test_no_key_is_seen(bench: Bench) -> None:
    done = bench.make("deploy")
    keys = dict(line.split("=", 1) for line in (bench.folder / "secret").read_text().splitlines())
    assert set(keys) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}
    assert (len(keys["AWS_ACCESS_KEY_ID"]), len(keys["AWS_SECRET_ACCESS_KEY"])) == (20, 40)
    written = "".join(path.read_text() for path in Path(".kustomize", bench.namespace).iterdir())
    everything = done.stdout + done.stderr + "".join(bench.calls) + written
    assert not [key for key in keys.values() if key in everything]
    bench.make("deploy")
    assert (bench.folder / "secret").read_text() != "\n".join(f"{name}={value}" for name, value in keys.items())


def test_credentials_that_are_there_stay(bench: Bench) -> None:
    assert bench.make("deploy", FOUND="secret/ganbalance-s3").returncode == 0
    assert not [call for call in bench.calls if "create secret" in call]


def test_without_minio_credentials_are_ones_own_affair(bench: Bench) -> None:
    done = bench.make("deploy", "OVERLAY=gpu")
    assert "has no Secret ganbalance-s3 yet" in done.stdout
    (looked,) = [call for call in bench.calls if "create secret" in call or "minio" in call]
    assert " get deployment minio " in looked  # whether there is one that holds artifacts


@pytest.mark.parametrize("fault", [{"BUCKET": "FailureTarget Failed"}, {"BUCKET": "", "WAITS": "ImagePullBackOff"}])
def test_a_bucket_that_cannot_be_made_ends_it_with_what_the_job_said(bench: Bench, fault: dict[str, str]) -> None:
    done = bench.make("deploy", **fault)
    assert done.returncode != 0
    assert "MinIO or its bucket is not there" in done.stderr
    assert [call for call in bench.calls if "logs job/minio-bucket" in call]


def test_images_are_those_that_make_images_makes(bench: Bench) -> None:
    bench.make("deploy", "TAG=v2", "IMAGE=mine", "REGISTRY=registry.example/team/")
    for name, template in bench.applied().items():
        tag = "v2-cpu" if name in TORCH else "v2-report"
        assert program(template)["image"] == f"registry.example/team/mine:{tag}"
    objects = manifests.render(Path(".kustomize") / bench.namespace)
    (bucket,) = manifests.of_kind(objects, "Job")["minio-bucket"]["spec"]["template"]["spec"]["containers"]
    assert bucket["image"] == "registry.example/team/mine:v2-report"


def test_nodes_with_a_gpu_get_the_image_for_one(bench: Bench) -> None:
    bench.make("push", "deploy", "OVERLAY=gpu", "REGISTRY=registry.example")
    assert "docker push registry.example/ganbalance:local-cuda" in bench.calls
    images = {program(template)["image"] for name, template in bench.applied().items() if name in GPU}
    assert images == {"registry.example/ganbalance:local-cuda"}


def test_an_overlay_of_ones_own_keeps_its_images(bench: Bench, tmp_path: Path) -> None:
    own = tmp_path / "own"
    image = {"newName": "other.example/it", "newTag": "7"}
    names = ("ganbalance/programs", "ganbalance/report")
    manifests.render_on_top(own, resources=["k8s/base"], images=[{"name": name, **image} for name in names])
    assert bench.make("deploy", f"OVERLAY={own}").returncode == 0
    assert {program(template)["image"] for template in bench.applied().values()} == {"other.example/it:7"}
    bench.make("deploy", f"OVERLAY={own}", "TAG=v3")
    assert program(bench.applied()["report"])["image"] == "ganbalance:v3-report"


def test_components_are_added_by_name(bench: Bench) -> None:
    bench.make("deploy", "COMPONENTS=minio-ephemeral quota")
    kinds = {one["kind"] for one in manifests.render(Path(".kustomize") / bench.namespace)}
    assert "ResourceQuota" in kinds
    assert "PersistentVolumeClaim" not in kinds


@pytest.mark.parametrize(
    ("arguments", "said"), [(["deploy", "OVERLAY=none"], "no overlay none"), (["push"], "REGISTRY is not set")]
)
def test_what_is_missing_is_said_before_anything_is_done(bench: Bench, arguments: list[str], said: str) -> None:
    done = bench.make(*arguments)
    assert done.returncode != 0
    assert said in done.stderr
    assert not (bench.folder / "calls").exists()


def test_images_are_built_with_the_flags_that_were_given_and_the_name_of_each_target(bench: Bench) -> None:
    given = ("IMAGE=mine", "TAG=v1", "DEVICE=cuda", 'BUILD_FLAGS=--network "host" --secret "id=ca,src=/a b"')
    assert bench.make("images", *given).returncode == 0
    *builds, listed = bench.calls
    for build, target in zip(builds, ("cuda", "report"), strict=True):
        assert f"--target {target} --tag mine:v1-{target} --build-arg BASE --build-arg TORCH_INDEX " in build
        assert " --build-arg VERSION=" in build
        assert build.endswith(" --network host --secret id=ca,src=/a b .")
    assert "reference=mine:v1-*" in listed


def test_kubectl_may_be_any_command_and_gets_the_context(bench: Bench) -> None:
    assert bench.make("deploy", "KUBECTL=FOUND=secret/ganbalance-s3 kubectl", "CONTEXT=other").returncode == 0
    assert not [call for call in bench.calls if "create secret" in call]
    assert [call.split()[:3] for call in bench.calls] == [["kubectl", "--context", "other"]] * len(bench.calls)


def test_push_gives_both_images_the_registry_name(bench: Bench) -> None:
    assert bench.make("push", "REGISTRY=registry.example/team", "TAG=v1").returncode == 0
    assert bench.calls == [
        f"docker {verb}registry.example/team/ganbalance:v1-{target}"
        for target in ("cpu", "report")
        for verb in (f"tag ganbalance:v1-{target} ", "push ")
    ]


def test_a_cluster_by_kind_has_the_images_and_minio(bench: Bench) -> None:
    assert bench.make("cluster").returncode == 0
    kind = [call for call in bench.calls if call.startswith("kind ")]
    assert [call.split()[1] for call in kind] == ["get", "create", "export", "load"]
    assert kind[-1].endswith("--name ganbalance ganbalance:local-cpu ganbalance:local-report")
    assert [call for call in bench.calls if "rollout status deployment/minio" in call]


def test_another_command_may_load_the_images(bench: Bench) -> None:
    bench.make("load", "IMAGE_LOAD=docker save", "DEVICE=cuda", "TAG=v1")
    assert bench.calls == ["docker save ganbalance:v1-cuda ganbalance:v1-report"]


def test_the_kustomization_is_valid_yaml_with_nothing_given(bench: Bench) -> None:
    bench.make("deploy")
    written = yaml.safe_load(Path(".kustomize", bench.namespace, "kustomization.yaml").read_text())
    assert written["namespace"] == bench.namespace
    (patch,) = written["patches"]
    assert yaml.safe_load(patch["patch"])["metadata"]["annotations"] == {"ganbalance.io/components": ""}


# MinIO's pod as the API server describes it: the claim of its volume, if any, and the rest
ON_CLAIM, IN_POD, IN_NEWER_POD = "minio\\n{a}", "\\n{a}", "\\n{b}"
MADE = {"MADE_WITH": "minio-ephemeral", "LIVE": IN_POD, "NEXT": IN_POD}


def components(bench: Bench) -> str:
    """Those that the namespace would remember."""
    (store,) = (one for one in manifests.render(Path(".kustomize") / bench.namespace) if one["kind"] == "ConfigMap")
    return str(store["metadata"]["annotations"]["ganbalance.io/components"])


@pytest.mark.parametrize("given", [[], ["COMPONENTS=minio-ephemeral"]])
def test_the_same_again_needs_no_components(bench: Bench, given: list[str]) -> None:
    done = bench.make("deploy", *given, **MADE)
    assert done.returncode == 0, done.stderr
    assert components(bench) == "minio-ephemeral"
    assert "PersistentVolumeClaim" not in {one["kind"] for one in manifests.render(Path(".kustomize", bench.namespace))}
    assert ("COMPONENTS as before: minio-ephemeral" in done.stdout) is not given
    assert not [call for call in bench.calls if " diff " in call]


def test_other_components_are_shown_before_they_are_applied(bench: Bench) -> None:
    done = bench.make("deploy", "COMPONENTS=minio-ephemeral quota", DIFF="+kind: ResourceQuota", **MADE)
    assert done.returncode == 0, done.stderr
    assert "COMPONENTS were 'minio-ephemeral', will be 'minio-ephemeral quota'" in done.stdout
    assert "+kind: ResourceQuota\n" in done.stdout
    verbs = [call.split()[1] for call in bench.calls if call.split()[1] in {"diff", "apply"}]
    assert verbs == ["apply", "diff", "apply", "apply"]  # the first of them is a dry run
    assert components(bench) == "minio-ephemeral quota"


@pytest.mark.parametrize(
    ("live", "following", "given", "says"),
    [
        (IN_POD, ON_CLAIM, ["COMPONENTS="], "in its pod (emptyDir) and would get the claim minio by"),
        (ON_CLAIM, IN_POD, ["COMPONENTS=minio-ephemeral"], "in the claim minio and would get its pod (emptyDir) by"),
        (IN_POD, IN_NEWER_POD, [], "in its pod (emptyDir) and would get a new pod (emptyDir) by"),
        (IN_POD, "", ["OVERLAY=gpu", "COMPONENTS="], "in its pod (emptyDir) and would get no volume by OVERLAY=gpu "),
    ],
)
def test_the_volume_that_holds_artifacts_is_not_replaced_unless_told_to(
    bench: Bench, live: str, following: str, given: list[str], says: str
) -> None:
    made = MADE | {"LIVE": live, "NEXT": following}
    done = bench.make("deploy", *given, **made)
    line, ended = done.stderr.splitlines()
    assert f"MinIO in namespace {bench.namespace} has its artifacts {says}" in line
    assert "say REPLACE_VOLUME=1" in line
    assert ended.endswith("Error 78")
    changing = ("apply", "delete", "create", "annotate", "patch")
    done_to_it = [call for call in bench.calls if "--dry-run" not in call and " can-i " not in call]
    assert not [call for call in done_to_it if set(call.split()) & set(changing)]
    done = bench.make("deploy", *given, "REPLACE_VOLUME=1", **made)
    assert (done.returncode, "REPLACE_VOLUME=1: MinIO gives up" in done.stdout) == (0, True), done.stderr


def test_a_volume_that_never_held_anything_may_be_replaced(bench: Bench) -> None:
    """As where there is no StorageClass: the claim and the pod wait for ever."""
    waiting = {"MADE_WITH": "", "LIVE": ON_CLAIM, "NEXT": IN_POD, "PHASES": "Pending Pending"}
    assert bench.make("deploy", "COMPONENTS=minio-ephemeral", **waiting).returncode == 0


def test_a_claim_may_get_another_pod(bench: Bench) -> None:
    after_a_change = {"MADE_WITH": "", "LIVE": ON_CLAIM, "NEXT": "minio\\n{b}"}
    assert bench.make("deploy", **after_a_change).returncode == 0


# ---- no volume, no right -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        ({"CLAIM": '{"accessModes":["ReadWriteOnce"]}'}, "no default StorageClass, and the claim names none"),
        ({"CLASS": 'Error from server (NotFound): storageclasses "standard" not found'}, "no StorageClass standard"),
    ],
)
def test_a_claim_that_nothing_would_bind_is_refused_with_the_component_that_needs_none(
    bench: Bench, cluster: dict[str, str], why: str
) -> None:
    done = bench.make("deploy", "COMPONENTS=quota", **cluster)
    line, ended = done.stderr.splitlines()
    assert f"the cluster has {why}; nothing was deployed: say COMPONENTS='quota minio-ephemeral'" in line
    assert ended.endswith("Error 78")
    applied = [call for call in bench.calls if " apply " in call and "--dry-run" not in call]
    assert [call.split()[-1] for call in applied] == ["app.kubernetes.io/component=namespace"]
    assert not (bench.folder / "secret").exists()


@pytest.mark.parametrize(
    "cluster",
    [
        {"CLAIM": '{"volumeName":"pv-1"}'},
        {"CLAIM": '{"storageClassName":""}'},
        {"CLASS": "Error from server (Forbidden): storageclasses is forbidden"},
    ],
)
def test_a_claim_that_may_be_bound_is_applied(bench: Bench, cluster: dict[str, str]) -> None:
    assert bench.make("deploy", **cluster).returncode == 0


FAILED = "7s  Warning  ProvisioningFailed  PersistentVolumeClaim/minio  no such class"


@pytest.mark.parametrize("naps", [4, 91])
def test_no_wait_is_silent_and_none_ends_without_a_cause(bench: Bench, naps: int) -> None:
    """MinIO comes up after so many naps; after 90 of two seconds nobody waits for it any more."""
    sleep = bench.folder / "sleep"
    sleep.write_text(f'#!/bin/sh\necho >>"$NOTES/naps"\n[ "$(wc -l <"$NOTES/naps")" -lt {naps} ] || : >"$UP"\n')
    sleep.chmod(0o755)
    done = bench.make("deploy", UP=str(bench.folder / "up"), EVENT=FAILED, PHASES="Pending")
    lines = [line for line in done.stdout.splitlines() if line.startswith("waiting for MinIO, ")]
    assert len(lines) == (30 if naps > 90 else 2)
    assert lines[1] == f"waiting for MinIO, 6 s: {' '.join(FAILED.split())}"
    deleted = [call for call in bench.calls if call.endswith("delete deployment/minio pvc/minio")]
    if naps > 90:
        assert f"MinIO or its bucket is not there: {' '.join(FAILED.split())}; without a volume:" in done.stderr
    assert (done.returncode, len(deleted)) == ((2, 1) if naps > 90 else (0, 0))


def test_a_namespace_that_is_not_ones_own_to_change_is_left_alone(bench: Bench) -> None:
    assert bench.make("deploy", MAY_NOT="namespaces/").returncode == 0
    assert "Namespace" not in {one["kind"] for one in manifests.render(Path(".kustomize") / bench.namespace)}
    assert bench.make("deploy").returncode == 0
    assert "Namespace" in {one["kind"] for one in manifests.render(Path(".kustomize") / bench.namespace)}


def test_who_may_not_deploy_reads_which_role_may_before_anything_is_done(bench: Bench) -> None:
    done = bench.make("deploy", MAY_NOT="podtemplates")
    assert "ask whoever runs the cluster for the Role ganbalance-deployer" in done.stderr
    assert done.stderr.endswith("Error 78\n")
    assert not [call for call in bench.calls if " apply " in call or " create " in call]
