"""What the Roles for people hold, on what k8s/ renders to; tests/cluster/test_roles.py tries them."""

from itertools import product

import pytest

from tests import manifests
from tests.manifests import Manifest, of_kind

PEOPLE = ("viewer", "submitter", "deployer")
ADDED = ("network-policy", "quota", "roles")  # components with objects of their own that no overlay has
PLURALS = {"NetworkPolicy": "networkpolicies"}
Right = tuple[str, str, str, str]  # group, resource, name or "", verb


def rights(role: Manifest) -> set[Right]:
    return {
        right
        for rule in role["rules"]
        for right in product(rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""]), rule["verbs"])
    }


@pytest.fixture(scope="module")
def of_people() -> dict[str, set[Right]]:
    roles = of_kind(manifests.render(manifests.K8S / "components/roles"), "Role")
    assert sorted(roles) == sorted(f"ganbalance-{name}" for name in PEOPLE)
    return {name: rights(roles[f"ganbalance-{name}"]) for name in PEOPLE}


def test_each_may_do_what_the_one_before_may(of_people: dict[str, set[Right]]) -> None:
    assert of_people["viewer"] < of_people["submitter"] < of_people["deployer"]


def test_a_viewer_changes_nothing_and_reads_no_secret(of_people: dict[str, set[Right]]) -> None:
    changing = {right for right in of_people["viewer"] if right[3] not in {"get", "list", "watch"}}
    assert changing == {("", "pods/portforward", "", "create")}
    assert not [right for right in of_people["viewer"] if right[1] == "secrets"]


def test_nobody_reads_a_secret_but_the_stores_or_may_do_everything(of_people: dict[str, set[Right]]) -> None:
    for held in of_people.values():
        assert {right[2:] for right in held if right[1] == "secrets"} <= {("ganbalance-s3", "get"), ("", "create")}
        assert not [right for right in held if "*" in right]
        assert not [right for right in held if right[1] in {"namespaces", "nodes"} or right[3] in {"bind", "escalate"}]


def test_who_drives_a_run_here_may_do_what_its_driver_may(of_people: dict[str, set[Right]]) -> None:
    driver = of_kind(manifests.render(manifests.K8S / "base"), "Role")["ganbalance-driver"]
    assert rights(driver) <= of_people["submitter"]


def test_a_deployer_may_apply_everything_but_the_namespace(of_people: dict[str, set[Right]]) -> None:
    folders = [*(manifests.K8S / "overlays").iterdir(), *(manifests.K8S / "components" / name for name in ADDED)]
    for one in (one for folder in folders for one in manifests.render(folder)):
        kind, name = one["kind"], one["metadata"]["name"]
        if kind == "Namespace":
            continue
        group = one["apiVersion"].rpartition("/")[0]
        plural = PLURALS.get(kind, f"{kind.lower()}s")
        for verb in ("get", "create", "patch"):
            held = {(group, plural, "", verb), (group, plural, name, verb)} & of_people["deployer"]
            assert held, (kind, name, verb)
