"""Keep artifacts: what one stage wrote, visible all at once or not at all.

    stages/<stage>/<key>/attempts/<attempt>/<file>...           written first, one folder per attempt
    stages/<stage>/<key>/attempts/<attempt>/checkpoints/<step>  until the commit
    stages/<stage>/<key>/attempts/<attempt>/ended.json          of an attempt that ended without a commit
    stages/<stage>/<key>/COMMIT.json                            written last: it is what makes the artifact exist

Two attempts at one key never touch each other's files; the loser of the commit adopts the winner.
"""

import datetime
import json
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic

from ganbalance.errors import DataError
from ganbalance.frozen import Frozen, dump
from ganbalance.keys import digest, sha256_file
from ganbalance.store import transfer
from ganbalance.store.base import MissingError, Store

Outcome = Literal["done", "diverged"]
KEPT_CHECKPOINTS = 2


def _inside(path: str) -> str:
    """Refuse a path that leads out of the folder: readers write files where a COMMIT says."""
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError("is no relative path")
    return path


Inside = Annotated[str, pydantic.AfterValidator(_inside)]


class File(Frozen):
    """One file of an artifact: its name, size in bytes and SHA-256 in hex."""

    path: Inside
    size: int
    sha256: str


class InputRef(Frozen):
    """Which bytes of a parent artifact were read."""

    stage: str
    key: str
    digest: str


class Commit(Frozen):
    """COMMIT.json. `digest` names the bytes and the result, never when, where or how fast they were made."""

    stage: str
    key: str
    attempt: Inside
    outcome: Outcome
    files: list[File]
    digest: str
    inputs: dict[str, InputRef]
    metrics: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name in the store."""
        return commit_name(self.stage, self.key)

    @property
    def n_bytes(self) -> int:
        """Bytes in the artifact's files."""
        return sum(file.size for file in self.files)

    def file_name(self, path: str) -> str:
        """Name the artifact's file `path` in the store."""
        return attempt_name(self.stage, self.key, self.attempt, path)

    def ref(self) -> InputRef:
        """Return what a dependent stage records of having read this artifact."""
        return InputRef(stage=self.stage, key=self.key, digest=self.digest)

    def __str__(self) -> str:
        return f"{self.stage} {self.key[:8]}"


class Ended(Frozen):
    """An attempt that ended without a commit: its seconds, those of them up to its last checkpoint, and on what."""

    seconds: float
    kept_seconds: float
    threads: int
    device: Literal["cpu", "cuda"]


class Artifact:
    """A committed artifact opened for reading; every file is verified before its path is handed out."""

    def __init__(self, artifacts: "Artifacts", commit: Commit) -> None:
        self.commit = commit
        self._artifacts = artifacts
        self._files = {file.path: file for file in commit.files}

    @property
    def names(self) -> list[str]:
        """The artifact's files."""
        return sorted(self._files)

    def path(self, name: str) -> Path:
        """Return a local path to the verified file `name`. Raises DataError when it is missing or its bytes changed."""
        if name not in self._files:
            home = f"{self.commit.stage}/{self.commit.key}"
            raise DataError(f"the artifact {home} has no file {name}, only {', '.join(self.names)}")
        return self._artifacts.verified(self.commit, [self._files[name]])[name]

    def paths(self) -> dict[str, Path]:
        """Return local paths to all files, verified, fetched side by side."""
        return self._artifacts.verified(self.commit, self.commit.files)

    def json(self, name: str) -> Any:
        """Parse the content of the verified JSON file `name`."""
        return json.loads(self.path(name).read_bytes())


class Artifacts:
    """The artifacts of one store; `scratch` is where files are fetched to, of no use to those who only look."""

    def __init__(self, store: Store, scratch: Path | None = None) -> None:
        self.store = store
        self._scratch = scratch or Path(tempfile.gettempdir())
        self._verified: dict[str, Path] = {}  # attempts never change: what was verified once need not be again

    def find(self, stage: str, key: str) -> Commit | None:
        """Find the commit of a key, or None while the artifact does not exist.

        Raises DataError when it is unreadable or lies where it does not belong.
        """
        name = commit_name(stage, key)
        try:
            found = Commit.model_validate_json(self.store.read(name))
        except MissingError:
            return None
        except pydantic.ValidationError as error:
            raise DataError(
                f"{name} in the store {self.store.url} is corrupt; delete it and run again to make it anew"
            ) from error
        if found.name != name:
            raise DataError(f"{name} in the store {self.store.url} is that of {found.stage}/{found.key}; delete it")
        return found

    def open(self, commit: Commit) -> Artifact:
        """Open the artifact of a commit, for reading."""
        return Artifact(self, commit)

    def verified(self, commit: Commit, files: Sequence[File]) -> dict[str, Path]:
        """Fetch files of a commit and check that their bytes are the committed ones: file -> path. Raises DataError."""
        named = {commit.file_name(file.path): file for file in files}
        advice = f"delete {commit.name} in the store {self.store.url} and run again to make it anew"
        for last in (False, True):  # bytes that were damaged in transit are fetched again
            wanted = {name: file.size for name, file in named.items() if name not in self._verified}
            try:
                found = transfer.move(
                    lambda name, on_bytes: self.store.fetch(name, self._scratch, on_bytes),
                    wanted,
                    f"from the store: {commit}",
                )
            except MissingError as error:
                raise DataError(f"a file of a committed artifact is missing: {error}; {advice}") from error
            self._verified |= {name: path for name, path in found.items() if sha256_file(path) == named[name].sha256}
            if last and (corrupt := wanted.keys() - self._verified.keys()):
                raise DataError(f"{min(corrupt)} is corrupt: its sha256 is not the committed one; {advice}")
        return {file.path: self._verified[name] for name, file in named.items()}

    def commit(  # noqa: PLR0913 - the fields of one record, each named at the call
        self,
        stage: str,
        key: str,
        *,
        attempt: str,
        folder: Path,
        inputs: Mapping[str, Commit],
        outcome: Outcome,
        metrics: dict[str, Any],
        provenance: dict[str, Any],
    ) -> Commit:
        """Make every file of `folder` the artifact of `key`. Returns the commit that stands afterwards, see `put`."""
        files = [
            File(path=path.relative_to(folder).as_posix(), size=path.stat().st_size, sha256=sha256_file(path))
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        ]
        ours = Commit(
            stage=stage,
            key=key,
            attempt=attempt,
            outcome=outcome,
            files=files,
            digest=result_digest(files, outcome, metrics),
            inputs={role: parent.ref() for role, parent in inputs.items()},
            metrics=metrics,
            provenance=provenance,
        )
        standing = self.put(ours, {file.path: folder / file.path for file in files})
        for name in self._checkpoints(stage, key):
            self.store.delete(name)
        return standing

    def put(self, ours: Commit, paths: Mapping[str, Path]) -> Commit:
        """Put the files of a commit under its attempt, file -> local path, then its COMMIT.json.

        Returns the commit that stands afterwards: this one, or that of a racing attempt that was first and
        read the same inputs. A commit made from other inputs is out of date and is replaced.
        """
        transfer.put_all(self.store, {ours.file_name(file): path for file, path in paths.items()}, str(ours))
        data = json.dumps(dump(ours), indent=1).encode()
        while not self.store.create(ours.name, data):
            standing = self.find(ours.stage, ours.key)
            if standing is not None and standing.inputs == ours.inputs:
                return standing
            self.store.delete(ours.name)
        return ours

    def save_checkpoint(self, stage: str, key: str, attempt: str, step: int, source: Path) -> None:
        """Keep the file `source` as the attempt's checkpoint at `step`, and only the last two of them."""
        self.store.put(attempt_name(stage, key, attempt, f"checkpoints/{step:012d}"), source)
        mine = [name for name in self._checkpoints(stage, key) if f"/attempts/{attempt}/" in name]
        for name in mine[KEPT_CHECKPOINTS:]:
            self.store.delete(name)

    def checkpoints(self, stage: str, key: str) -> list[Path]:
        """Fetch every checkpoint of `key`, of whichever attempt, as local files, furthest step first."""
        found = []
        for name in self._checkpoints(stage, key):
            with suppress(MissingError):  # another attempt has committed meanwhile, or kept a newer one
                found.append(self.store.fetch(name, self._scratch))
        return found

    def step(self, stage: str, key: str) -> int:
        """Find the step of the furthest checkpoint of `key`, 0 where there is none."""
        return max((int(name.rpartition("/")[2]) for name in self._checkpoints(stage, key)), default=0)

    def record_ended(self, stage: str, key: str, attempt: str, ended: Ended) -> None:
        """Keep how long an attempt took that ended without a commit."""
        self.store.create(attempt_name(stage, key, attempt, "ended.json"), json.dumps(dump(ended)).encode())

    def ended(self, stage: str, key: str) -> list[Ended]:
        """List every attempt at a key that is known to have ended without a commit; one that was killed is not."""
        names = self.store.names(f"stages/{stage}/{key}/attempts")
        return [Ended.model_validate_json(self.store.read(name)) for name in names if name.endswith("/ended.json")]

    def _checkpoints(self, stage: str, key: str) -> list[str]:
        names = self.store.names(f"stages/{stage}/{key}/attempts")
        found = [name for name in names if "/checkpoints/" in name]
        return sorted(found, key=lambda name: name.rpartition("/")[2], reverse=True)


def result_digest(files: Sequence[File], outcome: Outcome, metrics: Mapping[str, Any]) -> str:
    """Compute the digest of what an artifact holds."""
    return digest({"files": [dump(file) for file in files], "outcome": outcome, "metrics": metrics})


def new_attempt() -> str:
    """Make a name for one try at a stage: it sorts by time, never repeats."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
    return f"{now}-{secrets.token_hex(4)}"


def commit_name(stage: str, key: str) -> str:
    """Name a key's COMMIT.json in the store."""
    return f"stages/{stage}/{key}/COMMIT.json"


def attempt_name(stage: str, key: str, attempt: str, file: str) -> str:
    """Name a file of an attempt in the store."""
    return f"stages/{stage}/{key}/attempts/{attempt}/{file}"
