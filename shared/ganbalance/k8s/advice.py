"""What to change, after what Kubernetes says: it tells what is wrong and not how to mend it here."""

IMAGE = "name another in the overlay, or by IMAGE, TAG and REGISTRY of make deploy"
REACHABLE = "copy it into the nodes (make load), or push it where they reach it (make push deploy REGISTRY=...)"
# a word of Kubernetes' -> what to do; the first that occurs
MENDS = {
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
    """A cause and what to do about it, in one line. What a program said of itself is left as it is."""
    if cause.startswith("exit "):
        return cause
    mend = next((mend for word, mend in MENDS.items() if word in cause), "")
    return f"{cause}; {mend}" if mend else cause
