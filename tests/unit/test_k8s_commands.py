"""What is typed about runs on a cluster, against an API server and an S3 server in this process."""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganbalance.errors import Stopped
from ganbalance.k8s import connection
from ganbalance.k8s.client import Access, Cluster
from ganbalance.k8s.driver import Driver
from ganbalance.k8s.manifest import QUEUE, RUN
from ganbalance.pipeline import runs
from tests.cluster_double import KUEUE
from tests.job_controller import Outcome, Runs, Unmade, Waits
from tests.loading import loaded_by_command
from tests.unit.commands_bench import Bench

BAD_CONFIG = 78


def test_a_submission_is_one_driver_and_the_same_again_finds_it_at_work(bench: Bench) -> None:
    code, said = bench.submit()
    assert (code, len(bench.driver_jobs())) == (0, 1), said
    name = bench.driver_jobs()[0]["metadata"]["name"]
    assert f"submitted: the Job {name} drives it; next: ganbalance watch --run tiny-" in said


def test_of_two_that_submit_at_one_moment_one_is_the_driver(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.submit()
    submission = runs.load_submission(bench.store, bench.run, 1)
    assert runs.record_submission(bench.store, submission.model_copy(update={"parallel": 9})) == submission
    monkeypatch.setattr("ganbalance.cli.submissions.next_submission", lambda *of: 1)  # as the other saw it
    monkeypatch.setattr("ganbalance.cli.submissions.drivers", lambda cluster, run: [])
    code, said = bench.submit()
    assert (code, len(bench.driver_jobs())) == (0, 1), said
    assert runs.submission_numbers(bench.store, bench.run) == {1}


def test_jobs_that_the_store_knows_nothing_of_are_no_obstacle(bench: Bench) -> None:
    bench.submit()
    run = bench.run
    bench.double.tick()  # the driver, which is not here, ends
    for name in list(bench.store.names(f"runs/{run}/submissions")):  # as in a store that is new
        bench.store.delete(name)
    assert bench.type("status", "--run", run)[0] == 0
    code, said = bench.submit()
    assert (code, len(bench.driver_jobs())) == (0, 2), said
    assert runs.submission_numbers(bench.store, run) == {2}


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("3 Insufficient cpu", "ask for less in resources.pods of the experiment, or add a node"),
        ("3 Insufficient nvidia.com/gpu", "ask for less in resources.pods of the experiment, or add a node"),
        ("3 node(s) had untolerated taint(s)", "give the pod template a toleration for it"),
        ("3 node(s) didn't match Pod's node affinity/selector", "label a node"),
        ("3 node(s) were unschedulable", "let a node take pods again (kubectl uncordon)"),
    ],
)
def test_a_pod_without_a_node_is_shown_with_the_schedulers_sentence_and_what_to_do(
    bench: Bench, said: str, advice: str
) -> None:
    sentence = f"0/3 nodes are available: {said}"
    bench.pods.fates["dataset"] = Waits("Unschedulable", f"{sentence}. preemption: 0/3 nodes are available: none.")
    bench.submit()
    bench.step(bench.run)
    code, shown = bench.type("status", "--run", bench.run)
    (line,) = [line for line in shown.splitlines() if line.startswith("dataset ")]
    assert code == 0
    assert " pending " in line
    assert f"Unschedulable: {sentence}; {advice}" in line


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (
            Waits("ImagePullBackOff", "not found"),
            "driver: pending (ImagePullBackOff: not found; copy it into the nodes",
        ),
        (
            Waits("Unschedulable", "1 Insufficient cpu"),
            "driver: pending (Unschedulable: 1 Insufficient cpu; ask for less",
        ),
        (Unmade("exceeded quota: small"), "driver: pending (FailedCreate: exceeded quota: small; ask for less in"),
    ],
)
def test_a_driver_that_does_not_start_says_why_and_what_to_do(bench: Bench, outcome: Outcome, line: str) -> None:
    bench.double.pods = lambda job, index: outcome
    bench.submit()
    bench.double.tick()
    assert line in bench.type("status", "--run", bench.run)[1]


def test_a_stage_whose_artifact_is_gone_waits_for_nothing(bench: Bench) -> None:
    run = bench.stopped_after(4)
    (commit,) = [name for name in bench.store.names("stages/backbone") if name.endswith("COMMIT.json")]
    bench.store.delete(commit)
    said = bench.type("status", "--run", run)[1]
    (line,) = [one for one in said.splitlines() if one.startswith("backbone ")]
    assert " failed " in line
    assert "its artifact is gone from the store; resume the run" in line


def test_a_job_that_waits_in_a_queue_says_what_the_queue_says(bench: Bench) -> None:
    bench.double.ticks_on_list = False
    bench.submit()
    bench.step(bench.run)
    job = bench.double.object("Job", f"{bench.run}-dataset-1")
    job["metadata"]["labels"][QUEUE] = "team"
    bench.double.add(job | {"spec": job["spec"] | {"suspend": True}})
    assert "suspended: its queue has not let it in" in bench.type("status", "--run", bench.run)[1]
    bench.double.kinds |= KUEUE
    owner = {"kind": "Job", "uid": job["metadata"]["uid"]}
    pending = {"type": "QuotaReserved", "status": "False", "reason": "Pending", "message": "insufficient unused quota"}
    bench.double.add({
        "kind": "Workload", "metadata": {"name": "job-dataset", "ownerReferences": [owner]},
        "status": {"conditions": [pending]},
    })  # fmt: skip
    assert "Pending: insufficient unused quota" in bench.type("status", "--run", bench.run)[1]


def test_a_job_that_somebody_suspended_waits_for_no_queue(bench: Bench) -> None:
    bench.double.ticks_on_list = False
    bench.submit()
    bench.step(bench.run)
    job = bench.double.object("Job", f"{bench.run}-dataset-1")
    bench.double.add(job | {"spec": job["spec"] | {"suspend": True}})
    said = bench.type("status", "--run", bench.run)[1]
    undo = f'patch job {bench.run}-dataset-1 --patch \'{{"spec": {{"suspend": false}}}}\''
    flags = f"--namespace tests --kubeconfig {bench.double.kubeconfig}"
    assert f"suspended, and not by a queue; let it go on: kubectl {flags} {undo}" in said


def test_what_a_driver_outside_of_the_cluster_does_is_watched_to_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.submit()
    run = bench.run
    bench.double.remove("Job", bench.driver_jobs()[0]["metadata"]["name"])
    bench.pods.fates["dataset"] = Runs()
    bench.step(run)
    assert "for its logs: " in bench.type("status", "--run", run)[1]
    monkeypatch.setattr("ganbalance.cli.watching.time.sleep", lambda seconds: bench.pods.fates.clear())
    code, said = bench.type("watch", "--run", run)
    assert code == 0
    assert "dataset  running\n" in said
    assert "dataset  done\n" in said
    none = "no driver in the cluster: nothing there starts what is missing"
    assert f"{none}; type: ganbalance resume --run {run} --namespace tests" in said


@pytest.mark.parametrize("command", ["status", "watch", "logs", "cancel", "clean", "resume", "fetch-report"])
def test_a_run_that_is_none_is_reported(bench: Bench, command: str) -> None:
    code, said = bench.type(command, "--run", "nope")
    assert (code, said.count("\n")) == (BAD_CONFIG, 1)
    assert "has no run 'nope'" in said


@pytest.mark.parametrize("setting", [("--pending", "0"), ("--pending", "soon"), ("--parallel", "0")])
def test_a_setting_that_is_none_is_refused(bench: Bench, setting: tuple[str, str]) -> None:
    code, said = bench.submit(*setting)
    assert code == BAD_CONFIG
    assert f"argument {setting[0]}: '{setting[1]}': give " in said


def ask_for_two_gpus(bench: Bench) -> None:
    """In every pod of train-gan, for up to three hours."""
    found = bench.double.object("PodTemplate", "train-gan")
    found["metadata"]["annotations"] = {"ganbalance.io/gpu-resource": "example.com/gpu"}
    found["template"]["spec"]["activeDeadlineSeconds"] = 3 * 3600
    found["template"]["spec"]["containers"][0]["resources"]["limits"] |= {"example.com/gpu": "2"}
    bench.double.add(found)


def test_plan_bounds_the_gpu_hours_of_what_is_to_do(bench: Bench) -> None:
    code, said = bench.type("plan", str(bench.experiment))
    assert (code, "no GPU-hours: its pods ask for no GPU" in said) == (0, True), said
    ask_for_two_gpus(bench)
    code, said = bench.type("plan", str(bench.experiment))
    assert (code, "at most 12 GPU-hours, if every pod runs up to its deadline, once" in said) == (0, True), said


@pytest.fixture
def sweeping(bench: Bench) -> Bench:
    """The same with an experiment that sweeps a setting which no GAN depends on."""
    settings = yaml.safe_load(bench.experiment.read_text())
    bench.experiment.write_text(yaml.safe_dump(settings | {"sweep": {"classifier.side_px": [16, 32]}}))
    return bench


def test_a_sweep_is_a_driver_for_each_of_its_experiments(sweeping: Bench) -> None:
    code, said = sweeping.submit()
    runs_of = [job["metadata"]["labels"][RUN] for job in sweeping.driver_jobs()]
    assert code == 0, said
    assert [run.rpartition("-")[0] for run in runs_of] == ["tiny-side-px-16", "tiny-side-px-32"]
    assert [runs.load(sweeping.store, run).experiment.classifier.side_px for run in runs_of] == [16, 32]
    assert f"when all are done: ganbalance compare {' '.join(runs_of)} --namespace tests" in said
    code, said = sweeping.submit("--set", "classifier.side_px=16")
    assert (code, f"run {runs_of[0]}: " in said, "compare" in said) == (0, True, False), said
    assert len(sweeping.driver_jobs()) == 3


def test_trainings_that_runs_side_by_side_would_repeat_are_named(sweeping: Bench) -> None:
    note = "note: 2 trainings of GANs shared by several of these runs"
    assert note in sweeping.submit()[1]
    sweeping.experiment.write_text(sweeping.experiment.read_text().replace("classifier.side_px", "gans.dcgan.epochs"))
    assert "of GANs shared" not in sweeping.submit()[1]


def test_drivers_here_run_one_after_the_other_and_repeat_nothing(
    sweeping: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    driven: list[str] = []
    monkeypatch.setattr(Driver, "run", lambda driver: driven.append(driver._state.plan.run) or {})
    code, said = sweeping.submit("--driver", "local")
    assert (code, len(driven)) == (0, 2), said
    assert "of GANs shared" not in said


def test_render_takes_one_experiment_of_a_sweep(sweeping: Bench) -> None:
    code, said = sweeping.type("render", str(sweeping.experiment))
    assert (code, said.count("\n")) == (BAD_CONFIG, 1)
    assert "pick its values: --set classifier.side_px=16 (or 32)" in said
    code, said = sweeping.type("render", str(sweeping.experiment), "--set", "classifier.side_px=32")
    assert (code, "tiny-side-px-32" in said) == (0, True)


def test_gpu_hours_of_shared_stages_count_once(sweeping: Bench) -> None:
    ask_for_two_gpus(sweeping)
    code, said = sweeping.type("plan", str(sweeping.experiment))
    assert (code, "at most 12 GPU-hours" in said) == (0, True), said
    assert "2 train-gan" in said.partition("shared by several of them: ")[2]


def test_logs_come_in_the_order_of_the_tries(bench: Bench) -> None:
    bench.submit()
    run = bench.run
    bench.step(run)
    job = f"{run}-dataset-1"
    for pod, line in (("zzzzz", b"the first try\n"), ("aaaaa", b"the second try\n")):
        bench.store.create(f"runs/{run}/logs/dataset/{job}-0-{pod}.log", line)
        time.sleep(1.1)  # a store's clock tells seconds
    code, said = bench.type("logs", "--run", run, "--stage", "dataset")
    assert code == 0
    assert said.index("the first try") < said.index("the second try")


def test_images_of_ones_own_are_put_into_the_store_by_submit_and_by_nobody_else(
    bench: Bench, tiny: dict[str, Any]
) -> None:
    bench.experiment.write_text(yaml.safe_dump(tiny))
    code, said = bench.submit()
    assert (code, "dataset: done in" in said) == (0, True), said
    run = bench.run
    (commit,) = [name for name in bench.store.names("stages/dataset") if name.endswith("COMMIT.json")]
    assert bench.type("cancel", "--run", run)[0] == 0
    bench.store.delete(commit)
    code, said = bench.type("resume", "--run", run)
    assert code == BAD_CONFIG
    assert f"the dataset of run {run} is made of files that no pod has; submit its experiment again" in said
    assert bench.driver_jobs() == []


def test_a_proxy_of_this_machine_is_not_asked_for_the_way_into_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in connection.NO_PROXY:
        monkeypatch.delenv(name, raising=False)
    assert connection._past_proxies() == {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    monkeypatch.setenv("no_proxy", "intranet.example")
    assert set(connection._past_proxies().values()) == {"intranet.example,127.0.0.1"}


def test_files_that_pods_have_are_not_looked_for_here(bench: Bench) -> None:
    """An authority of one's own, as in the overlay of k8s/README.md."""
    bench.change_template(env=[{"name": "AWS_CA_BUNDLE", "value": "/etc/ganbalance/ca.crt"}])
    access = Access(kubeconfig=str(bench.double.kubeconfig))
    with connection.reach(Cluster(access)):
        assert "AWS_ENDPOINT_URL" in os.environ
        assert "AWS_CA_BUNDLE" not in os.environ


def test_a_driver_here_that_is_stopped_says_that_its_jobs_go_on(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(driver: Driver) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Driver, "run", interrupted)
    code, said = bench.submit("--driver", "local")
    assert code == Stopped.exit_code
    assert re.search("Jobs that have started go on. To resume: ganbalance resume --run tiny-.* --namespace tests", said)


def test_a_port_forward_ends_with_its_command(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = tmp_path / "kubectl"
    forward.write_text(
        f"#!/bin/sh\necho $$ >{tmp_path}/pid\necho 'Forwarding from 127.0.0.1:1234 -> 9000'\nexec sleep 60\n"
    )
    forward.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    store = bench.double.object("ConfigMap", "store")
    store["data"]["AWS_ENDPOINT_URL"] = "http://minio:9000"
    bench.double.add(store)
    access = Access(kubeconfig=str(bench.double.kubeconfig))
    before = signal.getsignal(signal.SIGTERM)

    def use() -> None:
        with connection.reach(Cluster(access)):
            assert os.environ["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1234"
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    with pytest.raises(Stopped):
        use()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert signal.getsignal(signal.SIGTERM) == before


def test_commands_about_a_run_load_the_clients_and_nothing_else_that_is_slow(bench: Bench) -> None:
    bench.submit()
    words = ("--run", bench.run, "--kubeconfig", str(bench.double.kubeconfig))
    for command in ("status", "logs", "cancel", "watch"):  # of a run that was cancelled, watch ends at once
        assert loaded_by_command(command, *words) == {"kubernetes", "boto3"}
