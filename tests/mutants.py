"""Mutation testing: change the code a little, thousands of times, and list the changes that no test notices.

mutmut makes the mutants, all of a file in one module with a switch, and forks a warmed process for each that runs only
the tests which reach the changed function. It works on a copy of the tree in .mutants/, and here it does more:
- decorators are applied in a line of their own, since it leaves decorated functions out: every property
- calls made for their effect are deleted, `train` and `eval` swapped, and the names of the parts of the data: leaks
- what a fixture reaches that tests share counts for each of them
It leaves out what runs at import: constants and the defaults of fields.

Reads   shared/ganbalance, jobs and tests; `TESTED` says which tests guard which files
Writes  tests/mutants.yaml: what survived in the files that were run; a reason that stands there is kept
Exit    0 every survivor has a reason · 1 some have none: write a test that kills them, or the reason
Try     make mutants FILES=shared/ganbalance/metrics/verdicts.py
"""

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import libcst as cst
import pytest
import yaml

ROOT = Path(__file__).parents[1]
COPY = ROOT / ".mutants"
LIST = ROOT / "tests" / "mutants.yaml"
HEAD = """\
# Changes of the code that no test notices, and why: `make mutants` writes it and keeps the reasons (CONTRIBUTING.md).
# mutants, tried: how many there are, and how many were run. was, now: the lines that differ.
"""

STATISTICS = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("tests/unit/test_statistics_*.py"))]
STAGES = [
    "tests/integration/test_honesty.py",
    "tests/integration/test_recipes.py",
    "tests/integration/test_spine.py",
    "tests/contract/test_golden.py",
]
TESTED = {
    "shared/ganbalance/metrics/calibration.py": ["tests/unit/test_calibration.py"],
    "shared/ganbalance/metrics/classification.py": [
        "tests/unit/test_classification_metrics.py",
        "tests/unit/test_weighted_metrics.py",
    ],
    "shared/ganbalance/metrics/crossed.py": ["tests/unit/test_crossed.py"],
    "shared/ganbalance/metrics/measured.py": STATISTICS,
    "shared/ganbalance/metrics/penalty.py": ["tests/unit/test_statistics_penalty.py"],
    "shared/ganbalance/metrics/quality/benefit.py": ["tests/unit/test_report_quality.py"],
    "shared/ganbalance/metrics/quality/*.py": ["tests/unit/test_quality.py"],
    "shared/ganbalance/metrics/results.py": STATISTICS,
    "shared/ganbalance/metrics/scores.py": ["tests/unit/test_scores.py"],
    "shared/ganbalance/metrics/tested.py": ["tests/unit/test_folds.py", "tests/unit/test_report_missing.py"],
    "shared/ganbalance/metrics/statistics.py": STATISTICS,
    "shared/ganbalance/metrics/tuning.py": ["tests/unit/test_tuning.py"],
    "shared/ganbalance/metrics/verdicts.py": ["tests/unit/test_verdicts.py"],
    "shared/ganbalance/metrics/weighted.py": [
        "tests/unit/test_weighted_metrics.py",
        "tests/unit/test_classification_metrics.py",
    ],
    "shared/ganbalance/arms/methods/*.py": [
        "tests/unit/test_resampling.py",
        "tests/unit/test_smote.py",
        "tests/unit/test_minibatches.py",
        "tests/contract/test_methods.py",
        "tests/contract/test_every_minibatch.py",
    ],
    "shared/ganbalance/arms/objectives/*.py": ["tests/unit/test_head_losses.py", "tests/contract/test_objectives.py"],
    "shared/ganbalance/arms/*.py": [
        "tests/unit/test_arms.py",
        "tests/unit/test_resampling.py",
        "tests/unit/test_minibatches.py",
        "tests/contract/test_objectives.py",
        "tests/contract/test_every_minibatch.py",
    ],
    "shared/ganbalance/registry.py": ["tests/unit/test_arms.py"],
    "shared/ganbalance/data/outside.py": ["tests/unit/test_outside_images.py"],
    "shared/ganbalance/pipeline/resolution.py": [
        "tests/unit/test_plan.py",
        "tests/unit/test_plan_recipes.py",
        "tests/unit/test_plan_combinations.py",
        "tests/unit/test_plan_outside.py",
        "tests/unit/test_resolution.py",
    ],
    "shared/ganbalance/pipeline/folds.py": ["tests/unit/test_folds.py"],
    "shared/ganbalance/pipeline/grouping.py": ["tests/unit/test_group_plans.py"],
    "shared/ganbalance/data/duplicates.py": ["tests/unit/test_duplicates.py"],
    "shared/ganbalance/data/groups.py": ["tests/unit/test_groups.py", "tests/unit/test_groups_refused.py"],
    "shared/ganbalance/data/split.py": ["tests/unit/test_split.py", "tests/unit/test_group_splits.py"],
    "shared/ganbalance/data/holdout.py": [
        "tests/unit/test_split.py",
        "tests/unit/test_group_splits.py",
        "tests/unit/test_folds.py",
    ],
    "shared/ganbalance/data/images.py": ["tests/unit/test_images.py", "tests/unit/test_groups.py"],
    "shared/ganbalance/data/batches.py": ["tests/unit/test_batches.py"],
    "shared/ganbalance/data/canvas.py": ["tests/unit/test_synthesis.py"],
    "shared/ganbalance/training/head.py": ["tests/unit/test_head.py"],
    "shared/ganbalance/training/saved_head.py": ["tests/unit/test_saved_head.py"],
    "shared/ganbalance/training/paper.py": ["tests/unit/test_paper.py"],
    "shared/ganbalance/training/synthesis.py": ["tests/unit/test_synthesis.py"],
    "shared/ganbalance/training/gan_loop.py": ["tests/unit/test_gan_loop.py"],
    "jobs/*.py": STAGES,
}
"""Files, and the tests that must notice when one of them is changed: its own, which are quick."""

NO_DIFFERENCE = [r",? *strict=\w+", r",? *dtype=(np\.float64|None)"]
"""Changes within these are not tried: lengths agree, and values are float64 already, which mypy has to be shown."""
PARTS = {
    "train": "validation", "validation": "train", "tuning": "validation", "removed": "tuning", "test": "held_out",
    "held_out": "test", "test_labels": "held_out_labels", "held_out_labels": "test_labels",
}  # fmt: skip
MODES = {"train": "eval", "eval": "train"}
READ_BY_TESTS = ("k8s", "images")
"""What else of the tree they read as soon as they are imported."""
TIMEOUT_FACTOR, TIMEOUT_S = 3, 10
"""A mutant is killed too when it takes so many times as long as the tests did, and so much longer."""

Found = dict[str, Any]


class Undecorated(cst.CSTTransformer):
    """`@property def f(self): ...` as `def f(self): ...` and `f = property(f)`."""

    def leave_FunctionDef(self, original_node: cst.FunctionDef, updated_node: cst.FunctionDef) -> Any:  # noqa: N802
        decorators = [cst.Module([]).code_for_node(found.decorator) for found in updated_node.decorators]
        if not decorators or {"classmethod", "staticmethod", "abstractmethod"} & set(decorators):
            return updated_node
        applied = name = updated_node.name.value
        for decorator in reversed(decorators):
            applied = f"{decorator}({applied})"
        bare = updated_node.with_changes(decorators=[])
        return cst.FlattenSentinel([bare, cst.parse_statement(f"{name} = {applied}")])


def deleted(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """Nothing in place of a call whose result nobody uses."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def swapped_mode(node: cst.Call) -> Iterator[cst.CSTNode]:
    """`model.eval()` for `model.train()`, and the other way round."""
    if isinstance(node.func, cst.Attribute) and node.func.attr.value in MODES and not node.args:
        yield node.with_deep_changes(node.func.attr, value=MODES[node.func.attr.value])


def swapped_part(node: cst.Attribute) -> Iterator[cst.CSTNode]:
    """One part of the data for another."""
    if node.attr.value in PARTS:
        yield node.with_deep_changes(node.attr, value=PARTS[node.attr.value])


def copy(files: list[str], tests: list[str], to: Path) -> None:
    """A tree that has the packages at its top, as mutmut wants them, and these files undecorated."""
    shutil.rmtree(to, ignore_errors=True)
    for folder in ("shared/ganbalance", "jobs", "tests"):
        shutil.copytree(ROOT / folder, to / Path(folder).name, ignore=shutil.ignore_patterns("__pycache__"))
    own = [file.removeprefix("shared/") for file in files]
    for file in own:
        (to / file).write_text(cst.parse_module((to / file).read_text()).visit(Undecorated()).code)
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    settings = {
        "pytest.ini_options": {"filterwarnings": asked["filterwarnings"]},
        "mutmut": {
            "source_paths": ["ganbalance", "jobs"],
            "only_mutate": own,
            "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist"],
            "pytest_add_cli_args_test_selection": tests,
            "process_isolation": "forkserver",  # torch must not have run before a fork
        },
    }
    with (to / "pyproject.toml").open("w") as file:
        for name, values in settings.items():
            file.write(f"[tool.{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items()))


class SharedFixtures:
    """What a fixture of a wider scope reaches counts for every test that asks for it, not only for the first."""

    def __init__(self, reached_now: set[str]) -> None:
        self.now = reached_now
        self.by_fixture: dict[str, set[str]] = defaultdict(set)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        before = set(self.now)
        self.now.clear()
        made = yield
        if fixturedef.scope != "function":
            self.by_fixture[fixturedef.argname] |= self.now
        self.now |= before
        return made

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: Any) -> None:
        for name in item.fixturenames:
            self.now |= self.by_fixture[name]


def make(workers: int) -> Any:
    """Make the mutants of the copied tree that is the working directory, and learn which tests reach which function.

    What runs them, one process for each mutant.
    """
    from mutmut import __main__ as mutmut
    from mutmut.mutation.mutators import mutation_operators
    from mutmut.mutation.trampoline import set_mutant_under_test
    from mutmut.runners.harness import PytestRunner
    from mutmut.state import state
    from mutmut.workers.isolation import ForkServerRunner

    class Runner(PytestRunner):
        def execute_pytest(self, params: list[str], **more: Any) -> int:
            if os.environ["MUTANT_UNDER_TEST"] == "stats":
                more["plugins"] = [*more.get("plugins", []), SharedFixtures(state()._stats)]
            return super().execute_pytest(params, **more)

    mutation_operators += [(cst.Expr, deleted), (cst.Call, swapped_mode), (cst.Attribute, swapped_part)]
    set_mutant_under_test("mutant_generation")
    mutmut.copy_src_dir()
    mutmut.copy_also_copy_files()
    for read in READ_BY_TESTS:
        (Path("mutants") / read).symlink_to(ROOT / read)
    mutmut.setup_source_paths()
    for path in mutmut.walk_source_files():
        if error := mutmut.create_file_mutants(path).error:
            raise error
    runner = ForkServerRunner(workers, Runner, {}, max_restarts=0)
    mutmut.collect_or_load_stats(runner)
    set_mutant_under_test("")
    if runner.run_clean_tests([]) != 0:
        raise SystemExit("the tests fail without a mutant")
    return runner


def differences() -> Iterator[tuple[str, str, Found]]:
    """File, name and difference of every mutant that was made and may make one."""
    from mutmut.__main__ import collect_source_file_mutation_data
    from mutmut.mutation.diff_apply import get_diff_for_mutant

    for made, mutant, _ in collect_source_file_mutation_data(mutant_names=[])[0]:
        lines = get_diff_for_mutant(mutant, path=made.path).splitlines()
        lines = [line for line in lines if not line.startswith(("---", "+++"))]
        was, now = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
        function = _function(mutant).rpartition(".")[2].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        if all(_without(same, was) != _without(same, now) for same in NO_DIFFERENCE):
            yield str(made.path), mutant, {"in": function, "was": was, "now": now}


def _without(pattern: str, code: str) -> str:
    return re.sub(r",\s*\)", ")", re.sub(pattern, "", code))


def _function(mutant: str) -> str:
    return mutant.rpartition("__mutmut_")[0]


def results(runner: Any, mutants: list[str], until: float) -> Iterator[tuple[str, bool]]:
    """Each mutant that was begun before `until`, and whether a test noticed it."""
    from mutmut.state import state

    seconds = state().duration_by_test
    running = 0

    def settled() -> tuple[str, bool]:
        result = runner.wait_for_result()
        return result.mutant_name, result.exit_code != 0

    runner.startup()
    for mutant in mutants:
        if time.monotonic() > until:
            break
        tests = state().tests_by_mangled_function_name.get(_function(mutant), ())
        if not tests:
            yield mutant, False
            continue
        limit_s = TIMEOUT_FACTOR * sum(seconds[test] for test in tests) + TIMEOUT_S
        # it limits the CPU time, and half of that on the clock
        runner.submit(mutant, sorted(tests, key=seconds.__getitem__), int(2 * limit_s), limit_s)
        running += 1
        if not runner.has_capacity():
            yield settled()
            running -= 1
    for _ in range(running):
        yield settled()
    runner.shutdown()


def attempt(wanted: list[Found] | None, *, sample: int, until: float, workers: int) -> dict[str, Found]:
    """Run the mutants of the tree that is the working directory, or some of them: `wanted` ones, or a `sample`.

    File -> lists of mutants by function and the lines that differ: "all" it has, "killed" ones and "survivors".
    """
    runner = make(workers)
    mutants = list(differences())
    of = {mutant: (file, this) for file, mutant, this in mutants}
    found: dict[str, Found] = {file: {"all": [], "killed": [], "survivors": []} for file, _, _ in mutants}
    for file, _, this in mutants:
        found[file]["all"].append(this)
    chosen = [mutant for _, mutant, this in mutants if wanted is None or this in wanted]
    random.Random(0).shuffle(chosen)  # noqa: S311 - so that a part of a run is a fair sample, the same each time
    chosen = chosen[: sample or None]
    for number, (mutant, noticed) in enumerate(results(runner, chosen, until), start=1):
        file, this = of[mutant]
        found[file]["killed" if noticed else "survivors"].append(this)
        print(f"\r{number} of {len(chosen)}, {file} {this['in']}"[:110].ljust(110), end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def merged(old: Found, new: Found) -> Found:
    """What is known of a file after a run that may have tried some of its mutants only."""
    known = {_key(survivor): survivor for survivor in old.get("survivors", [])}
    count, tried = len(new["all"]), len(new["killed"]) + len(new["survivors"])
    if tried < count == old.get("mutants"):
        tried = max(tried, old["tried"])
    untried = {_key(mutant) for mutant in new["all"]} - {_key(mutant) for mutant in new["killed"]}
    survivors = {key: found for key, found in known.items() if key in untried}
    survivors |= {_key(found): found | {"why": known.get(_key(found), {}).get("why", "")} for found in new["survivors"]}
    return {"mutants": count, "tried": tried, "survivors": [survivors[key] for key in sorted(survivors)]}


def _key(survivor: Found) -> tuple[str, ...]:
    return survivor["in"], survivor["was"], survivor["now"]


def groups(files: list[str]) -> dict[str, list[str]]:
    """The files asked for, by the pattern of `TESTED` that they match; all there are where none is named."""
    there = sorted(str(path.relative_to(ROOT)) for pattern in TESTED for path in ROOT.glob(pattern))
    asked = [file for file in there if not files or any(fnmatch(file, pattern) for pattern in files)]
    of = {file: next(pattern for pattern in TESTED if fnmatch(file, pattern)) for file in asked}
    return {pattern: [file for file in asked if of[file] == pattern] for pattern in TESTED if pattern in of.values()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="files to mutate, or patterns; default: all of `TESTED`")
    parser.add_argument("--sample", type=int, default=0, help="so many mutants of each group of files; default: all")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no mutant after so long")
    parser.add_argument("--survivors", action="store_true", help="only those that are in the list")
    parser.add_argument("--workers", type=int, default=1, help="so many mutants at a time")
    parser.add_argument("--here", help=argparse.SUPPRESS)  # the process of one group: where to write what it found
    asked = parser.parse_args()
    until = time.monotonic() + 60 * asked.minutes
    known: dict[str, Found] = (yaml.safe_load(LIST.read_text()) if LIST.exists() else None) or {}
    if asked.here:
        listed = [survivor for file in asked.files for survivor in known.get(file, {}).get("survivors", [])]
        wanted = [{name: one[name] for name in ("in", "was", "now")} for one in listed] if asked.survivors else None
        Path(asked.here).write_text(
            json.dumps(attempt(wanted, sample=asked.sample, until=until, workers=asked.workers))
        )
        return 0

    for pattern, files in groups(asked.files).items():
        folder = COPY / re.sub(r"\W+", "-", pattern)
        copy(files, TESTED[pattern], folder)
        flags = {"here": "found.json", "sample": asked.sample, "workers": asked.workers}
        flags |= {"minutes": (until - time.monotonic()) / 60}
        given = [f"--{name}={value}" for name, value in flags.items()] + ["--survivors"] * asked.survivors
        with (folder / "said.log").open("w") as log:  # mutmut says much
            ended = subprocess.run([sys.executable, __file__, *files, *given], cwd=folder, stdout=log, check=False)
        if ended.returncode:
            print((folder / "said.log").read_text()[-3000:], file=sys.stderr)
            return ended.returncode
        for file, new in json.loads((folder / "found.json").read_text()).items():
            name = file if file.startswith("jobs/") else f"shared/{file}"
            known[name] = merged(known.get(name, {}), new)
            counts = {**known[name], "survivors": len(known[name]["survivors"])}
            print(f"{name}: " + ", ".join(f"{count} {what}" for what, count in counts.items()))
        ordered = {name: known[name] for name in sorted(known)}
        LIST.write_text(HEAD + yaml.safe_dump(ordered, sort_keys=False, width=116, allow_unicode=True))
    unexplained = [(file, one) for file, found in known.items() for one in found["survivors"] if not one["why"]]
    for file, one in unexplained:
        print(f"\n{file} {one['in']}\n- {one['was']}\n+ {one['now']}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
