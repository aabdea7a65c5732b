"""Others want the same: a second driver of the run, and whoever shares the namespace's quota of Jobs."""

from collections import Counter
from collections.abc import Callable

import pytest

from ganbalance.errors import ConfigError, DataError
from tests.job_controller import Exits
from tests.unit.k8s_run import BLOCKED, GAN_0, KubernetesRun


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Have something happen while the driver waits before its second look."""

    def once(happens: Callable[[], object]) -> None:
        left = [happens]
        monkeypatch.setattr("ganbalance.k8s.driver.time.sleep", lambda seconds: left.pop()() if left else None)

    return once


# ---- two drivers ---------------------------------------------------------------------------------------------------


def test_a_driver_whose_run_another_has_taken_over_starts_nothing_more(
    run: KubernetesRun, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    run.pods.fates[GAN_0] = Exits(65)  # which the old one would try again, since its own submission has not
    old = run.driver()
    run.submit()
    meanwhile(run.driver().run)
    with pytest.raises(ConfigError, match=rf"run {run.name} is driven by .*, process \d+ since 20.*steps back") as said:
        old.run()
    assert said.value.exit_code == 78
    assert run.pods.ran == Counter(run.stages - BLOCKED)


def test_a_driver_that_is_started_again_goes_on(run: KubernetesRun) -> None:
    assert [run.driver().run(), run.driver().run()] == [{}, {}]
    run.check_ran_once()
    assert len(list(run.store.names(f"runs/{run.name}/drivers"))) == 2


def test_a_driver_ends_when_its_run_is_deleted(
    run: KubernetesRun, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    meanwhile(lambda: [run.store.delete(name) for name in list(run.store.names(f"runs/{run.name}"))])
    with pytest.raises(DataError, match=f"runs/{run.name}/drivers/000001-"):
        run.driver().run()
