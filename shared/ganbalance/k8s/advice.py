"""Add the fix to what Kubernetes says, which is what is wrong and not what to change here."""

IMAGE = "name another in the overlay, or by IMAGE, TAG and REGISTRY of make deploy"
REACHABLE = "copy it into the nodes (make load), or push it where they reach it (make push deploy REGISTRY=...)"
# part of Kubernetes' message -> the fix; the first that occurs
FIXES = {
    "InvalidImageName": IMAGE,
    "ErrImageNeverPull": "copy it into the nodes (make load), or set imagePullPolicy: IfNotPresent in the overlay",
    "ImagePullBackOff": REACHABLE,
    "ErrImagePull": REACHABLE,
    "CreateContainerConfigError": "make what is missing (make deploy; the Secret: k8s/README.md)",
    "exceeded quota": "ask for less in resources.pods of the experiment, or raise the quota (kubectl describe quota)",
    "violates PodSecurity": "set what it names in the pod template, by the overlay (make deploy)",
    "serviceaccount": "apply the manifests (make deploy)",
    "Insufficient": "ask for less in resources.pods of the experiment, or add a node, unless others end soon",
}


def advised(cause: str) -> str:
    """Join a cause and its fix in one line. What a program said of itself is left as it is."""
    if cause.startswith("exit "):
        return cause
    fix = next((fix for part, fix in FIXES.items() if part in cause), "")
    return f"{cause}; {fix}" if fix else cause
