"""Run a job program around its body: flags, inputs, signals, the commit and the exit code.

A job module is a docstring, one function per stage, and `main = program(__doc__, {Stage: function, ...})`.
"""

import argparse
import errno
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar

import threadpoolctl

from ganbalance.called import typed
from ganbalance.config import AWAY, Experiment, write_yaml
from ganbalance.data.images import TaskImages
from ganbalance.data.split import Split
from ganbalance.errors import EXIT_BUG, EXIT_DISK, EXIT_DONE, ConfigError, DataError, GanbalanceError, UnavailableError
from ganbalance.frozen import dump
from ganbalance.paths import expanded
from ganbalance.pipeline import heartbeat, provenance, request, runs
from ganbalance.pipeline.checkpoints import Checkpoints
from ganbalance.pipeline.outages import outlast
from ganbalance.pipeline.parser import Parser
from ganbalance.pipeline.plan import Node, Plan, make_plan
from ganbalance.pipeline.signals import answered, stoppable
from ganbalance.pipeline.stages import Stage
from ganbalance.pipeline.state import State, open_state
from ganbalance.pipeline.stopwatch import measured
from ganbalance.printing import print_anything
from ganbalance.progress import Progress
from ganbalance.store import open_store
from ganbalance.store.artifacts import Artifact, Commit, Ended

S = TypeVar("S", bound=Stage)


Body = Callable[["JobContext"], None]
INDEX = "JOB_COMPLETION_INDEX"  # which of its Job's stages a pod runs; set by Kubernetes
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass
class JobContext:
    """What a job's body may use. Files written to `folder` and numbers put in `metrics` become the artifact."""

    node: Node
    experiment: Experiment
    plan: Plan
    inputs: dict[str, Artifact]
    folder: Path
    progress: Progress
    checkpoints: Checkpoints
    stops: list[bool] = field(default_factory=list)  # one for each signal in a training, also that of a stage before
    metrics: dict[str, Any] = field(default_factory=dict)
    diverged: bool = False
    ended: dict[str, list[Ended]] = field(default_factory=dict)  # attempts at the inputs that are missing, by role

    @property
    def seed(self) -> int:
        """The node's seed."""
        if self.node.seed is None:
            raise TypeError(f"{self.node.name} has no seed")
        return self.node.seed

    @contextmanager
    def resumable(self) -> Iterator[dict[str, Any]]:
        """Provide what a training takes to be stopped and to go on: `resume`, its last state, and `hooks`."""
        from ganbalance.training.loop import Hooks

        # a training asks at every step, and ends after a save
        with answered(lambda: self.stops.append(True)):
            yield {
                "resume": self.checkpoints.latest(),
                "hooks": Hooks(
                    save=lambda state: self.checkpoints.save(state, is_last=bool(self.stops)),
                    save_due=self.checkpoints.due,
                    stopped=lambda: bool(self.stops),
                    on_progress=lambda seen, total, losses: self.progress(seen, total, **losses),
                ),
            }

    def data(self) -> tuple[TaskImages, Split]:
        """Load the images of the task and the seed's split of them. Raises DataError when its parts overlap."""
        return TaskImages.load(self.inputs["dataset"].path), Split.load(self.inputs["imbalance"].path("split.npz"))

    def stage(self, kind: type[S]) -> S:
        """Return what the stage declares of the experiment, typed."""
        declared = self.node.declared()
        if not isinstance(declared, kind):
            raise TypeError(f"{self.node.name} is a {self.node.stage} stage, not {kind.stage}")
        return declared


def program(doc: str | None, bodies: Mapping[type[Stage], Body]) -> Callable[..., int]:
    """Make the `main(argv)` of a job module: it runs the bodies that the flags select and returns the exit code.

    Without `argv` it reads the command line.
    """
    name = next(iter(bodies)).program

    def main(argv: Sequence[str] | None = None) -> int:
        flags, said, pod = argparse.Namespace(stages=None), list[str](), os.environ.get(heartbeat.POD)
        print_anything()
        for stream in (sys.stdout, sys.stderr) if pod else ():
            _copy(stream, said)
        try:
            flags = _parser(name, doc or "").parse_args(argv)
            return _run(name, bodies, flags)
        except GanbalanceError as error:
            code, cause = error.exit_code, str(error)
        except Exception as error:
            if _disk_is_full(error):
                code = EXIT_DISK if pod else UnavailableError.exit_code
                cause = f"no space left in {tempfile.gettempdir()}; free some, or set TMPDIR, and run the same again"
            else:
                traceback.print_exc()
                code, cause = EXIT_BUG, f"a bug, please report it: {type(error).__name__}: {error}"
        sys.stdout.flush()
        print(f"{name}: {cause}", file=sys.stderr, flush=True)  # the last line is a pod's termination message
        if pod and flags.stages and flags.stage:
            with suppress(GanbalanceError):
                runs.replace(
                    open_store(flags.store),
                    runs.log_name(flags.run, flags.stage, pod),
                    "".join(said).encode(errors="backslashreplace"),
                )
        return code

    return main


def _copy(stream: TextIO, said: list[str]) -> None:
    """Remember what is written from now on: a pod that has to leave may be gone before anybody copies its log."""
    write = stream.write

    def both(text: str) -> int:
        said.append(text)
        return write(text)

    stream.write = both  # type: ignore[method-assign]


def _disk_is_full(error: Exception) -> bool:
    """Tell whether the disk is full; NumPy says it by a short write, without errno, safetensors by a message alone."""
    message = str(error)
    short_write = isinstance(error, OSError) and "requested and" in message
    return getattr(error, "errno", None) in NO_SPACE or short_write or os.strerror(errno.ENOSPC) in message


def _run(name: str, bodies: Mapping[type[Stage], Body], flags: argparse.Namespace) -> int:
    if flags.run and (flags.set or flags.seeds):
        raise ConfigError("--set and --seeds change an experiment; a run (--run) is fixed when it is submitted")
    store = open_store(flags.store) if flags.run else None  # a dry run of an experiment needs none
    if flags.stages:
        flags.stage = _of_pod(flags.stages)
    record = runs.load(store, flags.run) if store else _requested(flags)
    chosen = _select(record.plan, name, flags)
    if flags.dry_run:
        print(write_yaml(dump(record.experiment)).rstrip())
        for node in chosen:
            print(f"# {node.key[:8]}  {node.name}")
        return EXIT_DONE
    store = store or open_store(flags.store)
    stops: list[bool] = []
    with stoppable("stopped; the same command starts this stage again"), open_state(record.plan, store) as state:
        runs.submit(store, record)
        for node in chosen:
            if done := state.commit(node.name):
                print(f"{node.name}: already done ({done.key[:8]})", flush=True)
            elif _can_be_left_out(node, chosen, state):
                print(f"{node.name}: left out, what it reads is not made yet", flush=True)
            else:
                with heartbeat.beating(store, record.plan.run, f"the stage {node.name}"):
                    _run_stage(node, record.experiment, state, bodies[node.kind], stops)
    return EXIT_DONE


def _can_be_left_out(node: Node, chosen: Sequence[Node], state: State) -> bool:
    """Tell whether its inputs are missing, and the stages of this call that read it can do without it."""
    readers = [other for other in chosen if node.name in other.inputs.values()]
    optional = bool(readers) and all(other.kind.allow_missing_inputs for other in readers)
    return optional and bool(state.inputs(node).missing)


def _run_stage(node: Node, experiment: Experiment, state: State, body: Body, stops: list[bool]) -> None:
    """Run one node; its artifact is committed when this returns."""
    inputs, settings, artifacts = state.inputs(node), experiment.resources, state.artifacts
    # a pod keeps what it has made until the store is back; elsewhere somebody reads the error
    away_s = float(os.environ.get(AWAY, "0"))
    if inputs.missing and not node.kind.allow_missing_inputs:
        first = state.plan.node(inputs.missing[0])
        raise DataError(f"{node.name} reads {first.name}, which is not made yet; run the {first.program} program first")
    with tempfile.TemporaryDirectory(prefix="ganbalance-") as folder:
        context = JobContext(
            node=node,
            experiment=experiment,
            plan=state.plan,
            inputs={role: artifacts.open(commit) for role, commit in inputs.commits.items()},
            folder=Path(folder),
            progress=Progress(node.name),
            checkpoints=Checkpoints(artifacts, node, inputs.commits, settings.checkpoint_every_s),
            stops=stops,
            ended={role: state.ended(name) for role, name in node.inputs.items() if name in inputs.missing},
        )
        started = round(time.time())
        with measured(context.checkpoints, settings.threads) as spent:
            diverged = [node.inputs[role] for role, commit in inputs.commits.items() if commit.outcome == "diverged"]
            if diverged and not node.kind.allow_missing_inputs:  # there is nothing to go on with, and that is a result
                context.diverged, context.metrics = True, {"because": diverged[0]}
            else:
                # whoever starts the program: other counts of threads round differently
                if torch := sys.modules.get("torch"):
                    torch.set_num_threads(settings.threads)
                with threadpoolctl.threadpool_limits(settings.threads):
                    body(context)
            context.progress.close()
            took = spent()
            now = outlast(lambda: State(state.plan, artifacts).inputs(node).commits, away_s)
            _check_inputs_stand(node, inputs.commits, now)
            ended = [dump(one) for one in outlast(lambda: state.ended(node.name), away_s)]
            commit = outlast(
                lambda: artifacts.commit(
                    node.stage,
                    state.key(node),
                    attempt=context.checkpoints.attempt,
                    folder=context.folder,
                    inputs=inputs.commits,
                    outcome="diverged" if context.diverged else "done",
                    metrics=context.metrics,
                    provenance={"started": started, "ended": ended} | took | provenance.here(),
                ),
                away_s,
            )
    print(f"{node.name}: {commit.outcome} in {took['seconds']:.1f} s ({commit.key[:8]})", flush=True)


def _check_inputs_stand(node: Node, commits: Mapping[str, Commit], now: Mapping[str, Commit]) -> None:
    """Check that the inputs are still the committed ones, or this result would replace one made from newer inputs."""
    if changed := [role for role, commit in commits.items() if role not in now or now[role].digest != commit.digest]:
        raise UnavailableError(f"{node.name} was made from an older {changed[0]}; run the same command again")


def _parser(name: str, doc: str) -> argparse.ArgumentParser:
    parser = Parser(prog=name, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--experiment", type=expanded, metavar="FILE", help="such as jobs/experiments/quick.yaml")
    what.add_argument("--run", help="a run whose record is in the store")
    request.add_store(parser)
    parser.add_argument("--seed", type=int, help="only the stages of this seed, and what they need of this program")
    parser.add_argument("--gan", help="only the stages of this GAN; it need not be among the experiment's arms")
    parser.add_argument("--arm", help="only the stages of this arm")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--stage", help="only the stage of this name in 'ganbalance plan'")
    which.add_argument("--stages", nargs="+", metavar="NAME", help="only that of them at this pod's index in its Job")
    request.add_overrides(parser)
    parser.add_argument("--dry-run", action="store_true", help="check and print the resolved settings, then stop")
    return parser


def _requested(flags: argparse.Namespace) -> runs.Record:
    experiment = request.experiment(flags.experiment, sets=flags.set, seeds=flags.seeds)
    plan = make_plan(experiment)
    if flags.gan in (None, *(node.gan for node in plan.nodes)):
        return runs.Record(experiment=experiment, plan=plan)
    experiment = request.experiment(flags.experiment, sets=flags.set, seeds=flags.seeds, only_gans=[flags.gan])
    return runs.Record(experiment=experiment, plan=make_plan(experiment))


def _of_pod(stages: Sequence[str]) -> str:
    """Pick the one that this pod is to run of the stages of its Job. Raises ConfigError outside of an Indexed Job."""
    given = os.environ.get(INDEX, "")
    if not given.isdecimal() or int(given) >= len(stages):
        raise ConfigError(
            f"{INDEX}={given!r}: --stages is for the pods of a Job, which have an index below {len(stages)}; elsewhere "
            "name a stage with --stage"
        )
    return stages[int(given)]


def _select(plan: Plan, name: str, flags: argparse.Namespace) -> list[Node]:
    """Select the nodes of this program that the flags ask for, after those of this program that they rest on."""
    asked = {
        node.name
        for node in plan.nodes
        if node.program == name
        and flags.seed in (None, node.seed)
        and flags.gan in (None, node.gan)
        and flags.arm in (None, node.arm)
        and flags.stage in (None, node.name)
    }
    if not asked:
        raise ConfigError(f"run {plan.run} has no {name} stage for these flags; '{typed('plan')}' lists its stages")
    for node in reversed(plan.nodes):
        if node.name in asked and not node.kind.allow_missing_inputs:  # else it goes without what is not there
            asked |= {parent for parent in node.inputs.values() if plan.node(parent).program == name}
    return [node for node in plan.nodes if node.name in asked]
