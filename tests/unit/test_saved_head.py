"""A head that was written is the head that was solved."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from ganbalance.arms import Examples, objective
from ganbalance.errors import DataError
from ganbalance.training import saved_head
from ganbalance.training.head import Head, fit, fit_scaler
from ganbalance.training.saved_head import LinearHead

GRID = (1.0, 0.1, 0.01)


def examples(k: int) -> Examples:
    rng = np.random.default_rng(k)
    labels = rng.integers(0, k, 200)
    features = rng.normal(size=(200, 5)) + labels[:, None] * rng.normal(size=5)
    features[:, 3] = 7.0  # a feature that never fires
    return Examples(features.astype(np.float32), labels, np.ones(200))


def solve(train: Examples, of: str = "cross-entropy") -> Head:
    scaler = fit_scaler(examples(3).inputs)
    return fit(train, scaler=scaler, grid=GRID, objective=objective(of), on_progress=lambda done, total: None)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("of", ["cross-entropy", "focal"])
def test_every_strength_has_the_logits_that_it_was_solved_to(classes: int, of: str, tmp_path: Path) -> None:
    train = examples(classes)
    solved = solve(train, of)
    saved_head.save(tmp_path / "head.safetensors", {(): solved})
    for strength, logits in zip(solved.strengths, solved.logits(train.inputs), strict=True):
        found = saved_head.load(tmp_path / "head.safetensors", strength).logits(train.inputs)
        assert found.dtype == np.float64
        assert found == pytest.approx(logits, rel=1e-12, abs=1e-12)


def test_the_arrays_are_named_and_float64_as_solved(tmp_path: Path) -> None:
    train = examples(3)
    solved = solve(train)
    saved_head.save(tmp_path / "head.safetensors", {(): solved})
    arrays = load_file(tmp_path / "head.safetensors")
    shapes = {"mean": (5,), "scale": (5,), "strengths": (3,), "weights": (3, 3, 5), "biases": (3, 3)}
    assert {name: array.shape for name, array in arrays.items()} == shapes
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float64)}
    assert arrays["strengths"].tolist() == [1.0, 0.1, 0.01]
    assert np.array_equal(arrays["weights"], solved.weights)
    assert np.array_equal(arrays["biases"], solved.biases)
    assert arrays["mean"] == pytest.approx(train.inputs.astype(np.float64).mean(axis=0))
    assert arrays["scale"][:3] == pytest.approx(train.inputs[:, :3].astype(np.float64).std(axis=0))
    assert arrays["scale"][3] == 1  # nothing is divided by a deviation of 0


def test_the_heads_of_pairs_are_kept_as_log_odds(tmp_path: Path) -> None:
    train = examples(3)
    pairs = {pair: solve(train.of_pair(pair)) for pair in ((0, 2), (1, 2))}
    saved_head.save(tmp_path / "head.safetensors", {(): solve(train), **pairs})
    arrays = load_file(tmp_path / "head.safetensors")
    standardised = (train.inputs.astype(np.float64) - arrays["mean"]) / arrays["scale"]
    for (low, high), solved in pairs.items():
        weights, biases = (arrays[f"pair/{low}/{high}/{part}"] for part in ("weights", "biases"))
        logits = solved.logits(train.inputs)
        assert weights @ standardised.T + biases[:, None] == pytest.approx(logits[..., 1] - logits[..., 0])


def test_the_same_head_is_the_same_bytes(tmp_path: Path) -> None:
    solved = solve(examples(2))
    for name in ("one", "other"):
        saved_head.save(tmp_path / name, {(): solved})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_a_strength_that_was_not_solved_is_refused(tmp_path: Path) -> None:
    saved_head.save(tmp_path / "head.safetensors", {(): solve(examples(2))})
    with pytest.raises(DataError, match=r"not solved at the strength 0\.3, only at 1, 0\.1, 0\.01"):
        saved_head.load(tmp_path / "head.safetensors", 0.3)


def test_one_solution_survives_its_file(tmp_path: Path) -> None:
    saved_head.save(tmp_path / "all", {(): solve(examples(3))})
    one = saved_head.load(tmp_path / "all", 0.1)
    one.save(tmp_path / "one")
    inputs = examples(3).inputs
    assert np.array_equal(LinearHead.load(tmp_path / "one").logits(inputs), one.logits(inputs))
