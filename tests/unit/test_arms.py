"""An arm is a recipe: a name stands for one, its parts may be given, and what is not known is refused in one line."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganbalance import arms, registry
from ganbalance.arms import filters, methods, objectives
from ganbalance.config import Recipe, Synthetic
from ganbalance.errors import ConfigError
from ganbalance.frozen import parse
from ganbalance.models import backbones, gans

KNOWN = {
    "none": {},
    "threshold": {"rescoring": "threshold"},
    "class-weight": {"method": "class-weight"},
    "oversample": {"method": "oversample"},
    "smote": {"method": "smote"},
    "focal": {"objective": "focal"},
    "logit-adjustment": {"objective": "logit-adjustment"},
    "dcgan": {"synthetic": {"gan": "dcgan"}},
    "oracle": {"removed": "all"},
    "oracle-matched": {"removed": "matched"},
    "augment": {"synthetic": {"augment": {}}},
    "copy-noise": {"synthetic": {"noise": {}}},
    "undersample": {"method": "undersample"},
    "borderline-smote": {"method": "borderline-smote"},
    "adasyn": {"method": "adasyn"},
    "gaussian": {"method": "gaussian"},
    "mixup": {"method": "mixup"},
    "balanced-batches": {"method": "balanced-batches"},
}
PLAIN = {"synthetic": None, "removed": None, "method": "none", "objective": "cross-entropy", "rescoring": None}
GAN = {"synthetic": {"gan": "dcgan"}}
OUTSIDE = {"synthetic": {"images": "made/{seed}"}}


def recipe(name: str, **parts: Any) -> Recipe:
    return parse(Recipe, {"name": name, **parts}, where="test.yaml")


def resolved(name: str, **parts: Any) -> Recipe:
    return arms.resolve(recipe(name, **parts))


@pytest.mark.parametrize("name", KNOWN)
def test_a_name_alone_stands_for_one_part(name: str) -> None:
    found = resolved(name)
    parts = PLAIN | KNOWN[name]
    if parts["synthetic"]:
        parts |= {"synthetic": parse(Synthetic, parts["synthetic"], where="test.yaml")}
    assert {part: getattr(found, part) for part in PLAIN} == parts
    assert found.name == name


@pytest.mark.parametrize("name", arms.names())
def test_every_name_that_is_listed_stands_for_a_recipe(name: str) -> None:
    found = resolved(name)
    assert found.name == name
    assert arms.resolve(found) == found  # nothing is left to resolve


def test_every_gan_method_and_objective_but_the_usual_loss_is_an_arm_by_its_name() -> None:
    parts = {*gans.names(), *registry.names(methods), *registry.names(objectives)} - {"cross-entropy"}
    assert set(arms.names()) == parts | {"threshold", "oracle", "oracle-matched", "augment", "copy-noise"}
    assert set(KNOWN) <= set(arms.names())
    assert arms.names() == sorted(arms.names())


@pytest.mark.parametrize("name", KNOWN)
def test_the_long_form_of_a_known_name_is_the_same_arm(name: str) -> None:
    assert resolved(name, **KNOWN[name]) == resolved(name)


def test_a_recipe_has_the_parts_that_it_names_and_the_plain_ones() -> None:
    parts = {"method": {"name": "smote", "k_neighbors": 3}, "objective": "focal", "rescoring": "threshold"}
    found = resolved("mine", **GAN, **parts)
    assert (found.method, found.objective) == (parts["method"], parts["objective"])
    assert (found.rescoring, found.removed) == ("threshold", None)
    assert found.synthetic == Synthetic(gan="dcgan")
    assert resolved("plain", method="none").objective == "cross-entropy"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("none", {"method": "oversample"}),
        ("smote", {"method": {"name": "smote", "k_neighbors": 3}}),
        ("smote", {"objective": "focal"}),
        ("dcgan", {"synthetic": {"gan": "vanilla"}}),
        ("dcgan", {"synthetic": {"gan": "dcgan", "n": "half"}}),
        ("dcgan", {"synthetic": {"gan": "dcgan"}, "method": "oversample"}),
        ("augment", {"synthetic": {"augment": {"flip": False}}}),
        ("copy-noise", {"synthetic": {"noise": {"sd_levels": 4.0}}}),
        ("copy-noise", {"synthetic": {"augment": {}}}),
        ("oracle", {"removed": "matched"}),
        ("threshold", {"rescoring": "threshold", "method": "class-weight"}),
    ],
)
def test_a_known_name_with_other_parts_is_refused(name: str, parts: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"^arms: '{name}' is the name of another arm; .* another name$"):
        resolved(name, **parts)
    assert resolved("another", **parts).name == "another"


def test_an_unknown_name_lists_the_known_ones_and_says_how_to_give_a_recipe() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved("smoke")
    assert str(caught.value) == (
        f"there is no arm 'smoke'; choose among {', '.join(arms.names())}, or say what it is: "
        "{name: smoke, method: ...}"
    )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"method": "smoke"}, "there is no method 'smoke'; choose among adasyn, balanced-batches, borderline-"),
        ({"objective": "focus"}, "there is no objective 'focus'; choose among cross-entropy, focal, logit-adjustment"),
        (
            {"synthetic": {"gan": "dcgan", "filter": {"by": "beauty", "keep": 0.5}}},
            f"there is no filter 'beauty'; choose among {', '.join(registry.names(filters))}",
        ),
        ({"method": {"name": "smote", "neighbours": 3}}, "method smote: unknown key 'neighbours' (allowed: k_"),
        ({"method": {"name": "smote", "k_neighbors": 0}}, "method smote: k_neighbors = 0: input should be greater"),
        ({"method": {"name": "adasyn", "n_neighbors": 0}}, "method adasyn: n_neighbors = 0: input should be greater"),
        ({"method": {"name": "borderline-smote", "m_neighbors": 0}}, "method borderline-smote: m_neighbors = 0: input"),
        ({"method": {"name": "mixup", "alpha": 0}}, "method mixup: alpha = 0: input should be greater"),
        ({"method": {"name": "none", "n": 1}}, "method none: unknown key 'n'"),
        ({"method": {"k_neighbors": 3}}, "method = {'k_neighbors': 3}: it needs a name; choose among "),
        ({"method": {"name": 3}}, "method = {'name': 3}: it needs a name"),
        ({"objective": {"name": "focal", "gamma": -1}}, "objective focal: gamma = -1: input should be greater"),
        ({"objective": {"name": "focal", "tau": 1.0}}, "objective focal: unknown key 'tau' (allowed: gamma)"),
        ({"objective": {"name": "logit-adjustment", "tau": 0}}, "objective logit-adjustment: tau = 0: input should be"),
        (
            {"synthetic": {"gan": "dcgan", "filter": {"by": {"name": "classifier", "l2": 1.0}, "keep": 0.5}}},
            "filter classifier: unknown key 'l2'",
        ),
    ],
)
def test_unknown_parts_and_settings_are_refused_in_one_line(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolved("mine", **parts)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_a_part_without_a_name_lists_the_names_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        resolved("mine", objective={"gamma": 1.0})
    names = ", ".join(registry.names(objectives))
    assert str(caught.value) == f"objective = {{'gamma': 1.0}}: it needs a name; choose among {names}"


def test_the_base_of_the_entries_is_none_of_them() -> None:
    assert (Path(backbones.__path__[0]) / "base.py").exists()
    assert "base" not in registry.names(backbones)
    assert "resnet18" in registry.names(backbones)


@pytest.mark.parametrize(
    ("name", "parts", "family"),
    [
        ("none", {}, "baseline"),
        ("class-weight", {}, "cheap"),
        ("smote", {}, "cheap"),
        ("focal", {}, "cheap"),
        ("logit-adjustment", {}, "cheap"),
        ("dcgan", {}, "generative"),
        ("augment", {}, "cheap"),
        ("copy-noise", {}, "cheap"),
        ("gaussian", {}, "cheap"),
        ("undersample", {}, "cheap"),
        ("noisy", {"synthetic": {"noise": {"sd_levels": 40.0}}, "method": "oversample"}, "cheap"),
        ("oracle", {}, "control"),
        ("oracle-matched", {}, "control"),
        ("threshold", {}, "exempt"),
        ("half-half", {**GAN, "method": "oversample"}, "generative"),
        ("diffusion", OUTSIDE, "generative"),
        ("turned", {"synthetic": {"augment": {"rotate_deg": 90.0}}}, "cheap"),
        ("augment-threshold", {"synthetic": {"augment": {}}, "rescoring": "threshold"}, "cheap"),
        ("dcgan-threshold", {**GAN, "rescoring": "threshold"}, "generative"),
        ("dcgan-focal", {**GAN, "objective": "focal"}, "generative"),
        ("oracle-and-gan", {**GAN, "removed": "all"}, "control"),
        ("oracle-threshold", {"removed": "all", "rescoring": "threshold"}, "control"),
        ("weighted-threshold", {"method": "class-weight", "rescoring": "threshold"}, "cheap"),
        ("focal-threshold", {"objective": "focal", "rescoring": "threshold"}, "cheap"),
        ("same-as-threshold", {"rescoring": "threshold", "method": "none"}, "exempt"),
        ("plain", {"method": "none"}, "cheap"),
    ],
)
def test_the_parts_of_a_recipe_say_its_family(name: str, parts: dict[str, Any], family: str) -> None:
    assert resolved(name, **parts).family == family


@pytest.fixture
def add_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any, str, str], None]]:
    """Put a file into a registry, as if it lay in the package."""
    made = []

    def add(package: Any, file: str, text: str) -> None:
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / file).write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        made.append(f"{package.__name__}.{file.removesuffix('.py')}")

    yield add
    for name in made:
        sys.modules.pop(name, None)


def test_a_method_is_an_arm_as_soon_as_its_file_is_there(add_file: Callable[[Any, str, str], None]) -> None:
    text = """
from ganbalance.arms.base import Examples, Method

class Halved(Method):
    share: float = 0.5

    def resample(self, examples, random_state):
        return Examples(examples.inputs, examples.labels, self.share * examples.weights)
"""
    add_file(methods, "half_as_heavy.py", text)
    assert "half-as-heavy" in arms.names()
    assert resolved("half-as-heavy").method == "half-as-heavy"
    given = arms.Examples(np.zeros((3, 2), np.float32), np.array([0, 0, 1]), np.ones(3))
    found = arms.method({"name": "half-as-heavy", "share": 0.25}).resample(given, 0)
    assert found.weights.tolist() == [0.25] * 3


def test_a_file_of_two_methods_is_a_mistake_in_the_program(add_file: Callable[[Any, str, str], None]) -> None:
    text = """
from ganbalance.arms.base import Method

class One(Method): ...

class Other(Method): ...
"""
    add_file(methods, "twins.py", text)
    with pytest.raises(TypeError, match=r"twins.py defines 2 classes derived from Method, not one"):
        arms.method("twins")


def test_reading_the_settings_of_every_part_loads_no_library_that_trains() -> None:
    chosen = [f"arms.method({name!r})" for name in registry.names(methods)]
    chosen += [f"arms.objective({name!r})" for name in registry.names(objectives)]
    chosen += [f"arms.image_filter({name!r})" for name in registry.names(filters)]
    loaded = "sys.exit(bool({'imblearn', 'sklearn', 'torch'} & set(sys.modules)))"
    code = f"import sys; from ganbalance import arms; {'; '.join(chosen)}; {loaded}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
