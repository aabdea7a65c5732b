"""One strength of the penalty, and one fair rule, for each arm of a run, chosen on held-out images of all its seeds.

Where an arm asks for it, so is its dose: how many synthetic images are added, and what each counts. Dose and strength
are chosen together, and a tie of doses goes to the one named first.

The strength is the one with the best mean ranking over the seeds. Where the imbalance removed nothing, the held-out
images are few and the best mean is a matter of luck: there it is the choice that bootstraps of those images make most
often. A tie goes to the stronger penalty. The fair rule is fitted on the held-out images of all seeds together, at
that strength. Both are done again on subsets of the seeds, which is how their own noise gets into the standard errors.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ganbalance.metrics import calibration
from ganbalance.metrics.calibration import Floats, Ints
from ganbalance.metrics.classification import Settings, Settled, held_out_macro, held_out_ranking
from ganbalance.metrics.scores import PAIR, Scores
from ganbalance.metrics.weighted import grouped_draws
from ganbalance.seeding import numpy_rng

BOOTSTRAPS = 150
_TIE = 12
"""Decimals: sums of the same numbers in another order are the same metric."""


@dataclass(frozen=True)
class Tuning:
    """The cells of one arm by seed with what held-out images say of every strength.

    ranking, macro  seed -> float64 (B, G): the primary metric and, for the head of all classes, macro one-vs-rest AUC,
                    on B bootstraps of the held-out images, or on those images alone (B = 1)
    """

    cells: Mapping[int, Scores]
    ranking: Mapping[int, Floats]
    macro: Mapping[int, Floats]

    @classmethod
    def of(cls, cells: Mapping[int, Scores], settings: Settings) -> "Tuning":
        """Look at every strength of every cell."""
        bootstrapped = all(scores.validation.all() for scores in cells.values())
        weights = {seed: _weights(seed, scores, bootstrapped=bootstrapped) for seed, scores in cells.items()}
        ranking = {seed: _ranked(scores, settings, weights[seed]) for seed, scores in cells.items()}
        many = any(scores.classes > PAIR for scores in cells.values())
        macro = {seed: _macro(scores, weights[seed]) for seed, scores in cells.items()} if many else ranking
        return cls(cells, ranking, macro)

    def settle(self, seeds: Collection[int]) -> Settled:
        """Choose and fit from these seeds alone. All heads have one dose, the best by the primary metric."""
        cells = [self.cells[seed] for seed in seeds]
        ranking, macro = ([table[seed] for seed in seeds] for table in (self.ranking, self.macro))
        places = _of_best_dose(ranking, cells[0])
        strength = _choice(macro, places)
        fair = None
        if all(len(scores.held_out_labels) for scores in cells):
            logits = np.concatenate([scores.held_out[strength] for scores in cells])
            fair = calibration.fit_fair(logits, np.concatenate([scores.held_out_labels for scores in cells]))
        return Settled(strength, _choice(ranking, places), fair)


def of_one_seed(scores: Scores, settings: Settings) -> int | None:
    """Choose the place in the grid that a user of this seed alone would, on the kept validation images.

    None without them.
    """
    if not scores.validation.any():
        return None
    tables = [held_out_ranking(scores, settings, scores.validation[None].astype(np.int16))]
    return _choice(tables, _of_best_dose(tables, scores))


def _macro(scores: Scores, weights_BV: np.ndarray) -> Floats:
    return held_out_macro(scores, weights_BV) if len(scores.held_out_labels) else np.zeros((1, len(scores.strengths)))


def _ranked(scores: Scores, settings: Settings, weights_BV: np.ndarray) -> Floats:
    if not len(scores.held_out_labels):
        return np.zeros((1, len(scores.strengths)))  # nothing to choose by: a paper classifier is one network
    return held_out_ranking(scores, settings, weights_BV)


def _weights(seed: int, scores: Scores, *, bootstrapped: bool) -> np.ndarray:
    """Say how often each held-out image counts, int16 (B, V): the same for every arm of a seed."""
    if bootstrapped and len(scores.held_out_labels):
        rng = numpy_rng(seed, "tuning-bootstrap")
        return grouped_draws(scores.held_out_labels, scores.held_out_groups, BOOTSTRAPS, rng)
    return np.ones((1, len(scores.held_out_labels)), np.int16)


def _of_best_dose(tables_BG: list[Floats], scores: Scores) -> slice:
    """Find the places in the grid of the dose that most bootstraps rank first, at the strength that suits it best."""
    if scores.doses is None:
        return scores.places(None)
    dose_B = scores.doses[_best(tables_BG, slice(None))]
    return scores.places(int(np.bincount(dose_B).argmax()))


def _choice(tables_BG: list[Floats], among: slice) -> int:
    """Choose the place in the grid that most bootstraps rank first by the mean over seeds."""
    return int(among.start) + int(np.bincount(_best(tables_BG, among)).argmax())


def _best(tables_BG: list[Floats], among: slice) -> Ints:
    """Find the place, from the first that is looked at, that each bootstrap ranks first, int64 (B,)."""
    return np.asarray(np.argmax(np.round(np.mean(tables_BG, axis=0)[:, among], _TIE), axis=1))
