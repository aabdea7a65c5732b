"""A driver may die after anything it does, answers may get lost, two may run at a time: the run converges all the same.

Between two effects on the world, a request that was answered or a file that was written, a driver only thinks. So to
die after each effect in turn is to die at every moment that can matter; to die before the next one is the same.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from urllib3 import BaseHTTPResponse

from ganbalance.errors import ConfigError
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.driver import Driver
from ganbalance.store.local import LocalStore
from tests.cluster_double import ClusterDouble
from tests.http_double import Fault
from tests.job_controller import Exits
from tests.unit.k8s_run import BLOCKED, GAN_0, STEPS, KubernetesRun, plan_record

SLICES = 4  # so that they can run side by side


class Died(BaseException):
    """No `except Exception` helps against a SIGKILL."""


class Life:
    """Something happens right after effect number `effects`: by default the end."""

    def __init__(self, effects: int, then: Callable[[], None] | None = None) -> None:
        self._left, self._then = effects, then

    @property
    def is_over(self) -> bool:
        return self._left <= 0

    def spend(self) -> None:
        self._left -= 1
        if self._left == 0:
            if self._then is None:
                raise Died
            self._then()


class MortalCluster(Cluster):
    def __init__(self, access: Access, life: Life) -> None:
        super().__init__(access)
        self._life = life

    def _ask(self, *request: Any, **more: Any) -> BaseHTTPResponse:
        answer = super()._ask(*request, **more)
        self._life.spend()
        return answer


class MortalStore(LocalStore):
    def __init__(self, url: str, life: Life) -> None:
        super().__init__(url)
        self._life = life

    def _create(self, name: str, data: bytes) -> bool:
        made = super()._create(name, data)
        self._life.spend()
        return made


def mortal(run: KubernetesRun, life: Life) -> Driver:
    cluster = MortalCluster(Access(kubeconfig=str(run.double.kubeconfig)), life)
    return run.driver(cluster=cluster, store=MortalStore(run.store.url, life))


@pytest.fixture
def fresh(tiny: dict[str, Any], tmp_path: Path, no_waiting: None) -> "Fresh":
    """Makes a run on a cluster of its own, as often as wanted; of the arms that are alike to the driver it has one."""
    record = plan_record(tiny | {"arms": ["none", "threshold", "dcgan"]})

    @contextmanager
    def make() -> Iterator[KubernetesRun]:
        with ClusterDouble(tmp_path) as double:
            yield KubernetesRun.new(record, tmp_path, double, parallel=3)

    return make


Fresh = Callable[[], AbstractContextManager[KubernetesRun]]


@pytest.mark.parametrize("first", range(1, SLICES + 1))
def test_another_driver_goes_on_wherever_one_died(fresh: Fresh, first: int) -> None:
    for effects in itertools.count(first, SLICES):
        with fresh() as run:
            life = Life(effects)
            with suppress(Died):
                mortal(run, life).run()
            assert run.driver().run() == {}
            run.check_ran_once()
            if not life.is_over:  # it had no more than that many effects
                break
    assert effects > 75


@pytest.mark.parametrize("steps", [1, STEPS])
def test_a_driver_that_comes_back_after_another_took_over_does_no_harm(fresh: Fresh, steps: int) -> None:
    """As after a network partition: what it saw is old, and it goes on in the middle of what it was doing."""

    def take_over(other: Driver) -> None:
        for _ in range(steps):
            if other.step():
                return

    for effects in itertools.count(2, 8):
        with fresh() as run:
            life = Life(effects, then=partial(take_over, run.driver()))
            assert mortal(run, life).run() == {}
            run.check_ran_once()
            if not life.is_over:
                break


def test_a_driver_that_always_dies_soon_is_enough_if_another_always_follows(run: KubernetesRun) -> None:
    for _ in range(STEPS):
        with suppress(Died):  # in 25 effects it can tell of all that is over, and start something
            assert mortal(run, Life(25)).run() == {}
            break
    run.check_ran_once()


def test_of_two_drivers_at_a_time_one_steps_back_and_nothing_runs_twice(run: KubernetesRun) -> None:
    with ThreadPoolExecutor() as pool:
        ends = [pool.submit(run.driver().run) for _ in range(2)]
    assert [end.result() for end in ends if not end.exception()] == [{}]
    (stepped_back,) = [error for end in ends if (error := end.exception())]
    assert isinstance(stepped_back, ConfigError)
    assert f"run {run.name} is driven by " in str(stepped_back)
    run.check_ran_once()


def test_a_stage_that_fails_has_its_tries_once_wherever_the_driver_died(fresh: Fresh) -> None:
    for effects in itertools.count(10, 16):
        with fresh() as run:
            run.pods.fates[GAN_0] = Exits(1)
            life = Life(effects)
            with suppress(Died):
                mortal(run, life).run()
            failed = run.drive()
            assert failed[GAN_0] == "exit 1 (a bug): Error"
            assert run.pods.ran == Counter(run.stages - BLOCKED) + Counter({GAN_0: 3})
            run.check_records()
            if not life.is_over:
                break


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500, reason="InternalError"),
        Fault(status=503, reason="ServiceUnavailable", after=True),
        Fault(status=429, reason="TooManyRequests", retry_after=0),
        Fault(),
        Fault(after=True),
    ],
    ids=["500", "503 after it took effect", "429", "reset", "reset after it took effect"],
)
def test_every_second_answer_may_get_lost(run: KubernetesRun, fault: Fault) -> None:
    """What took effect and was not answered is asked for again, and must not happen again."""
    run.double.faults.append(replace(fault, times=1000, every=2))
    assert run.drive() == {}
    run.check_ran_once()
