"""Docker, the images that `make images` made, and Compose projects that are nobody's."""

import json
import os
import secrets
import subprocess
from pathlib import Path
from typing import Any

from tests import servers

ROOT = Path(__file__).parents[1]
NAME = f"{os.environ.get('IMAGE', 'ganbalance')}:{os.environ.get('TAG', 'local')}"
# what a program may rely on, and no more
CONFINED = ("--read-only", "--tmpfs=/tmp", "--user=10001", "--cap-drop=ALL", "--security-opt=no-new-privileges")


class Image:
    """A built image, its programs run as confined as a careful cluster runs them, and without a network."""

    def __init__(self, name: str) -> None:
        self.name = name
        found = docker("image", "inspect", name)
        assert found.returncode == 0, f"there is no image {name}: run 'make images' first\n{found.stderr}"
        self.config: dict[str, Any] = json.loads(found.stdout)[0]["Config"]

    def run(self, *command: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
        return docker("run", "--rm", "--network=none", *CONFINED, *options, self.name, *command)


def docker(*arguments: str, **settings: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=600, **settings)


class Project:
    """compose.yaml under another name, at other ports and with another folder for reports than a user's."""

    def __init__(self, folder: Path) -> None:
        self.name = f"ganbalance-test-{secrets.token_hex(4)}"
        self.out = folder / "out"
        self.port = servers.free_port()
        self.server = servers.Server(f"http://127.0.0.1:{self.port}", "a-test", "of-compose-itself")
        self.environment = {
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_DISABLE_ENV_FILE": "1",
            "COMPOSE_FILE": "compose.yaml",  # and no compose.override.yaml
            "MINIO_PORT": str(self.port),
            "MINIO_CONSOLE_PORT": str(servers.free_port()),
            "SEAWEEDFS_PORT": str(servers.free_port()),
            "OUT": str(self.out),
            "S3_ACCESS_KEY": self.server.access_key,
            "S3_SECRET_KEY": self.server.secret_key,
        }

    def compose(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return docker("compose", *arguments, cwd=ROOT, env=os.environ | self.environment | variables)

    def start(self, *variables: str) -> "subprocess.Popen[str]":
        """`make compose-run` in the background."""
        return subprocess.Popen(
            ["make", "compose-run", *variables], cwd=ROOT, env=os.environ | self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *variables: str) -> tuple[int, str]:
        """`make compose-run` to its end: exit code and output."""
        with self.start(*variables) as running:
            output, _ = running.communicate(timeout=600)
        return running.returncode, output

    def exit_code(self, service: str) -> int:
        return int(self.compose("ps", "--all", "--format={{.ExitCode}}", service).stdout)
