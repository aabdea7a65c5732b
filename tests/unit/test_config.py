"""An experiment file is understood wholly or refused in one line that says what is wrong."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump


def check(settings: dict[str, Any]) -> config.Experiment:
    return config.check(settings, where="test.yaml")


def test_a_resolved_experiment_reads_back_equal(tiny: dict[str, Any]) -> None:
    experiment = check(tiny)
    assert check(dump(experiment)) == experiment


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epoch": 3}, "unknown key 'epoch' (allowed: arms, classifier"),
        ({"classifier": {"sidepx": 32}}, "unknown key 'classifier.sidepx' (allowed: backbone, kind, l2, side_px"),
        ({"seeds": "0"}, "seeds = '0'"),
        ({"seeds": [0, 1, 0]}, "given twice: 0"),
        ({"seeds": []}, "seeds = []"),
        ({"seeds": [-1]}, "greater than or equal to 0"),
        ({"imbalance": {"keep": {1: 0}}}, "imbalance.keep.1 = 0"),
        ({"imbalance": {"keep": {1: 1.5}}}, "imbalance.keep.1 = 1.5"),
        ({"imbalance": {"keep": {}}}, "imbalance.keep = {}"),
        ({"arms": ["class-weight"]}, "the arm 'none'"),
        ({"arms": ["none", "none"]}, "given twice: none"),
        ({"synthesis": {"n": 0}}, "synthesis.n"),
        ({"synthesis": {"n": "many"}}, "synthesis.n"),
        ({"name": "My Run"}, "name = 'My Run'"),
        ({"protocol": "loose"}, "unknown key 'protocol'"),
        ({"task": {"kind": "pairs"}}, "task"),
        ({"classifier": {"weights_sha256": "0" * 64}}, "name it in classifier.weights"),
        ({"statistics": {"margin": float("inf")}}, "statistics.margin"),
        ({"statistics": {"margin": 0.0}}, "statistics.margin"),
        ({"cost": {"cpu_hour": -1.0, "accelerator_hour": 2.5, "currency": "EUR"}}, "cost.cpu_hour"),
        ({"cost": {"cpu_hour": 0.04, "accelerator_hour": 2.5, "currency": "my euros"}}, "cost.currency"),
        ({"cost": {"cpu_hour": 0.04, "currency": "EUR"}}, "cost.accelerator_hour"),
        ({"statistics": {"margin": 0.5}}, "statistics.margin"),
        ({"statistics": {"margin": {"share": 1.0}}}, "statistics.margin"),
        ({"statistics": {"margin": {"shares": 0.1}}}, "statistics.margin"),
        ({"statistics": {"precision_levels": [0.5, 1.0]}}, "statistics.precision_levels.1 = 1.0"),
        ({"statistics": {"recall_levels": [0]}}, "statistics.recall_levels.0 = 0"),
        ({"classifier": {"l2": []}}, "classifier.l2"),
        ({"classifier": {"l2": [1.0, 0.0]}}, "classifier.l2.1 = 0.0"),
    ],
)
def test_a_wrong_value_is_reported_with_its_key(tiny: dict[str, Any], change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tiny | change)
    assert said in str(caught.value)
    assert "test.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


ARMS: list[Any] = [
    "none",
    "smote",
    {"name": "dcgan-weak", "synthetic": {"gan": "dcgan", "settings": {"epochs": 50}}},
    {"name": "half-half", "synthetic": {"gan": "dcgan", "n": "half"}, "method": "oversample"},
    {"name": "best-half", "synthetic": {"gan": "dcgan", "filter": {"by": "discriminator", "keep": 0.5}}},
    {"name": "diffusion", "synthetic": {"images": "synthetic/{seed}/{class}/", "n": 40}},
    {"name": "narrow", "method": {"name": "smote", "k_neighbors": 2}, "objective": {"name": "focal", "gamma": 1.0}},
    {"name": "more", "removed": "matched", "rescoring": "threshold"},
    {"name": "turned", "synthetic": {"augment": {"flip": False, "rotate_deg": 30.0}}},
]


def test_an_arm_is_a_name_or_a_recipe(tiny: dict[str, Any]) -> None:
    none, smote, weak, half, best, diffusion, narrow, more, turned = check(tiny | {"arms": ARMS}).arms
    assert (none, smote) == (config.Recipe(name="none"), config.Recipe(name="smote"))
    assert weak.synthetic == config.Synthetic(gan="dcgan", settings={"epochs": 50})
    assert half.synthetic == config.Synthetic(gan="dcgan", n="half")
    assert half.method == "oversample"
    assert best.synthetic == config.Synthetic(gan="dcgan", filter=config.Filter(by="discriminator", keep=0.5))
    assert diffusion.synthetic == config.Synthetic(images="synthetic/{seed}/{class}/", n=40)
    assert narrow.method == {"name": "smote", "k_neighbors": 2}
    assert narrow.objective == {"name": "focal", "gamma": 1.0}
    assert (more.removed, more.rescoring, more.synthetic) == ("matched", "threshold", None)
    augment = config.Augmentation(flip=False, rotate_deg=30.0)
    assert turned.synthetic == config.Synthetic(augment=augment)
    assert augment.shift == config.Augmentation().shift == 0.1


def test_arms_read_back_equal_a_name_as_a_name_and_a_recipe_with_the_parts_that_were_given(
    tiny: dict[str, Any],
) -> None:
    experiment = check(tiny | {"arms": ARMS})
    written = dump(experiment)
    assert check(written) == experiment
    assert [given.model_fields_set for given in check(written).arms] == [
        arm.model_fields_set for arm in experiment.arms
    ]
    assert written["arms"][:2] == ["none", "smote"]
    assert written["arms"][6:8] == ARMS[6:8]
    assert [set(arm) for arm in written["arms"][2:]] == [set(arm) for arm in ARMS[2:]]


def test_a_recipe_without_noise_is_written_down_as_before_there_was_any(tiny: dict[str, Any]) -> None:
    turned = dump(check(tiny | {"arms": ["none", ARMS[-1]]}))["arms"][1]["synthetic"]
    assert set(turned) == {"gan", "settings", "augment", "images", "n", "filter"}  # a run's name rests on it
    noisy = {"name": "noisy", "synthetic": {"noise": {"sd_levels": 4.0}}}
    written = dump(check(tiny | {"arms": ["none", noisy]}))
    assert written["arms"][1]["synthetic"]["noise"] == {"sd_levels": 4.0}
    assert check(written).arms[1].synthetic == config.Synthetic(noise=config.Noise(sd_levels=4.0))


def test_a_recipe_with_nothing_but_a_name_is_the_name(tiny: dict[str, Any]) -> None:
    long, short = (check(tiny | {"arms": arms}) for arms in (["none", {"name": "smote"}], ["none", "smote"]))
    assert long == short
    assert dump(long) == dump(short)


@pytest.mark.parametrize(
    ("arm", "said"),
    [
        ({"name": "My Arm"}, "arms.1.name = 'My Arm'"),
        ("-dcgan", "arms.1.name = '-dcgan'"),
        ({"name": "a" * 41}, "arms.1.name"),
        ({"method": "smote"}, "key 'arms.1.name' is missing"),
        (3, "arms.1 = 3"),
        ({"name": "x", "metod": "smote"}, "unknown key 'arms.1.metod'"),
        ({"name": "x", "method": 3}, "arms.1.method = 3: write the name of one"),
        (
            {"name": "x", "removed": "all", "synthetic": {"augment": {}}},
            "removed images are given back as they are, a sign",
        ),
        ({"name": "x", "removed": "some"}, "arms.1.removed = 'some': input should be 'all' or 'matched'"),
        ({"name": "x", "rescoring": "platt"}, "arms.1.rescoring = 'platt': input should be 'threshold'"),
        ({"name": "x", "synthetic": "dcgan"}, "arms.1.synthetic = 'dcgan'"),
        ({"name": "x", "synthetic": {}}, "have one source: name a gan, augment, noise, or a folder of images"),
        (
            {"name": "x", "synthetic": {"n": "half"}},
            "arms.1.synthetic = {'n': 'half'}: synthetic images have one source",
        ),
        ({"name": "x", "synthetic": {"gan": "dcgan", "images": "a/{seed}"}}, "synthetic images have one source"),
        ({"name": "x", "synthetic": {"gan": "dcgan", "augment": {}}}, "synthetic images have one source"),
        ({"name": "x", "synthetic": {"augment": {}, "images": "a/{seed}"}}, "synthetic images have one source"),
        ({"name": "x", "synthetic": {"augment": {}, "noise": {}}}, "synthetic images have one source"),
        ({"name": "x", "synthetic": {"noise": {"sd_levels": 0}}}, "arms.1.synthetic.noise.sd_levels = 0"),
        ({"name": "x", "synthetic": {"noise": {"sd_levels": 256}}}, "arms.1.synthetic.noise.sd_levels = 256"),
        ({"name": "x", "synthetic": {"noise": {"sd": 1}}}, "unknown key 'arms.1.synthetic.noise.sd'"),
        (
            {"name": "x", "synthetic": {"augment": {}, "filter": {"by": "classifier", "keep": 0.5}}},
            "settings and filter belong to a gan; other images are taken as they are",
        ),
        ({"name": "x", "synthetic": {"augment": {"shift": 0.6}}}, "arms.1.synthetic.augment.shift = 0.6"),
        ({"name": "x", "synthetic": {"augment": {"rotate_deg": -1}}}, "arms.1.synthetic.augment.rotate_deg = -1"),
        ({"name": "x", "synthetic": {"augment": {"zoom": 2}}}, "unknown key 'arms.1.synthetic.augment.zoom'"),
        ({"name": "x", "synthetic": {"images": "a/{seed}", "settings": {"epochs": 2}}}, "belong to a gan"),
        (
            {"name": "x", "synthetic": {"images": "a/{seed}", "filter": {"by": "classifier", "keep": 0.5}}},
            "settings and filter belong to a gan; other images are taken as they are",
        ),
        ({"name": "x", "synthetic": {"gan": "dcgan", "n": 0}}, "arms.1.synthetic.n"),
        ({"name": "x", "synthetic": {"gan": "dcgan", "n": "all"}}, "arms.1.synthetic.n"),
        ({"name": "x", "synthetic": {"gan": "dcgan", "count": 3}}, "unknown key 'arms.1.synthetic.count'"),
        ({"name": "x", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier"}}}, "arms.1.synthetic.filter.keep"),
        ({"name": "x", "synthetic": {"gan": "dcgan", "filter": {"keep": 0.5}}}, "arms.1.synthetic.filter.by"),
        (
            {"name": "x", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 1.0}}},
            "arms.1.synthetic.filter.keep = 1.0: input should be less than 1",
        ),
        (
            {"name": "x", "synthetic": {"gan": "dcgan", "filter": {"by": "classifier", "keep": 0}}},
            "arms.1.synthetic.filter.keep = 0: input should be greater than 0",
        ),
        ({"name": "none", "method": "smote"}, "given twice: none"),
    ],
    ids=str,
)
def test_a_wrong_recipe_is_reported_with_its_key(tiny: dict[str, Any], arm: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tiny | {"arms": ["none", arm]})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_arms_of_one_name_are_refused_whatever_their_parts(tiny: dict[str, Any]) -> None:
    twice = ["none", "smote", {"name": "smote", "method": "oversample"}]
    with pytest.raises(ConfigError, match="every entry once; given twice: smote"):
        check(tiny | {"arms": twice})


@pytest.mark.parametrize("n", ["balance", "half", 12])
def test_how_many_images_are_added_is_a_number_or_a_word(tiny: dict[str, Any], n: Any) -> None:
    assert check(tiny | {"synthesis": {"n": n}}).synthesis.n == n
    arm = {"name": "x", "synthetic": {"gan": "dcgan", "n": n}}
    assert check(tiny | {"arms": ["none", arm]}).arms[1].synthetic == config.Synthetic(gan="dcgan", n=n)


def test_the_grid_of_penalties_spans_six_decades_up_to_100() -> None:
    grid = config.LinearHead().l2
    assert (grid[0], grid[-1]) == (100.0, 1e-4)
    steps = [high / low for high, low in pairwise(grid)]
    assert all(2.9 < step < 3.4 for step in steps)


def test_the_margin_is_a_tenth_of_the_baselines_error_unless_it_is_set(tiny: dict[str, Any]) -> None:
    assert config.Statistics().margin == config.Margin(share=0.1)
    given = check(tiny | {"statistics": {"margin": {"share": 0.25}}}).statistics.margin
    assert given == config.Margin(share=0.25)
    assert check(tiny | {"statistics": {"margin": 0.005}}).statistics.margin == 0.005


def test_a_missing_section_is_reported(tiny: dict[str, Any]) -> None:
    del tiny["task"]
    with pytest.raises(ConfigError, match="key 'task' is missing"):
        check(tiny)


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("lr: 1e-4\nlarge: 1E+3\nname: e1\n")
    assert config.read_yaml(path) == {"lr": 1e-4, "large": 1000.0, "name": "e1"}


def test_a_key_given_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("seeds: [0]\nseeds: [1]\n")
    with pytest.raises(ConfigError, match="'seeds' is given twice"):
        config.read_yaml(path)


def test_settings_are_changed_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("a: {b: 1}\n")
    assert config.read(path, sets=["a.b=2", "c.d=[1, x]", "e=1e-3"]) == {
        "a": {"b": 2},
        "c": {"d": [1, "x"]},
        "e": 1e-3,
    }


@pytest.mark.parametrize("text", ["a.b", "=3", "a.b.c=1", "a=[1"])
def test_a_malformed_change_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text("a: {b: 1}\n")
    with pytest.raises(ConfigError, match="--set"):
        config.read(path, sets=[text])


def test_seeds_are_lists_or_ranges() -> None:
    assert config.parse_seeds("0,3,5") == [0, 3, 5]
    assert config.parse_seeds("0 3  5") == config.parse_seeds(" 0, 3 ,5 ") == [0, 3, 5]
    assert config.parse_seeds("2..4") == [2, 3, 4]
    with pytest.raises(ConfigError, match="0,1,2"):
        config.parse_seeds("a few")


def test_a_file_from_before_there_were_kinds_says_the_same(tiny: dict[str, Any]) -> None:
    old = {"side_px": 16, "l2": [1.0, 0.1], "paper": {"epochs": 3}}
    honest = config.check(tiny | {"protocol": "honest", "classifier": old}, where="old")
    assert honest == config.check(tiny | {"classifier": {"side_px": 16, "l2": [1.0, 0.1]}}, where="new")
    paper = config.check(tiny | {"protocol": "paper", "classifier": old}, where="old")
    new = {"kind": "paper", "side_px": 16, "training": {"epochs": 3}}
    assert paper == config.check(tiny | {"classifier": new}, where="new")
    for both in ({"kind": "network"}, {"training": {"epochs": 3}}):
        with pytest.raises(ConfigError, match=r"protocol = 'paper' stands beside classifier.*drop protocol"):
            config.check(tiny | {"protocol": "paper", "classifier": both}, where="both")
    with pytest.raises(ConfigError, match=r"unknown key 'classifier.paper'"):
        config.check(tiny | {"classifier": old}, where="without a protocol")
    with pytest.raises(ConfigError, match="unknown key 'protocol'"):
        config.check(tiny | {"protocol": ["paper"]}, where="a list")


@pytest.mark.parametrize(
    ("classifier", "said"),
    [
        ({"kind": "tree"}, "classifier = .*its kind is one of 'linear-head', 'network', 'paper'"),
        ({"kind": "network", "l2": [1.0]}, "unknown key 'classifier.l2'"),
        ({"kind": "network", "train": "all"}, "small-cnn has no published weights: set classifier.train to scratch"),
        ({"kind": "network", "backbone": "resnet18", "weights": "w.pth"}, "set classifier.train to last-block or all"),
        ({"kind": "network", "lr": []}, "classifier.lr"),
        ({"kind": "network", "training": {"batch_size": 1}}, "classifier.training.batch_size = 1"),
    ],
)
def test_a_classifier_that_cannot_be_is_refused(tiny: dict[str, Any], classifier: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config.check(tiny | {"classifier": classifier}, where="here")


def test_the_settings_of_a_network_come_strongest_first() -> None:
    network = config.Network(kind="network", lr=(1e-2, 1e-4), weight_decay=(0.0, 0.5))
    assert network.grid == ((1e-4, 0.5), (1e-4, 0.0), (1e-2, 0.5), (1e-2, 0.0))
