"""An experiment file is understood wholly or refused in one line that says what is wrong."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.errors import ConfigError
from ganbalance.frozen import dump

PRESETS = sorted(Path("jobs/experiments").glob("*.yaml"))


def check(settings: dict[str, Any]) -> config.Experiment:
    return config.check(settings, where="test.yaml")


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_is_a_valid_experiment_named_like_its_file(path: Path) -> None:
    assert config.check(config.read(path), where=str(path)).name == path.stem


def test_the_presets_are_the_documented_ones() -> None:
    assert [path.stem for path in PRESETS] == ["hard-pair", "honest", "paper", "quick", "ten-class", "trousers"]


@pytest.mark.parametrize("name", ["hard-pair", "honest", "ten-class"])
def test_presets_that_cut_the_data_train_gans_for_the_reports_generator_steps(name: str) -> None:
    gans = config.check(config.read(Path(f"jobs/experiments/{name}.yaml")), where=name).gans
    assert gans == {"vanilla": {"steps": 9500}, "dcgan": {"steps": 5000}, "wgan-gp": {"steps": 9500}}


def test_a_resolved_experiment_reads_back_equal(tiny: dict[str, Any]) -> None:
    experiment = check(tiny)
    assert check(dump(experiment)) == experiment


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"epoch": 3}, "unknown key 'epoch' (allowed: arms, classifier"),
        ({"classifier": {"sidepx": 32}}, "unknown key 'classifier.sidepx' (allowed: backbone, l2, paper"),
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
        ({"protocol": "loose"}, "protocol = 'loose'"),
        ({"task": {"kind": "pairs"}}, "task"),
        ({"classifier": {"weights_sha256": "0" * 64}}, "name it in classifier.weights"),
        ({"statistics": {"margin": float("inf")}}, "statistics.margin"),
        ({"statistics": {"margin": 0.0}}, "statistics.margin"),
        ({"statistics": {"margin": 0.5}}, "statistics.margin"),
        ({"statistics": {"margin": {"share": 1.0}}}, "statistics.margin"),
        ({"statistics": {"margin": {"shares": 0.1}}}, "statistics.margin"),
        ({"statistics": {"precision_levels": [0.5, 1.0]}}, "statistics.precision_levels.1 = 1.0"),
        ({"statistics": {"recall_levels": [0]}}, "statistics.recall_levels.0 = 0"),
        ({"classifier": {"l2": []}}, "classifier.l2"),
        ({"classifier": {"l2": [1.0, 0.0]}}, "classifier.l2.1 = 0.0"),
    ],
)
def test_a_wrong_value_is_told_with_its_key(tiny: dict[str, Any], change: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tiny | change)
    assert said in str(caught.value)
    assert "test.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_grid_of_penalties_spans_six_decades_up_to_100() -> None:
    grid = config.Classifier().l2
    assert (grid[0], grid[-1]) == (100.0, 1e-4)
    steps = [high / low for high, low in pairwise(grid)]
    assert all(2.9 < step < 3.4 for step in steps)


def test_the_margin_is_a_tenth_of_the_baselines_error_unless_it_is_set(tiny: dict[str, Any]) -> None:
    assert config.Statistics().margin == config.Margin(share=0.1)
    given = check(tiny | {"statistics": {"margin": {"share": 0.25}}}).statistics.margin
    assert given == config.Margin(share=0.25)
    assert check(tiny | {"statistics": {"margin": 0.005}}).statistics.margin == 0.005


def test_a_missing_section_is_told(tiny: dict[str, Any]) -> None:
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
    assert config.parse_seeds("2..4") == [2, 3, 4]
    with pytest.raises(ConfigError, match="0,1,2"):
        config.parse_seeds("a few")
