"""Add the fix to what Kubernetes says, which is what is wrong and not what to change here."""

DEPLOY = "apply the manifests (make deploy), or name another --namespace"
MAKE_SECRET = "make it (k8s/README.md), or let make deploy do so"  # noqa: S105 - no password
TEMPLATE = "in the pod template (k8s/base, or a patch in your overlay) and apply it again (make deploy)"
IMAGE = "name another in the overlay, or by IMAGE, TAG and REGISTRY of make deploy"
LOADED = "copy it into the nodes (make load, imagePullPolicy: IfNotPresent)"
REACHABLE = f"{LOADED}, or push it where they reach it (make push deploy REGISTRY=...)"
RANGE = "set {setting} within the namespace's LimitRange (kubectl describe limitrange)"
# part of Kubernetes' message -> the fix; the first that occurs
FIXES = {
    "InvalidImageName": IMAGE,
    "ErrImageNeverPull": "copy it into the nodes (make load), or set imagePullPolicy: IfNotPresent in the overlay",
    "ImagePullBackOff": REACHABLE,
    "ErrImagePull": REACHABLE,
    "CreateContainerConfigError": "make what is missing (make deploy; the Secret: k8s/README.md)",
    "exceeded quota": "ask for less in {setting}, delete what is finished (ganbalance clean --run RUN), "
    "or raise the quota (kubectl describe quota)",
    "violates PodSecurity": f"set what it names {TEMPLATE}",
    "failed quota": f"a quota of the namespace wants them of every container, so set them {TEMPLATE}",
    " usage per ": RANGE,
    "limit to request ratio": RANGE,
    "PriorityClass": f"name one that exists (kubectl get priorityclass) {TEMPLATE}",
    "denied the request": "ask whoever runs the cluster what this webhook wants",
    "serviceaccount": "apply the manifests (make deploy)",
    "Insufficient": "ask for less in {setting}, or add a node, unless others end soon",
    "untolerated taint": "give the pod template a toleration for it (kubectl explain pod.spec.tolerations)",
    "node affinity/selector": "label a node (kubectl label node), or change the template's nodeSelector or affinity",
    "no nodes available": "add a node",
    "being terminated": "wait for the namespace's end and apply the manifests (make deploy)",
    "were unschedulable": "let a node take pods again (kubectl uncordon)",
}


def fix_for(message: str, setting: str = "resources.pods of the experiment") -> str:
    """What to do about a message of Kubernetes, empty where nobody knows; `setting` is where the resources are set."""
    return next((fix for part, fix in FIXES.items() if part in message), "").replace("{setting}", setting)


def advised(cause: str) -> str:
    """Join a cause and its fix in one line. What a program said of itself is left as it is."""
    fix = "" if cause.startswith("exit ") else fix_for(cause)
    return f"{cause}; {fix}" if fix else cause
