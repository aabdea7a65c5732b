"""A sweep stands for the experiments that one would write by hand, or is refused in one line before any work."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ganbalance import cli, config
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump
from ganbalance.pipeline import request
from ganbalance.pipeline.plan import make_plan
from ganbalance.sweep import Member, shown

Settings = dict[str, Any]
Write = Callable[[Settings], Path]
STAGES = ("train-gan", "synthesize")
NAME = "^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$"


@pytest.fixture
def expand(tiny: Settings, tmp_path: Path) -> Callable[..., tuple[Member, ...]]:
    """The experiments of the tiny file with this sweep."""

    def members(sweep: Any, *sets: str, settings: Settings | None = None, **flags: Any) -> tuple[Member, ...]:
        path = tmp_path / "experiment.yaml"
        path.write_text(yaml.safe_dump(tiny | (settings or {}) | {"sweep": sweep}, sort_keys=False))
        return request.experiments(path, sets=list(sets), **flags)

    return members


Expand = Callable[..., tuple[Member, ...]]


def names(members: tuple[Member, ...]) -> list[str]:
    return [member.experiment.name for member in members]


# -- what a sweep stands for -------------------------------------------------------------------------------------------


def test_a_file_without_a_sweep_is_one_experiment(tiny: Settings, write: Write) -> None:
    (member,) = request.experiments(write(tiny), sets=[])
    assert member.experiment == config.check(tiny, where="test")
    assert (member.values, str(member)) == ({}, "")


def test_every_combination_is_an_experiment_in_the_order_of_the_file(expand: Expand) -> None:
    members = expand({"imbalance.keep.1": [0.5, 0.2], "classifier.side_px": [32, 16]})
    assert [(dict(m.experiment.imbalance.keep)["1"], m.experiment.classifier.side_px) for m in members] == [
        (0.5, 32), (0.5, 16), (0.2, 32), (0.2, 16),
    ]  # fmt: skip
    assert str(members[1]) == "imbalance.keep.1 = 0.5, classifier.side_px = 16"


@pytest.mark.parametrize(
    "sweep",
    [
        {"imbalance.keep.1": [0.5, 0.2]},
        {"gans.dcgan.epochs": [1, 2], "synthesis.n": ["half", 12]},
        {"classifier.l2": [[1.0], [1.0, 0.1]], "seeds": [[0], [0, 1]]},
        {"arms": [["none", "dcgan"], ["none", {"name": "few", "synthetic": {"gan": "dcgan", "n": 5}}]]},
    ],
    ids=str,
)
def test_every_stage_has_the_key_that_it_has_in_the_experiment_written_by_hand(
    expand: Expand, tiny: Settings, sweep: dict[str, list[Any]]
) -> None:
    for member in expand(sweep):
        by_hand = {**tiny, "name": member.experiment.name}
        for key, value in member.values.items():
            section, _, rest = key.partition(".")
            if not rest:
                by_hand[section] = value
            elif section == "imbalance":
                by_hand[section] = {"keep": {"1": value}}
            elif section == "gans":
                by_hand[section] = {"dcgan": {**tiny["gans"]["dcgan"], "epochs": value}}
            else:
                by_hand[section] = {**tiny[section], rest: value}
        assert make_plan(member.experiment) == make_plan(config.check(by_hand, where="by hand"))


def test_what_does_not_depend_on_the_swept_setting_is_shared(expand: Expand) -> None:
    few, many = (make_plan(member.experiment) for member in expand({"gans.dcgan.epochs": [1, 2]}))
    own = {node.name for node in few.nodes if node.key not in {other.key for other in many.nodes}}
    assert {name.partition("/")[0] for name in own} == {
        "train-gan", "synthesize", "features", "train-classifier", "quality", "report",
    }  # fmt: skip
    assert not any("none" in name or "oracle" in name for name in own)


def test_how_many_images_an_arm_adds_is_swept_by_its_name_and_shares_the_gan(expand: Expand) -> None:
    arms = ["none", {"name": "more", "synthetic": {"gan": "dcgan"}}]
    members = expand({"arms.more.synthetic.n": [6, 12, 500]}, settings={"arms": arms})
    assert [member.experiment.arms[1].synthetic.n for member in members] == [6, 12, 500]
    assert names(members) == ["tiny-n-6", "tiny-n-12", "tiny-n-500"]
    plans = [make_plan(member.experiment) for member in members]
    trained, drawn = ({plan.node(f"{stage}/more/class-1/seed-0").key for plan in plans} for stage in STAGES)
    assert (len(trained), len(drawn)) == (1, 3)
    whole = expand({"synthesis.n": [6, 12, 500]}, settings={"arms": arms})
    found = [make_plan(member.experiment).node("synthesize/more/class-1/seed-0").key for member in whole]
    assert set(found) == drawn
    (picked,) = expand({"arms.more.synthetic.n": [6, 12]}, "arms.more.synthetic.n=12", settings={"arms": arms})
    assert make_plan(picked.experiment).run == make_plan(members[1].experiment).run


def test_overrides_apply_to_all_of_them(expand: Expand) -> None:
    sweep = {"imbalance.keep.1": [0.5, 0.2]}
    members = expand(sweep, "synthesis.n=7", "name=other", seeds="3..4", only_gans=["wgan-gp"])
    assert [member.experiment.synthesis.n for member in members] == [7, 7]
    assert [member.experiment.seeds for member in members] == [(3, 4), (3, 4)]
    assert all("wgan-gp" in [arm.name for arm in member.experiment.arms] for member in members)
    assert names(members) == ["other-keep-1-0-5", "other-keep-1-0-2"]


def test_the_settings_of_one_are_not_those_of_another(expand: Expand) -> None:
    members = expand({"gans.dcgan": [{"epochs": 1}, {"steps": 9}], "synthesis.n": [3, 4]}, "synthesis.n=3")
    assert [dict(member.experiment.gans["dcgan"]) for member in members] == [{"epochs": 1}, {"steps": 9}]


def test_a_sweep_can_be_given_on_the_command_line(tiny: Settings, write: Write) -> None:
    members = request.experiments(write(tiny), sets=["sweep={synthesis.n: [3, 4]}"])
    assert names(members) == ["tiny-n-3", "tiny-n-4"]


EACH_PAIR = [
    {"task.positive": [1], "imbalance.keep.1": [0.5, 0.2]},
    {"task.positive": [0], "task.negative": [1], "imbalance.keep.0": [0.5]},
]


def without_a_rare_class(tiny: Settings) -> Settings:
    return {"imbalance": {"validation": 0.2}, "task": {"kind": "pair", "negative": 0, "positive": 1}}


def test_a_list_stands_for_the_experiments_of_each_of_its_mappings_in_turn(expand: Expand, tiny: Settings) -> None:
    members = expand(EACH_PAIR, settings=without_a_rare_class(tiny))
    assert [dict(member.experiment.imbalance.keep) for member in members] == [{"1": 0.5}, {"1": 0.2}, {"0": 0.5}]
    tasks = [(member.experiment.task.positive, member.experiment.task.negative) for member in members]
    assert tasks == [("1", "0"), ("1", "0"), ("0", "1")]
    assert list(map(str, members)) == [
        'task.positive = "1", imbalance.keep.1 = 0.5',
        'task.positive = "1", imbalance.keep.1 = 0.2',
        'task.positive = "0", task.negative = "1", imbalance.keep.0 = 0.5',
    ]
    assert names(members) == [
        "tiny-positive-1-keep-1-0-5", "tiny-positive-1-keep-1-0-2", "tiny-positive-0-negative-1-keep-0-0-5",
    ]  # fmt: skip


def test_a_list_of_one_mapping_is_that_mapping(expand: Expand) -> None:
    assert expand([{"synthesis.n": [3, 4]}]) == expand({"synthesis.n": [3, 4]})


def test_names_of_classes_in_a_list_are_the_text_that_stands_there(tmp_path: Path, tiny: Settings) -> None:
    path = tmp_path / "words.yaml"
    path.write_text(yaml.safe_dump(tiny) + "sweep:\n- task.positive: [007, no]\n- task.negative: [1.10]\n")
    given = config.read(path)["sweep"]
    assert given == [{"task.positive": ["007", "no"]}, {"task.negative": ["1.10"]}]


# -- picking one -------------------------------------------------------------------------------------------------------


def test_setting_a_swept_key_picks_that_value_and_the_same_run(expand: Expand) -> None:
    sweep = {"imbalance.keep.1": [0.5, 0.2], "classifier.side_px": [32, 16]}
    both = expand(sweep)
    assert expand(sweep, "imbalance.keep.1=0.20") == both[2:]
    assert expand(sweep, "imbalance.keep.1=0.5", "classifier.side_px=16") == (both[1],)


def test_a_value_that_is_not_in_the_list_is_picked_all_the_same(expand: Expand) -> None:
    (member,) = expand({"imbalance.keep.1": [0.5, 0.2]}, "imbalance.keep.1=0.3")
    assert (dict(member.experiment.imbalance.keep), member.experiment.name) == ({"1": 0.3}, "tiny-keep-1-0-3")


@pytest.mark.parametrize(
    ("sets", "places"),
    [
        (["task.positive=1"], [0, 1]),
        (["task.positive=0"], [2]),
        (["imbalance.keep.1=0.2"], [1]),
        (["task.positive=1", "imbalance.keep.1=0.5"], [0]),
        (["task.negative=1"], [2]),
    ],
)
def test_of_a_list_a_key_picks_among_the_experiments_that_have_it(
    expand: Expand, tiny: Settings, sets: list[str], places: list[int]
) -> None:
    settings = without_a_rare_class(tiny)
    every = expand(EACH_PAIR, settings=settings)
    assert expand(EACH_PAIR, *sets, settings=settings) == tuple(every[place] for place in places)


def test_keys_that_no_experiment_of_a_list_has_together_are_refused(expand: Expand, tiny: Settings) -> None:
    said = """--set 'task.positive="0"' --set imbalance.keep.1=0.5: no experiment of the sweep has these"""
    with pytest.raises(ConfigError, match=said):
        expand(EACH_PAIR, "task.positive=0", "imbalance.keep.1=0.5", settings=without_a_rare_class(tiny))


def test_a_value_that_is_nowhere_in_a_list_joins_every_mapping_that_has_the_key(expand: Expand, tiny: Settings) -> None:
    members = expand([{"synthesis.n": [3], "seeds": [[0]]}, {"synthesis.n": [4]}, {"seeds": [[1]]}], "synthesis.n=5")
    assert [member.values for member in members] == [{"synthesis.n": 5, "seeds": [0]}, {"synthesis.n": 5}]


def test_of_a_list_one_experiment_says_how_it_is_picked(expand: Expand, tiny: Settings, tmp_path: Path) -> None:
    expand(EACH_PAIR, settings=without_a_rare_class(tiny))
    with pytest.raises(ConfigError) as caught:
        request.experiment(tmp_path / "experiment.yaml", sets=[])
    assert str(caught.value).endswith("""--set 'task.positive="1"' --set imbalance.keep.1=0.5 (or those of another)""")


def test_the_plan_of_a_list_has_a_column_for_every_key(
    expand: Expand, tiny: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expand(EACH_PAIR, settings=without_a_rare_class(tiny))
    path = str(tmp_path / "experiment.yaml")
    assert cli.main(["plan", path, "--store", str(tmp_path / "store")]) == 0
    head, first, _, last, *_ = capsys.readouterr().out.splitlines()
    assert head.split()[:4] == ["task.positive", "imbalance.keep.1", "task.negative", "imbalance.keep.0"]
    assert first.split()[:3] == ['"1"', "0.5", make_plan(request.experiments(Path(path), sets=[])[0].experiment).run]
    assert last.split()[:3] == ['"0"', '"1"', "0.5"]


def test_seeds_on_the_command_line_pick_among_swept_ones(expand: Expand) -> None:
    (member,) = expand({"seeds": [[0, 1], [2, 3]]}, seeds="2..3")
    assert (member.experiment.seeds, member.experiment.name) == ((2, 3), "tiny-seeds-2-3")


@pytest.mark.parametrize(
    ("sweep", "given"),
    [({"imbalance.keep.1": [0.5, 0.2]}, "imbalance.keep={1: 0.3}"), ({"gans.dcgan": [{}]}, "gans.dcgan.epochs=3")],
)
def test_setting_a_part_of_what_is_swept_or_the_whole_of_it_is_refused(
    expand: Expand, sweep: Settings, given: str
) -> None:
    (key,) = sweep
    with pytest.raises(ConfigError, match=rf"--set {given.partition('=')[0]}: {key} is swept; pick one"):
        expand(sweep, given)


@pytest.mark.parametrize(
    ("sweep", "which"),
    [
        ({"imbalance.keep.1": [0.5, 0.2, 0.1]}, "--set imbalance.keep.1=0.5 (or 0.2, 0.1)"),
        (
            {"synthesis.n": ["half", 3], "seeds": [[0], [0, 1]]},
            "--set synthesis.n=half (or 3) --set 'seeds=[0]' (or [0, 1])",
        ),
        ({"task.positive": ["ant", "no"]}, '--set task.positive=ant (or "no")'),
    ],
)
def test_what_takes_one_experiment_says_which_values_to_pick_and_how(
    expand: Expand, tmp_path: Path, sweep: Settings, which: str
) -> None:
    expand(sweep)
    with pytest.raises(ConfigError) as caught:
        request.experiment(tmp_path / "experiment.yaml", sets=[])
    assert str(caught.value).endswith(f"here it takes one; pick its values: {which}")


@pytest.mark.parametrize("program", ["imbalance", "train_gan", "synthesize", "train_classifier", "report"])
def test_job_programs_say_which_value_to_pick(
    tiny: Settings, write: Write, program: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, store = write(tiny | {"sweep": {"synthesis.n": [3, 4]}}), tmp_path / "store"
    main = importlib.import_module(f"jobs.{program}").main
    assert main(["--experiment", str(path), "--store", str(store)]) == 78
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "sweeps 2 experiments, and here it takes one; pick its values: --set synthesis.n=3 (or 4)" in said
    assert not store.exists()
    assert main(["--experiment", str(path), "--store", str(store), "--set", "synthesis.n=3", "--dry-run"]) == 0
    assert "name: tiny-n-3" in capsys.readouterr().out


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sweep", "expected"),
    [
        ({"imbalance.keep.shirt": [0.05, 1.0, 60]}, ["tiny-shirt-0-05", "tiny-shirt-1", "tiny-shirt-60"]),
        ({"imbalance.keep.1": [0.5]}, ["tiny-keep-1-0-5"]),  # a number is no word
        ({"classifier.side_px": [32, 64]}, ["tiny-side-px-32", "tiny-side-px-64"]),
        ({"classifier.backbone": ["resnet18"]}, ["tiny-backbone-resnet18"]),
        ({"gans.dcgan.steps": [9], "gans.wgan-gp.steps": [8]}, ["tiny-dcgan-steps-9-wgan-gp-steps-8"]),
        ({"statistics.margin": [0.01, {"share": 0.2}]}, ["tiny-margin-0-01", "tiny-margin-share-0-2"]),
        ({"gans.dcgan.lr": [1e-05]}, ["tiny-lr-1e-05"]),
    ],
    ids=str,
)
def test_a_name_tells_the_values(expand: Expand, sweep: Settings, expected: list[str]) -> None:
    assert names(expand(sweep)) == expected


def test_long_names_lose_their_start_then_the_keys_then_the_values(expand: Expand) -> None:
    sweep = {"classifier.backbone": ["resnet18", "efficientnet-lite0"]}
    assert names(expand(sweep, settings={"name": "what-a-study-is-called"})) == [
        "what-a-study-is-called-backbone-resnet18", "what-a-study-backbone-efficientnet-lite0",
    ]  # fmt: skip
    both = sweep | {"gans.dcgan.epochs": [1]}
    assert names(expand(both)) == ["tiny-resnet18-1", "tiny-efficientnet-lite0-1"]
    (name,) = names(expand({"classifier.weights": ["/a/long/way/to/some/file/of/weights.pth"]}))
    assert re.fullmatch("tiny-[0-9a-f]{8}", name)


@pytest.mark.parametrize(
    "sweep",
    [
        {
            "classifier.weights": [
                "/a/very/long/way/to/a/file/of/weights.pth",
                "/another/long/way/to/a/file/of/them.pth",
            ]
        },
        {"task.positive": ["a b", "a-b", "A B"]},
        {"task.positive": ["é", "ü"]},
        {"task.positive": [1, "01"]},
    ],
    ids=str,
)
def test_names_are_valid_and_unique_whatever_the_values(expand: Expand, sweep: Settings) -> None:
    found = names(expand(sweep))
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(NAME, name) for name in found)
    (key, values), *_ = sweep.items()
    assert names(expand(sweep, f"{key}={shown(values[0])}")) == found[:1]


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (3, "sweep = 3: map keys to lists of values"),
        ({}, "sweep = {}: map keys to lists of values"),
        ([], "sweep = []: map keys to lists of values"),
        ([{"synthesis.n": [3]}, {}], "sweep = {}: map keys to lists of values"),
        ([{"synthesis.n": [3]}, {"seeds": 3}], "sweep.seeds = 3: give a list of at least one value"),
        ([{"synthesis.n": [3, 4]}, {"synthesis.n": [4]}], "the same experiment twice, with synthesis.n = 4 and with"),
        (None, "sweep = None: map keys to lists of values"),
        ({"synthesis.n": 3}, "sweep.synthesis.n = 3: give a list of at least one value"),
        ({"synthesis": {"n": [3]}}, "sweep.synthesis = {'n': [3]}: give a list of at least one value"),
        ({"synthesis.n": []}, "sweep.synthesis.n = []: give a list of at least one value"),
        ({"synthesis.n": [3, 4, 3]}, "sweep.synthesis.n = [3, 4, 3]: every value once; given twice: 3"),
        ({"imbalance.keep.1": [1, 1.0]}, "sweep.imbalance.keep.1 = [1, 1.0]: every value once; given twice: 1"),
        ({"synthesis..n": [3]}, "sweep.synthesis..n: write a key as --set takes it"),
        ({"name": ["a", "b"]}, "sweep.name = ['a', 'b']: name changes no result"),
        ({"resources.threads": [1, 2]}, "sweep.resources.threads = [1, 2]: resources.threads changes no result"),
        (
            {"gans.dcgan": [{}], "gans.dcgan.epochs": [1]},
            "sweep.gans.dcgan.epochs = [1]: it is a part of gans.dcgan, which is swept",
        ),
        ({"arms.dcgan.synthetic.n": [1]}, "no arm is spelled out as {name: dcgan, ...}, so it has no parts to set"),
        ({"arms.dcgan": [1]}, "'arms' is a list; write arms.NAME.part, or the whole list"),
        ({"seeds.0": [1]}, "sweep.seeds.0 = 1: 'seeds' is a value, not a section"),
        ({"synthesis.m": [3]}, "with synthesis.m = 3: unknown key 'synthesis.m' (allowed: n)"),
        ({"synthesis.n": [3, 0]}, "with synthesis.n = 0: synthesis.n"),
        (
            {"imbalance.keep.1": [0.5, 1.5]},
            "with imbalance.keep.1 = 1.5: imbalance.keep.1 = 1.5: what stays of a class",
        ),
        ({"arms": [["none", "dcgan"], ["none", {"name": "dcgan"}]]}, "the same experiment twice, with arms = "),
    ],
    ids=str,
)
def test_a_bad_sweep_is_told_with_its_key_value_and_rule(expand: Expand, sweep: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expand(sweep)
    assert said in str(caught.value)
    assert "experiment.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_value_that_no_plan_can_have_is_told_before_any_work(
    tiny: Settings, write: Write, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tiny | {"sweep": {"imbalance.keep.1": [0.5, 1000]}})
    assert cli.main([command, str(path), "--store", str(tmp_path / "store")]) == 78
    said = capsys.readouterr()
    assert "with imbalance.keep.1 = 1000: imbalance.keep.1 = 1000: the class has 60 images" in said.err
    assert said.out == ""
    assert not (tmp_path / "store").exists()


def test_a_resolved_experiment_knows_nothing_of_the_sweep(expand: Expand) -> None:
    member = expand({"synthesis.n": [3, 4]})[0]
    assert "sweep" not in dump(member.experiment)
