"""Can a cluster run this: one finding per check, before anything is created. Looking leaves no trace.

submit asks about the Jobs that it is about to create; doctor, which has none, about what the templates would make.
"""

from collections.abc import Callable, Iterable, Sequence

from ganbalance.errors import ConfigError, UnavailableError
from ganbalance.k8s.client import Cluster, ForbiddenError
from ganbalance.k8s.manifest import Manifest
from ganbalance.k8s.preflight.admission import Admission
from ganbalance.k8s.preflight.entrance import Entrance
from ganbalance.k8s.preflight.environment import Environment
from ganbalance.k8s.preflight.images import images
from ganbalance.k8s.preflight.quota import Quotas
from ganbalance.k8s.preflight.room import Room
from ganbalance.k8s.preflight.wanted import Wanted
from ganbalance.store.doctor.checks import Check, CheckResult, Finding

__all__ = ["checks", "refuse"]


def checks(cluster: Cluster, jobs: Sequence[Manifest]) -> list[Check]:
    """The checks of a cluster for Jobs, or for its templates when there are none."""
    wanted = Wanted(cluster, jobs)
    entrance, admission, room = Entrance(cluster, wanted), Admission(cluster, wanted), Room(cluster, wanted)
    found = [
        Check("cluster", entrance.version),
        Check("namespace", _if_allowed(entrance.namespace), ["cluster"]),
        Check("rights", entrance.rights, ["namespace"]),
        Check("templates", entrance.templates, ["namespace"]),
        Check("accounts", _if_allowed(admission.accounts), ["templates"]),
        Check("environment", _if_allowed(Environment(cluster, wanted).look), ["templates"]),
        Check("jobs", admission.jobs, ["templates", "rights"]),
        Check("pods", _if_allowed(admission.pods), ["templates", "accounts"]),
        Check("queue", _if_allowed(admission.queue), ["templates"]),
        Check("quota", _if_allowed(Quotas(cluster, wanted).look), ["templates"]),
        Check("nodes", _if_allowed(room.nodes), ["templates"]),
        Check("images", lambda: images(wanted, room), ["templates"]),
    ]
    return found if jobs else [*found, Check("GPUs", _if_allowed(room.gpus), ["cluster"])]


def refuse(found: Iterable[Finding]) -> None:
    """Stop where a check failed. Raises UnavailableError when the API server is away, else ConfigError."""
    failed = [finding for finding in found if finding.state == "FAIL"]
    if not failed:
        return
    lines = [f"{one.check}: {one.text} -> fix: {one.fix}" for one in failed]
    told = "\n  ".join(["the cluster cannot run this, and nothing was submitted:", *lines])
    if any(one.exit_code == UnavailableError.exit_code for one in failed):
        raise UnavailableError(told)
    raise ConfigError(told)


def _if_allowed(look: Callable[[], CheckResult]) -> Callable[[], CheckResult]:
    """What one may not look at is told and holds nothing up."""

    def looked() -> CheckResult:
        try:
            return look()
        except ForbiddenError as error:
            return CheckResult(f"not looked at, for want of a right: {str(error).partition(': ')[0]}", "note")

    return looked
