"""Run a job program inside a pod: which stage it runs, a copy of its log in the store, its termination message.

GANBALANCE_POD          the pod's name; set by the pod template, and what turns all of this on
JOB_COMPLETION_INDEX    which stage of the Job's round; set by Kubernetes

runs/<run>/logs/<stage>/<pod>.log    what the program printed; <stage> is "driver" for a driver
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ganbalance.errors import ConfigError, GanbalanceError
from ganbalance.store import Store

POD = "GANBALANCE_POD"
INDEX = "JOB_COMPLETION_INDEX"
TERMINATION_LOG = Path("/dev/termination-log")  # where the kubelet looks
MAX_CAUSE = 3000  # bytes; the kubelet keeps 4096
OUTPUTS = (1, 2)
FLUSH_TIMEOUT_S = 10.0


def stage_of(stages: Sequence[str]) -> str:
    """The one that this pod is to run of the stages of its Job. Raises ConfigError outside of an Indexed Job."""
    given = os.environ.get(INDEX, "")
    if not given.isdecimal() or int(given) >= len(stages):
        raise ConfigError(
            f"{INDEX}={given!r}: --stages is for the pods of a Job, which have an index below {len(stages)}; elsewhere "
            "name a stage with --stage"
        )
    return stages[int(given)]


def write_termination_message(code: int, cause: str) -> None:
    """Write for the kubelet in one line of JSON how this ended; outside of a pod do nothing."""
    if POD in os.environ:
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_text(json.dumps({"exit_code": code, "cause": cause[:MAX_CAUSE]}) + "\n")


def log_folder(run: str, stage: str) -> str:
    """Where the logs of a stage's pods are, or of all stages whose names begin so."""
    return f"runs/{run}/logs/{stage}"


class Log:
    """Copies what the process prints, also from compiled code, to the store when the process ends.

    Does nothing outside of a pod. A log that cannot be kept is no reason to fail.
    """

    def __init__(self) -> None:
        self._pod = os.environ.get(POD, "")
        self._store: Store | None = None
        self._name = ""

    def keep_in(self, store: Store, run: str, stage: str) -> None:
        """Say where the log belongs; until then it is only printed."""
        self._store, self._name = store, f"{log_folder(run, stage)}/{self._pod}.log"

    def __enter__(self) -> Self:
        if self._pod:
            self._file = tempfile.NamedTemporaryFile(prefix="ganbalance-log-")
            self._console = [os.dup(output) for output in OUTPUTS]
            # in a session of its own: a signal to this one must not end it before this process has said its last
            self._tee = subprocess.Popen(["tee", self._file.name], stdin=subprocess.PIPE, start_new_session=True)
            with self._tee.stdin as end:  # type: ignore[union-attr]
                for output in OUTPUTS:
                    os.dup2(end.fileno(), output)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._pod:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        for console, output in zip(self._console, OUTPUTS, strict=True):
            os.dup2(console, output)  # which closes the last writing end, and so ends the copying
            os.close(console)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._tee.wait(FLUSH_TIMEOUT_S)  # a child that lives on would block it
        with self._file:
            if self._store:
                try:
                    self._store.put(self._name, Path(self._file.name))
                except GanbalanceError as problem:
                    print(f"the log is not kept: {problem}", file=sys.stderr, flush=True)
