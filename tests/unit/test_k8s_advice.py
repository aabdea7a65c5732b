"""After what Kubernetes says, the fix; the messages are those of Kubernetes 1.34."""

import pytest

from ganbalance.k8s.diagnosis import advised


@pytest.mark.parametrize(
    ("cause", "fix"),
    [
        ('InvalidImageName: couldn\'t parse image name "Not/A"', "name another in the overlay"),
        ('ErrImageNeverPull: Container image "x" is not present with pull policy of Never', "imagePullPolicy"),
        ('ImagePullBackOff: Back-off pulling image "x": ErrImagePull: not found', "make push deploy REGISTRY="),
        ('CreateContainerConfigError: secret "x" not found', "k8s/README.md"),
        ('timed out after 15 s; FailedCreate: pods "x" is forbidden: exceeded quota: small', "kubectl describe quota"),
        ("Unschedulable: 0/3 nodes are available: 3 Insufficient cpu", "ask for less in resources.pods"),
        ("Unschedulable: 0/1 nodes are available: 1 node(s) had untolerated taint {a: b}", "toleration"),
        ("Unschedulable: 0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector", "label a node"),
        ("Unschedulable: 0/1 nodes are available: 1 node(s) were unschedulable", "kubectl uncordon"),
        ('FailedCreate: pods "x" is forbidden: maximum memory usage per Pod is 1Gi, but limit is 2Gi', "LimitRange"),
    ],
)
def test_what_kubernetes_says_is_followed_by_what_to_do(cause: str, fix: str) -> None:
    said, advice = advised(cause).removeprefix(cause)[:2], advised(cause).removeprefix(cause)[2:]
    assert said == "; "
    assert fix in advice


@pytest.mark.parametrize("cause", ["", "exit 1 (a bug): no serviceaccount here", "upstream failed: imbalance/seed-0"])
def test_the_rest_says_itself_what_to_do(cause: str) -> None:
    assert advised(cause) == cause
