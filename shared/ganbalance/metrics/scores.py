"""What a classifier said, at every strength of its penalty: enough to choose, calibrate and judge it later.

Nothing is chosen where a classifier is trained: one strength per arm is chosen from all seeds of a run, and chosen
again by its standard errors. Logits, since probabilities saturate: images that become exactly 1.0 are tied.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ganbalance.errors import DataError
from ganbalance.metrics.calibration import Floats, Ints, Rule

PAIR = 2
"""Classes in a pair task; with more, every pair that holds a rare class has a two-class head of its own."""


@dataclass(frozen=True)
class PairScores:
    """The log odds of the higher class of a pair over the lower one: float64 (G, n) of the images of the two alone."""

    test: Floats
    held_out: Floats


PARTS = tuple(item.name for item in fields(PairScores))


@dataclass(frozen=True)
class Scores:
    """Logits of one arm at one seed along a grid of G strengths, strongest first, or at G settings.

    With several doses of synthetic images the grid holds that of each dose, one after another.

    strengths        float64 (G,)       of the L2 penalty, falling; 1..G for the settings of a network; nan of one alone
    test             float64 (G, T, K)  with test_labels int64 (T,)
    held_out         float64 (G, V, K)  with held_out_labels int64 (V,): real images that nothing trained on
    validation       bool (V,)          which of them come out of the kept images, as a user has them; the others were
                                        removed by the imbalance. V is 0 for a paper classifier
    scale, offsets   float64 (G,), (G, K)  the rule "as trained": logits on the scale of the arm's own training mix
    prior            float64 (K,)       class shares that the rule decides for: those of that mix, if nothing was done;
                                        (G, K) where they differ by dose
    pairs            (lower, higher class) -> PairScores; empty for two classes, whose log odds are in `test`
    test_rows        int64 (T,)         which images of the data the test images are; None where all cells share them
    test_groups, held_out_groups  int64 (T,), (V,): equal where images belong together; None where none do
    doses            int64 (G,)         the dose of each place in the grid, numbered from 1; None where there is one
    """

    strengths: Floats
    test: Floats
    test_labels: Ints
    held_out: Floats
    held_out_labels: Ints
    validation: NDArray[np.bool_]
    scale: Floats
    offsets: Floats
    prior: Floats
    pairs: dict[tuple[int, int], PairScores] = field(default_factory=dict)
    test_rows: Ints | None = None
    test_groups: Ints | None = None
    held_out_groups: Ints | None = None
    doses: Ints | None = None

    def __post_init__(self) -> None:
        strengths, images, classes = self.test.shape
        consistent = (
            self.held_out.shape == (strengths, len(self.held_out_labels), classes)
            and self.strengths.shape == self.scale.shape == (strengths,)
            and self.offsets.shape == (strengths, classes)
            and self.prior.shape in ((classes,), (strengths, classes))
            and (self.doses is None or self.doses.shape == (strengths,))
            and self.test_labels.shape == (images,)
            and self.validation.shape == self.held_out_labels.shape
            and (self.test_rows is None or self.test_rows.shape == self.test_labels.shape)
            and (self.test_groups is None) == (self.held_out_groups is None)
            and (self.test_groups is None or self.test_groups.shape == self.test_labels.shape)
            and (self.held_out_groups is None or self.held_out_groups.shape == self.held_out_labels.shape)
            and all(
                pair.test.shape == (strengths, of_pair(self.test_labels, classes_of).sum())
                and pair.held_out.shape == (strengths, of_pair(self.held_out_labels, classes_of).sum())
                for classes_of, pair in self.pairs.items()
            )
        )
        if not consistent:
            raise DataError(f"scores of {strengths} strengths, {images} test images and {classes} classes do not fit")
        log_odds = [logits for pair in self.pairs.values() for logits in (pair.test, pair.held_out)]
        given = [self.test, self.held_out, self.scale, self.offsets, *log_odds]
        if not all(np.isfinite(numbers).all() for numbers in given):
            raise DataError("logits must be finite: a diverged cell is counted, not measured")
        if not np.array_equal(np.unique(self.test_labels), np.arange(classes)):
            raise DataError(f"every class 0..{classes - 1} needs test images, got {np.unique(self.test_labels)}")

    @property
    def classes(self) -> int:
        """K."""
        return int(self.test.shape[2])

    def same_test_images(self, other: "Scores") -> bool:
        """Tell whether rows, labels and groups of the test images agree."""
        names = ("test_rows", "test_labels", "test_groups")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)

    def ranked_pairs(self) -> dict[tuple[int, int], PairScores]:
        """Collect the pairs whose ranking is judged: the task's own two classes, or those with a head of their own."""
        if self.classes > PAIR:
            return self.pairs
        return {
            (0, 1): PairScores(self.test[..., 1] - self.test[..., 0], self.held_out[..., 1] - self.held_out[..., 0])
        }

    def as_trained(self, strength: int) -> Rule:
        """Build the rule on the scale of the arm's own training mix: 0.5 of a pair, argmax of more."""
        return Rule(float(self.scale[strength]), self.offsets[strength])

    def at_equal_shares(self, strength: int) -> Rule:
        """Build the same rule, had all classes been as large in training."""
        return self.as_trained(strength).for_prior(self.prior if self.prior.ndim == 1 else self.prior[strength])

    def dose_at(self, place: int) -> int | None:
        """Look up the dose of a place in the grid."""
        return None if self.doses is None else int(self.doses[place])

    def places(self, dose: int | None) -> slice:
        """Find the places in the grid that have this dose; all of them where there is one."""
        if self.doses is None:
            return slice(0, None)
        (same,) = np.nonzero(self.doses == dose)
        return slice(int(same[0]), int(same[-1]) + 1)

    def rescored(self) -> Self:
        """Return the same logits, as trained under equal class shares."""
        equal = np.full(self.classes, 1 / self.classes)
        rules = [self.at_equal_shares(g) for g in range(len(self.strengths))]
        changed = {"offsets": np.stack([rule.offsets for rule in rules]), "prior": equal}
        return type(self)(**{item.name: getattr(self, item.name) for item in fields(self)} | changed)

    def save(self, path: Path) -> None:
        """Write every array to an .npz file; a pair's are named pair/LOWER/HIGHER/part."""
        arrays: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "pairs"}
        arrays = {name: array for name, array in arrays.items() if array is not None}
        for (low, high), pair in self.pairs.items():
            arrays |= {f"pair/{low}/{high}/test": pair.test, f"pair/{low}/{high}/held_out": pair.held_out}
        np.savez(path, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            names = sorted({tuple(map(int, name.split("/")[1:3])) for name in arrays if name.startswith("pair/")})
            pairs = {
                (low, high): PairScores(arrays[f"pair/{low}/{high}/test"], arrays[f"pair/{low}/{high}/held_out"])
                for low, high in names
            }
            plain = {item.name: arrays[item.name] for item in fields(cls) if item.name in arrays}
            return cls(**plain, pairs=pairs)


def of_doses(cells: Sequence[Scores]) -> Scores:
    """Join the scores of one arm at one seed with every dose of synthetic images, in the order of the doses."""
    along = ("strengths", "test", "held_out", "scale", "offsets")
    joined = {name: np.concatenate([getattr(cell, name) for cell in cells]) for name in along}
    sizes = [len(cell.strengths) for cell in cells]
    pairs = {
        pair: PairScores(*(np.concatenate([getattr(cell.pairs[pair], part) for cell in cells]) for part in PARTS))
        for pair in cells[0].pairs
    }
    return replace(
        cells[0],
        **joined,
        prior=np.concatenate([np.tile(cell.prior, (size, 1)) for cell, size in zip(cells, sizes, strict=True)]),
        pairs=pairs,
        doses=np.repeat(np.arange(1, len(cells) + 1), sizes),
    )


def of_pair(labels_N: Ints, pair: tuple[int, int]) -> NDArray[np.bool_]:
    """Tell which images are of one of the two classes: bool (N,)."""
    return np.isin(labels_N, pair)


def ranked(rare: Iterable[int], classes: int) -> list[tuple[int, int]]:
    """List the pairs of classes that are judged apart: all that hold a rare one, unless the task is a pair itself."""
    if classes == PAIR:
        return []
    return [pair for pair in combinations(range(classes), 2) if set(pair) & set(rare)]


def of_networks(  # noqa: PLR0913
    test: Floats,
    test_labels: Ints,
    held_out: Floats,
    held_out_labels: Ints,
    *,
    validation: NDArray[np.bool_],
    prior: Floats,
    rare: Iterable[int],
    test_rows: Ints | None = None,
    test_groups: Ints | None = None,
    held_out_groups: Ints | None = None,
) -> Scores:
    """Build scores from a network's logits at each of G settings, whose numbers from 1 take the place of strengths.

    A network's logits are taken as they are, and a pair's log odds are those of the network of all classes. Where
    nothing is held out there is nothing to choose by, and one network.
    """
    settings, _, classes = test.shape
    return Scores(
        strengths=np.arange(1.0, settings + 1) if len(held_out_labels) else np.full(settings, np.nan),
        test=test,
        test_labels=test_labels,
        held_out=held_out,
        held_out_labels=held_out_labels,
        validation=validation,
        scale=np.ones(settings),
        offsets=np.zeros((settings, classes)),
        prior=prior,
        pairs={
            (low, high): PairScores(
                *(
                    (logits[..., high] - logits[..., low])[:, of_pair(labels, (low, high))]
                    for logits, labels in ((test, test_labels), (held_out, held_out_labels))
                )
            )
            for low, high in ranked(rare, classes)
        },
        test_rows=test_rows,
        test_groups=test_groups,
        held_out_groups=held_out_groups,
    )
