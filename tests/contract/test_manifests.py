"""What k8s/ promises, on what it renders to: no cluster needed."""

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests import manifests
from tests.manifests import GPU, STAGES, TEMPLATES, TORCH, Manifest, amount, of_kind, program, templates

OLDEST = "1.34"  # the oldest Kubernetes that is supported
README = (manifests.K8S / "README.md").read_text()
EVERYTHING = [*manifests.OVERLAYS, *(f"local+{component}" for component in manifests.COMPONENTS), "own", "identity"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Manifest]]:
    """Every overlay, every component on top of `local`, and the examples of k8s/README.md."""
    made = {name: manifests.render(manifests.K8S / "overlays" / name) for name in manifests.OVERLAYS}
    for component in manifests.COMPONENTS:
        if component in {"minio", "namespace"}:  # part of it already
            made[f"local+{component}"] = made["local"]
            continue
        made[f"local+{component}"] = manifests.render_on_top(
            tmp_path_factory.mktemp(component),
            resources=["k8s/overlays/local"], components=[f"k8s/components/{component}"],
        )  # fmt: skip
    made["own"], made["identity"] = (_example(tmp_path_factory.mktemp("own"), more) for more in (False, True))
    return made


def _example(folder: Path, identity: bool) -> list[Manifest]:
    own, more = (re.search(rf"```yaml\n(# {start}.*?)```", README, re.DOTALL) for start in ("cluster/", "added"))
    assert own
    assert more
    settings: dict[str, Any] = yaml.safe_load(own.group(1))
    for key in ("resources", "components"):
        settings[key] = [path.removeprefix("../") for path in settings[key]]
    settings["patches"] += yaml.safe_load(more.group(1)) if identity else []
    return manifests.render_on_top(folder, **settings)


@pytest.fixture(params=EVERYTHING)
def objects(request: pytest.FixtureRequest, rendered: dict[str, list[Manifest]]) -> list[Manifest]:
    return rendered[request.param]


@pytest.fixture
def local(rendered: dict[str, list[Manifest]]) -> list[Manifest]:
    return rendered["local"]


# ---- everything that is rendered -------------------------------------------------------------------------------------


def _schema_error(one: Manifest) -> str:
    """What the schema has against an object; empty where it fits."""
    try:
        kubernetes_validate.validate(one, OLDEST, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return ""


def test_every_object_fits_the_schema_of_the_oldest_kubernetes(objects: list[Manifest]) -> None:
    assert {one["kind"]: _schema_error(one) for one in objects if _schema_error(one)} == {}


def test_the_schema_knows_a_field_that_does_not_exist(local: list[Manifest]) -> None:
    wrong = copy.deepcopy(templates(local)["report"])
    wrong["template"]["spec"]["restartpolicy"] = "Never"
    assert "restartpolicy" in _schema_error(wrong)


def test_every_pod_would_pass_the_restricted_level(objects: list[Manifest]) -> None:
    for where, pod in manifests.pod_templates(objects):
        assert not manifests.not_restricted(pod["spec"]), where


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"securityContext": {}}, ["runAsNonRoot", "runAsUser", "seccompProfile"]),
        ({"hostNetwork": True}, ["hostNetwork"]),
        ({"volumes": [{"name": "disk", "hostPath": {"path": "/"}}]}, ["volume disk"]),
        ({"containers": [{"name": "program"}]}, ["allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem"]),
    ],
)
def test_the_check_for_the_restricted_level_finds(local: list[Manifest], change: Manifest, refused: list[str]) -> None:
    wrong = manifests.not_restricted(templates(local)["report"]["template"]["spec"] | change)
    assert [one.rpartition(": ")[2].rpartition("spec.")[2] for one in wrong] == refused


def test_every_container_has_requests_and_limits(rendered: dict[str, list[Manifest]], objects: list[Manifest]) -> None:
    for where, pod in manifests.pod_templates(objects):
        for container in pod["spec"]["containers"]:
            resources = container["resources"]
            expected = {"cpu", "memory", "ephemeral-storage"}
            if objects is rendered["local+kueue"] and where != "PodTemplate driver" and "PodTemplate" in where:
                expected.remove("ephemeral-storage")
            assert set(resources["requests"]) == expected, where
            assert set(resources["limits"]) - {"nvidia.com/gpu"} == expected, where
            assert all(amount(resources["requests"][name]) <= amount(resources["limits"][name]) for name in expected)


def test_volumes_in_memory_fit_the_memory_and_those_on_disk_the_disk(objects: list[Manifest]) -> None:
    for where, pod in manifests.pod_templates(objects):
        (limits,) = (container["resources"]["limits"] for container in pod["spec"]["containers"])
        for volume in pod["spec"]["volumes"]:
            if (empty := volume.get("emptyDir")) is not None:
                of = "memory" if empty.get("medium") == "Memory" else "ephemeral-storage"
                assert of not in limits or amount(empty["sizeLimit"]) < amount(limits[of]), (where, volume["name"])


def test_nothing_secret_is_in_a_manifest(objects: list[Manifest]) -> None:
    assert "Secret" not in {one["kind"] for one in objects}
    plain = [pair for one in of_kind(objects, "ConfigMap").values() for pair in one["data"].items()]
    for _, pod in manifests.pod_templates(objects):
        for container in pod["spec"]["containers"]:
            plain += [(one["name"], one["value"]) for one in container.get("env", []) if "value" in one]
    assert not [name for name, _ in plain if re.search("KEY|PASSWORD|SECRET|TOKEN", name)]


def test_the_driver_may_do_what_it_needs_and_no_more(objects: list[Manifest]) -> None:
    assert of_kind(objects, "Role")["ganbalance-driver"]["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "list", "patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "list"]},
    ]
    (binding,) = of_kind(objects, "RoleBinding").values()  # people are bound by whoever runs the cluster
    assert binding["roleRef"]["name"] == "ganbalance-driver"
    namespace = binding["metadata"]["namespace"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "ganbalance-driver", "namespace": namespace}]
    assert not [one["kind"] for one in objects if one["kind"].startswith("Cluster")]


def test_only_the_driver_has_a_token(objects: list[Manifest]) -> None:
    assert of_kind(objects, "ServiceAccount")["ganbalance-stage"]["automountServiceAccountToken"] is False
    for where, pod in manifests.pod_templates(objects):
        driver = where == "PodTemplate driver"
        assert pod["spec"]["automountServiceAccountToken"] is driver, where
        if where != "Deployment minio":
            assert pod["spec"]["serviceAccountName"] == f"ganbalance-{'driver' if driver else 'stage'}", where


def test_every_image_has_a_name_and_a_version(objects: list[Manifest]) -> None:
    for where, pod in manifests.pod_templates(objects):
        (container,) = pod["spec"]["containers"]
        name, _, tag = container["image"].partition(":")
        assert name not in {"ganbalance/programs", "ganbalance/report"}, where
        assert tag not in {"", "latest"}, where
        assert container["imagePullPolicy"] == "IfNotPresent", where


# ---- templates -------------------------------------------------------------------------------------------------------


def test_there_is_a_template_for_every_program_and_the_driver(objects: list[Manifest]) -> None:
    found = templates(objects)
    assert sorted(found) == sorted(TEMPLATES)
    for name, template in found.items():
        assert template["metadata"]["labels"]["ganbalance.io/template"] == name
        assert "ganbalance.io/template" not in template["template"]["metadata"]["labels"]
        assert "args" not in program(template)
        assert program(template)["command"] == (["ganbalance", "drive"] if name == "driver" else [name])
    scripts = tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]
    assert {program(template)["command"][0] for template in found.values()} <= set(scripts)


def test_programs_learn_of_their_store_from_a_config_map_and_a_secret(local: list[Manifest]) -> None:
    expected = [{"configMapRef": {"name": "ganbalance-store"}}, {"secretRef": {"name": "ganbalance-s3"}}]
    assert all(program(template)["envFrom"] == expected for template in templates(local).values())
    assert of_kind(local, "Job")["minio-bucket"]["spec"]["template"]["spec"]["containers"][0]["envFrom"] == expected
    assert of_kind(local, "ConfigMap")["ganbalance-store"]["data"] == {
        "GANBALANCE_STORE": "s3://ganbalance",
        "AWS_ENDPOINT_URL": "http://minio:9000",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_every_pod_is_part_of_ganbalance(objects: list[Manifest]) -> None:
    for where, pod in manifests.pod_templates(objects):
        assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "ganbalance", where


def test_a_program_knows_the_name_of_its_pod(objects: list[Manifest]) -> None:
    for template in templates(objects).values():
        (name,) = (one for one in program(template)["env"] if one["name"] == "GANBALANCE_POD")
        assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def test_a_pod_has_time_to_write_a_checkpoint_and_stages_have_a_deadline(objects: list[Manifest]) -> None:
    for name, template in templates(objects).items():
        spec = template["template"]["spec"]
        assert spec["restartPolicy"] == "Never"
        assert spec["terminationGracePeriodSeconds"] == 120
        assert ("activeDeadlineSeconds" in spec) == (name != "driver")
        assert program(template)["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_program_writes_to_tmp_and_those_with_torch_to_shared_memory(objects: list[Manifest]) -> None:
    for name, template in templates(objects).items():
        mounts = {one["mountPath"]: one["name"] for one in program(template)["volumeMounts"] if "readOnly" not in one}
        assert set(mounts) == ({"/tmp", "/dev/shm"} if name in TORCH else {"/tmp"})  # noqa: S108
        volumes = {one["name"]: one for one in template["template"]["spec"]["volumes"]}
        assert "medium" not in volumes[mounts["/tmp"]]["emptyDir"]  # noqa: S108
        if name in TORCH:
            assert volumes[mounts["/dev/shm"]]["emptyDir"]["medium"] == "Memory"  # noqa: S108


@pytest.mark.parametrize(("overlay", "device"), [("local", "cpu"), ("gpu", "cuda")])
def test_an_overlay_names_the_images_that_make_images_makes(
    rendered: dict[str, list[Manifest]], overlay: str, device: str
) -> None:
    for name, template in templates(rendered[overlay]).items():
        assert program(template)["image"] == f"ganbalance:local-{device if name in TORCH else 'report'}"


# ---- overlays and components -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", manifests.OVERLAYS)
def test_an_overlay_makes_its_namespace_and_enforces_the_restricted_level(
    rendered: dict[str, list[Manifest]], overlay: str
) -> None:
    (namespace,) = of_kind(rendered[overlay], "Namespace").values()
    assert namespace["metadata"]["name"] == "ganbalance"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"].get("namespace") for one in rendered[overlay]} == {"ganbalance", None}


def test_the_base_is_in_no_namespace() -> None:
    assert not [one for one in manifests.render(manifests.K8S / "base") if "namespace" in one["metadata"]]


def test_the_namespace_is_one_setting(tmp_path: Path) -> None:
    moved = manifests.render_on_top(tmp_path / "moved", namespace="team-a", resources=["k8s/overlays/local"])
    assert "namespace: ganbalance" not in yaml.safe_dump_all(moved)
    assert list(of_kind(moved, "Namespace")) == ["team-a"]


def test_a_gpu_is_asked_for_where_torch_computes(rendered: dict[str, list[Manifest]]) -> None:
    for name, template in templates(rendered["gpu"]).items():
        spec, gpu = template["template"]["spec"], name in GPU
        assert program(template)["resources"]["limits"].get("nvidia.com/gpu") == ("1" if gpu else None)
        annotation = template["metadata"].get("annotations", {}).get("ganbalance.io/gpu-resource")
        assert annotation == ("nvidia.com/gpu" if gpu else None)
        assert spec.get("nodeSelector") == ({"nvidia.com/gpu.present": "true"} if gpu else None)
        taint = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        assert spec.get("tolerations") == ([taint] if gpu else None)


def test_without_the_component_nothing_leads_to_a_gpu(local: list[Manifest]) -> None:
    assert "nvidia" not in yaml.safe_dump_all(local)


def test_stages_queue_and_the_driver_does_not(rendered: dict[str, list[Manifest]]) -> None:
    found = templates(rendered["local+kueue"])
    queued = [name for name, one in found.items() if "kueue.x-k8s.io/queue-name" in one["metadata"]["labels"]]
    assert sorted(queued) == sorted(STAGES)


def test_pods_of_the_local_overlay_fit_a_node_with_two_cores(local: list[Manifest]) -> None:
    requests = {where: amount(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"])
                for where, pod in manifests.pod_templates(local)}  # fmt: skip
    beside = requests["PodTemplate driver"] + requests["Deployment minio"]
    system = 0.95  # what a control plane on the same node asks for
    assert max(requests.values()) + beside + system <= 2


def test_network_policies_select_the_pods_that_there_are(rendered: dict[str, list[Manifest]]) -> None:
    objects = rendered["local+network-policy"]
    labels = {where: pod["metadata"]["labels"] for where, pod in manifests.pod_templates(objects)}
    selected = {}
    for name, policy in of_kind(objects, "NetworkPolicy").items():
        wanted = policy["spec"]["podSelector"].get("matchLabels", {}).items()
        selected[name] = {where for where, own in labels.items() if wanted <= own.items()}
    ours = set(labels) - {"Deployment minio"}
    assert selected == {
        "ganbalance-deny": set(labels),
        "ganbalance-dns": ours,
        "ganbalance-store": ours,
        "ganbalance-api": {"PodTemplate driver"},
        "ganbalance-minio": {"Deployment minio"},
    }
    denied = of_kind(objects, "NetworkPolicy")["ganbalance-deny"]["spec"]
    assert denied == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_the_quota_has_room_for_every_single_pod(rendered: dict[str, list[Manifest]]) -> None:
    (quota,) = of_kind(rendered["local+quota"], "ResourceQuota").values()
    hard = quota["spec"]["hard"]
    base = manifests.pod_templates(manifests.render(manifests.K8S / "base"))
    for where, pod in base:
        for kind, amounts in pod["spec"]["containers"][0]["resources"].items():
            for name in ("cpu", "memory"):
                assert 4 * amount(amounts[name]) <= amount(hard[f"{kind}.{name}"]), where


def test_minio_takes_the_credentials_that_programs_use(local: list[Manifest]) -> None:
    (container,) = of_kind(local, "Deployment")["minio"]["spec"]["template"]["spec"]["containers"]
    keys = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"] if "valueFrom" in one}
    assert keys == {
        "MINIO_ROOT_USER": {"name": "ganbalance-s3", "key": "AWS_ACCESS_KEY_ID"},
        "MINIO_ROOT_PASSWORD": {"name": "ganbalance-s3", "key": "AWS_SECRET_ACCESS_KEY"},
    }
    assert all("httpGet" in container[probe] for probe in ("startupProbe", "readinessProbe", "livenessProbe"))
    compose = Path("compose.yaml").read_text()
    assert f"MINIO_IMAGE:-{container['image']}" in compose, "one release for Compose and Kubernetes"


def test_minio_needs_no_volume_where_there_are_none(rendered: dict[str, list[Manifest]]) -> None:
    assert "PersistentVolumeClaim" in {one["kind"] for one in rendered["local"]}
    objects = rendered["local+minio-ephemeral"]
    assert "PersistentVolumeClaim" not in {one["kind"] for one in objects}
    volumes = of_kind(objects, "Deployment")["minio"]["spec"]["template"]["spec"]["volumes"]
    assert all(set(volume) == {"name", "emptyDir"} for volume in volumes)
    (size,) = (volume["emptyDir"]["sizeLimit"] for volume in volumes if volume["name"] == "data")
    assert all(size.replace("Gi", " GiB") in text for text in (README, (manifests.K8S / "deploy").read_text()))


def test_the_bucket_is_made_by_a_job_that_goes_away(local: list[Manifest]) -> None:
    job = of_kind(local, "Job")["minio-bucket"]
    assert job["spec"]["ttlSecondsAfterFinished"] <= 3600
    assert job["spec"]["template"]["spec"]["containers"][0]["command"][:3] == ["ganbalance", "store", "init"]


# ---- k8s/README.md ---------------------------------------------------------------------------------------------------


def test_the_example_of_an_own_overlay_does_what_it_says(rendered: dict[str, list[Manifest]]) -> None:
    objects = rendered["own"]
    assert "Namespace" not in {one["kind"] for one in objects}
    assert all(one["metadata"]["labels"]["cost-center"] == "vision" for one in objects)
    for account in of_kind(objects, "ServiceAccount").values():
        assert account["imagePullSecrets"] == [{"name": "registry"}]
    for name, template in templates(objects).items():
        spec, own = template["template"]["spec"], program(template)
        assert template["template"]["metadata"]["labels"]["cost-center"] == "vision"
        assert own["image"].startswith("registry.example/team/ganbalance:v1-")
        assert spec["priorityClassName"] == "batch-low"
        assert {"AWS_CA_BUNDLE", "HTTPS_PROXY", "NO_PROXY"} <= {one["name"] for one in own["env"]}
        assert {"ca", "tmp"} <= {one["name"] for one in own["volumeMounts"]}
        assert len(spec.get("tolerations", [])) == (2 if name in GPU else 0)
        selector = {"nvidia.com/gpu.present": "true", "nvidia.com/gpu.product": "NVIDIA-A100-SXM4-80GB"}
        assert spec.get("nodeSelector") == (selector if name in GPU else None)


def test_the_example_of_an_identity_has_no_secret(rendered: dict[str, list[Manifest]]) -> None:
    assert "ganbalance-s3" in yaml.safe_dump_all(rendered["own"])
    assert "ganbalance-s3" not in yaml.safe_dump_all(rendered["identity"])
    for account in of_kind(rendered["identity"], "ServiceAccount").values():
        assert "eks.amazonaws.com/role-arn" in account["metadata"]["annotations"]


def test_the_readme_names_every_component_and_overlay() -> None:
    assert not [name for name in (*manifests.COMPONENTS, *manifests.OVERLAYS) if not re.search(rf"\b{name}\b", README)]


def test_the_table_of_permissions_is_the_role(local: list[Manifest]) -> None:
    said = re.search(r"\| `ganbalance-driver` \|.*?\| `ganbalance-stage`", README, re.DOTALL)
    assert said
    for rule in of_kind(local, "Role")["ganbalance-driver"]["rules"]:
        (resource,) = rule["resources"]
        written = re.findall(rf"\b{resource}: ([a-z, ]+)", said.group())
        assert sorted(verb for verbs in written for verb in verbs.strip().split(", ")) == rule["verbs"]
