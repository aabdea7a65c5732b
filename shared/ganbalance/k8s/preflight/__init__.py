"""Check that a cluster can run this: one finding per check, before anything is created. Nothing is left behind.

submit checks the Jobs that it is about to create; doctor, which has none, what the templates would make.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight import namespace, nodes, objects
from ganbalance.maintenance.doctor.checks import Check, CheckResult, Finding

__all__ = ["checks", "refuse"]


def checks(cluster: Cluster, jobs: Sequence[Manifest]) -> list[Check]:
    """The checks of a cluster for Jobs, or for its templates when there are none."""
    specs = objects.PodSpecs(cluster, jobs)
    found = [
        Check("cluster", partial(namespace.version, cluster)),
        Check("namespace", _if_allowed(namespace.namespace, cluster), ["cluster"]),
        Check("permissions", partial(namespace.permissions, cluster), ["namespace"]),
        Check("templates", specs.templates, ["namespace"]),
        Check("environment", _if_allowed(namespace.environment, cluster, specs), ["templates"]),
        Check("jobs", partial(objects.jobs, cluster, specs), ["templates", "permissions"]),
        Check("pods", _if_allowed(objects.pods, cluster, specs), ["templates"]),
        Check("queue", _if_allowed(objects.queue, cluster, specs), ["templates"]),
        Check("nodes", _if_allowed(nodes.fit, cluster, specs), ["templates"]),
        Check("images", partial(nodes.images, specs), ["templates"]),
    ]
    return found if jobs else [*found, Check("GPUs", _if_allowed(nodes.gpus, cluster), ["cluster"])]


def refuse(found: Iterable[Finding]) -> None:
    """Stop where a check failed. Raises UnavailableError when the API server is away, else ConfigError."""
    failed = [finding for finding in found if finding.state == "FAIL"]
    if not failed:
        return
    lines = [f"{one.check}: {one.text} -> fix: {one.fix}" for one in failed]
    message = "\n  ".join(["the cluster cannot run this, and nothing was submitted:", *lines])
    if any(one.exit_code == UnavailableError.exit_code for one in failed):
        raise UnavailableError(message)
    raise ConfigError(message)


def _if_allowed(check: Callable[..., CheckResult], *given: object) -> Callable[[], CheckResult]:
    """Make a note of a check that needs permissions which are not there, in place of a failure."""

    def checked() -> CheckResult:
        try:
            return check(*given)
        except ForbiddenError as error:
            return CheckResult(f"not checked, permission denied: {str(error).partition(': ')[0]}", "note")

    return checked
