"""`make compose-run` on a real S3 server: stopped, killed and carried on, from an experiment to a report."""

import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from tests.containers import Project

# the network is tiny; what takes time is the number of epochs, so that there is something to interrupt
EXPERIMENT = {
    "name": "tiny",
    "dataset": {"name": "fashion-mnist"},
    "task": {"kind": "pair", "positive": "trouser", "negative": "T-shirt/top"},
    "imbalance": {"keep": {"trouser": 0.2}},
    "arms": ["none", "threshold", "class-weight", "dcgan"],
    "gans": {
        "dcgan": {"epochs": 60, "g_widths": [8, 8, 4], "d_widths": [4, 4, 4]},
        "vanilla": {"epochs": 200},
    },
    "synthesis": {"n": 50},
    "classifier": {"side_px": 16, "l2": [0.1]},
    "statistics": {"replicates": 200},
    "resources": {"checkpoint_every_s": 1},
    "seeds": [0],
}
CONFINED = ["minio", "bucket", "plan", "imbalance", "train-gan", "synthesize", "train-classifier", "report"]


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("experiment") / "tiny.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT))
    # the programs' user is nobody of this machine
    path.parent.chmod(0o755)
    path.chmod(0o644)
    return str(path)


def stored(project: Project) -> list[str]:
    """The names of everything in the bucket."""
    client = boto3.client(
        "s3", endpoint_url=project.server.endpoint, aws_access_key_id=project.server.access_key,
        aws_secret_access_key=project.server.secret_key, region_name="us-east-1", verify=False,
    )  # fmt: skip
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="ganbalance")
    return [item["Key"] for page in pages for item in page["Contents"]]


def wait_for_a_checkpoint(project: Project) -> None:
    """Of train-gan: those of a finished one are gone."""
    until = time.monotonic() + 60
    while not any(name.startswith("stages/train-gan/") and "/checkpoints/" in name for name in stored(project)):
        assert time.monotonic() < until, "train-gan wrote no checkpoint"
        time.sleep(0.1)


def interrupted(project: Project, how: str, *variables: str) -> tuple[int, str]:
    """Exit code and output of `make compose-run` with train-gan interrupted in the middle of its work."""
    with project.start(*variables) as running:
        assert running.stdout
        lines = []
        for line in running.stdout:
            lines.append(line)
            if line.startswith("train-gan") and '"done"' in line and how:
                wait_for_a_checkpoint(project)
                assert project.compose(how, "train-gan").returncode == 0
                how = ""
    return running.returncode, "".join(lines)


@pytest.fixture(scope="module")
def stopped(project: Project, experiment: str) -> tuple[int, str]:
    """The experiment's first start: SIGTERM in the middle of train-gan."""
    return interrupted(project, "stop", f"EXPERIMENT={experiment}")


@pytest.fixture(scope="module")
def finished(project: Project, experiment: str, stopped: tuple[int, str]) -> tuple[int, str]:
    """Its second start, which nobody interrupts."""
    return project.run(f"EXPERIMENT={experiment}")


@pytest.fixture(scope="module")
def report(project: Project, finished: tuple[int, str]) -> Iterator[Path]:
    """The folder of the report."""
    (folder,) = project.out.iterdir()
    return folder


def test_a_stopped_program_leaves_a_checkpoint_and_says_so(stopped: tuple[int, str]) -> None:
    code, output = stopped
    assert code != 0
    assert re.search(r"train-gan: stopped after step \d+ of \d+; the same command resumes there", output)
    assert "train-gan ended with exit code 143; the same command resumes" in output
    assert "Error 143" in output


def test_the_same_command_resumes_from_the_checkpoint(finished: tuple[int, str]) -> None:
    code, output = finished
    assert code == 0, output
    assert re.search(r"train-gan-1 +\| resuming at step [1-9]", output)
    assert "dataset: already done" in output


def test_a_run_ends_with_its_table_and_where_the_report_is(project: Project, finished: tuple[int, str]) -> None:
    _, output = finished
    assert re.search(r"fetch-report-1 +\| dcgan +0\.\d{4}", output)
    assert f"the report is in {project.out}" in output
    assert re.search(r"its console is http://127\.0\.0\.1:\d+", output)


def test_the_report_is_whole_and_belongs_to_whoever_asked(report: Path) -> None:
    names = {path.name for path in report.iterdir()}
    assert names >= {"report.html", "report.md", "summary.json", "results.csv", "confusion.csv", "predictions.npz"}
    assert {path.stat().st_uid for path in report.rglob("*")} == {os.getuid()}
    page = (report / "report.html").read_text()
    assert "<table" in page
    assert "dcgan" in page.lower()


def test_the_report_says_what_was_compared_and_what_came_out(report: Path) -> None:
    summary: dict[str, Any] = json.loads((report / "summary.json").read_text())
    assert list(summary["arms"]) == EXPERIMENT["arms"]
    assert summary["missing_results"] == []
    assert summary["seeds"] == [0]
    verdicts = {arm: (of_arm["verdict"] or {}).get("name") for arm, of_arm in summary["arms"].items()}
    assert verdicts == {
        "none": None, "threshold": None, "class-weight": "too few seeds", "dcgan": "too few seeds",
    }  # fmt: skip


def test_the_report_says_which_commit_its_images_were_built_from(report: Path, programs: Any) -> None:
    assert programs.config["Labels"]["org.opencontainers.image.revision"] in (report / "summary.json").read_text()


def test_the_bucket_holds_every_stage_of_the_run_as_a_commit(project: Project, finished: tuple[int, str]) -> None:
    names = stored(project)
    committed = {name.split("/")[1] for name in names if name.endswith("/COMMIT.json")}
    stages = {"dataset", "imbalance", "train-gan", "synthesize", "backbone", "features", "train-classifier", "report"}
    assert committed >= stages
    assert len([name for name in names if name.endswith("/run.json")]) == 1


def test_a_finished_run_is_not_done_again(project: Project, experiment: str, finished: tuple[int, str]) -> None:
    code, output = project.run(f"EXPERIMENT={experiment}")
    assert code == 0, output
    assert "report: already done" in output
    assert not re.search(r": done in \d", output)


def test_another_gan_that_is_killed_costs_only_what_was_after_its_checkpoint(
    project: Project, experiment: str, finished: tuple[int, str]
) -> None:
    variables = (f"EXPERIMENT={experiment}", "GAN=vanilla", "SEEDS=1")
    code, output = interrupted(project, "kill", *variables)
    assert code != 0
    assert "train-gan ended with exit code 137" in output
    code, output = project.run(*variables)
    assert code == 0, output
    assert re.search(r"train-gan-1 +\| resuming at step [1-9]", output)
    assert re.search(r"train-gan/vanilla/class-1/seed-1: done in", output)
    assert len(list(project.out.iterdir())) == 2


def test_a_bad_experiment_ends_with_its_own_exit_code(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(yaml.safe_dump(EXPERIMENT | {"nonsense": 1}))
    tmp_path.chmod(0o755)
    code, output = project.run(f"EXPERIMENT={path}")
    assert code != 0
    assert "unknown key 'nonsense'" in output
    assert "Error 78" in output


def test_an_experiment_that_is_not_there_is_no_empty_folder(project: Project, tmp_path: Path) -> None:
    code, output = project.run(f"EXPERIMENT={tmp_path}/none.yaml")
    assert code != 0
    assert "does not exist" in output
    assert not (tmp_path / "none.yaml").exists()


def test_a_service_takes_its_programs_flags(project: Project) -> None:
    said = project.compose("run", "--rm", "--no-deps", "train-gan", "--help")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("usage: train-gan ")


def test_every_service_is_confined(project: Project) -> None:
    services = settings(project)["services"]
    for name in CONFINED:
        service = services[name]
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
    assert {services[name]["user"] for name in CONFINED if name != "minio"} == {"10001:10001"}
    assert services["fetch-report"]["cap_add"] == ["DAC_OVERRIDE"]


def test_servers_answer_to_this_machine_only(project: Project) -> None:
    ports = [
        port for service in settings(project, COMPOSE_PROFILES="*")["services"].values()
        for port in service.get("ports", [])
    ]  # fmt: skip
    assert len(ports) == 3
    assert {port["host_ip"] for port in ports} == {"127.0.0.1"}


def test_credentials_of_another_store_in_the_shell_reach_no_container(project: Project) -> None:
    exported = dict.fromkeys(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"], "of-amazon")
    given = json.dumps(settings(project, **exported))
    assert "of-amazon" not in given


def test_what_another_server_needs_reaches_the_programs(project: Project) -> None:
    given = {"S3_ENDPOINT": "", "S3_SESSION_TOKEN": "of-an-hour", "S3_ADDRESSING": "virtual"}
    seen = settings(project, **given)["services"]["train-gan"]["environment"]
    assert (seen["AWS_ENDPOINT_URL"], seen["AWS_SESSION_TOKEN"]) == ("", "of-an-hour")
    assert seen["GANBALANCE_S3_ADDRESSING"] == "virtual"


def test_an_authority_of_ones_own_is_shown_to_every_program_as_the_document_says(
    project: Project, tmp_path: Path
) -> None:
    (override,) = re.findall(r"```yaml\n(.*?)```", Path("docs/stores.md").read_text(), re.DOTALL)
    (tmp_path / "override.yaml").write_text(override)
    services = settings(project, "--file=compose.yaml", f"--file={tmp_path}/override.yaml")["services"]
    assert {name for name, service in services.items() if "AWS_CA_BUNDLE" in service["environment"]} == {
        *CONFINED, "fetch-report",
    } - {"minio"}  # fmt: skip
    targets = [volume["target"] for volume in services["train-gan"]["volumes"]]
    assert targets == ["/run/ganbalance", "/run/ca.pem"]


def test_the_gpu_file_gives_a_gpu_to_what_computes(project: Project) -> None:
    services = settings(project, "--file=compose.yaml", "--file=compose.gpu.yaml")["services"]
    computing = {"train-gan", "synthesize", "train-classifier"}
    assert {name for name, service in services.items() if "deploy" in service} == computing
    assert {name for name, one in services.items() if "GANBALANCE_GPUS" in one.get("environment", {})} == computing
    images = {name: service["image"].rpartition("-")[2] for name, service in services.items() if name != "minio"}
    assert {image for name, image in images.items() if image != "report"} == {"cuda"}
    assert {name for name, image in images.items() if image == "report"} == {"bucket", "report", "fetch-report"}


def settings(project: Project, *flags: str, **variables: str) -> dict[str, Any]:
    """compose.yaml with its variables filled in."""
    said = project.compose(*flags, "config", "--format=json", **variables)
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found
