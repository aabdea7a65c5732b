"""Simulated runs: cells and test images out of a bank, judged as a report would, beside the truth.

synthetic   arms that each add generated images of their own, the baseline as well: all equal, since any one of
            them may be the baseline; three are of the generative family, two of the cheap one
jittered    the same of arms that do next to nothing
redrawn     the same of `none` on draws of its own: equal arms that share no luck
diverging   as synthetic, but one arm's cells are missing on the worst fifth of the draws
twins       oversample against itself with other random numbers
effects     arms that do differ from `none`
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganbalance.metrics.results import Family, Run
from ganbalance.metrics.verdicts import MOST_DIVERGED
from tests.simulation.bank import SETTINGS, VARIANTS, Bank
from tests.simulation.ranked import Cell, Draws, Ranked

EQUAL: dict[str, Family] = {
    "base": "baseline",
    "generative-1": "generative",
    "generative-2": "generative",
    "generative-3": "generative",
    "cheap-1": "cheap",
    "cheap-2": "cheap",
}
EFFECTS: dict[str, Family] = {
    "none": "baseline",
    "class-weight": "cheap",
    "oversample": "cheap",
    "memoriser": "generative",
    "synthetic/0": "generative",
    "oracle-matched": "generative",
    "oracle": "control",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Picked:
    """Where every arm's cells are in the bank: arm -> (rows of arms (S,), cells (S,)), and who diverged where."""

    families: Mapping[str, Family]
    places: Mapping[str, tuple[np.ndarray, np.ndarray]]
    diverged: Mapping[str, tuple[int, ...]]


def variants(bank: Bank, cells_S: np.ndarray, rng: np.random.Generator, kind: str) -> Picked:
    """Each seed's variants in a random order."""
    orders_SV = np.stack([rng.permutation(VARIANTS) for _ in cells_S])
    first = bank.arms.index(f"{kind}/0")
    return Picked(EQUAL, {arm: (first + orders_SV[:, v], cells_S) for v, arm in enumerate(EQUAL)}, {})


def redrawn(bank: Bank, cells_S: np.ndarray, rng: np.random.Generator) -> Picked:
    """Cells of `none` for every arm anew, of the same pool."""
    (candidates,) = np.nonzero(bank.pool == bank.pool[cells_S[0]])
    none = np.full(len(cells_S), bank.arms.index("none"))
    return Picked(EQUAL, {arm: (none, rng.choice(candidates, len(cells_S))) for arm in EQUAL}, {})


def diverging(bank: Bank, cells_S: np.ndarray, rng: np.random.Generator) -> Picked:
    """A draw is bad when `none` does badly on it, over the whole grid."""
    found = variants(bank, cells_S, rng, "synthetic")
    of_none_S = bank.auc[bank.arms.index("none"), cells_S].mean(axis=1)
    worst = np.argsort(of_none_S)[: int(MOST_DIVERGED * len(cells_S))]
    return Picked(found.families, found.places, {"generative-1": tuple(worst.tolist())})


def twins(bank: Bank, cells_S: np.ndarray, rng: np.random.Generator) -> Picked:
    """Which of the two is the baseline is a coin's choice at every seed."""
    both_2S = np.array([[bank.arms.index(arm)] for arm in ("oversample", "oversample/again")]).repeat(len(cells_S), 1)
    both_2S = rng.permuted(both_2S, axis=0)
    return Picked(
        {"base": "baseline", "cheap-1": "cheap"},
        dict(zip(("base", "cheap-1"), [(one, cells_S) for one in both_2S], strict=True)),
        {},
    )


def effects(bank: Bank, cells_S: np.ndarray, _rng: np.random.Generator) -> Picked:
    """Every arm on the same cells."""
    there = {arm: family for arm, family in EFFECTS.items() if arm in bank.arms}
    return Picked(there, {arm: (np.full(len(cells_S), bank.arms.index(arm)), cells_S) for arm in there}, {})


SCENARIOS: dict[str, Callable[[Bank, np.ndarray, np.random.Generator], Picked]] = {
    "synthetic": lambda bank, cells, rng: variants(bank, cells, rng, "synthetic"),
    "jittered": lambda bank, cells, rng: variants(bank, cells, rng, "jittered"),
    "redrawn": redrawn,
    "diverging": diverging,
    "twins": twins,
    "effects": effects,
}
FRESH, KEPT = tuple(SCENARIOS), ("synthetic", "jittered", "redrawn", "effects")


def simulate(
    bank: Bank, scenario: str, *, seeds: int, rare: int, others: int, replicates: int, rng: np.random.Generator
) -> tuple[Ranked, Picked, np.ndarray]:
    """One run: what it concludes, from where its cells are, and the cells of its seeds."""
    pool = rng.choice(np.unique(bank.pool))
    cells_S = rng.choice(np.flatnonzero(bank.pool == pool), seeds)
    picked = SCENARIOS[scenario](bank, cells_S, rng)
    images = np.concatenate([rng.choice(np.flatnonzero(bank.labels == c), n) for c, n in enumerate((others, rare))])
    draws = Draws(np.asarray(bank.labels[images]), replicates, rng)
    arms = {
        arm: {seed: cell(bank, row, at, images) for seed, (row, at) in enumerate(zip(*places, strict=True))}
        for arm, places in picked.places.items()
    }
    run = Run(picked.families, tuple(range(seeds)), SETTINGS, reference="oversample", baseline=next(iter(arms)))
    return Ranked(run, arms, draws, picked.diverged), picked, cells_S


def cell(bank: Bank, arm: int, at: int, images: np.ndarray) -> Cell:
    """A cell of the bank as a run sees it."""
    return Cell(_Seen(bank.odds[arm, at], images), bank.held_out[arm, at], int(bank.own[arm, at]))


@dataclass(frozen=True)
class _Seen(Mapping[int, np.ndarray]):
    """Log odds (G, T) of some images; only what is asked for is read."""

    odds: np.ndarray
    images: np.ndarray

    def __getitem__(self, strength: int) -> np.ndarray:
        return np.asarray(np.asarray(self.odds[strength])[self.images])

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.odds)))

    def __len__(self) -> int:
        return len(self.odds)


@dataclass(frozen=True)
class Truth:
    """Mean AUC of the procedure with S seeds, the choice of a strength included, on the whole test half.

    arm -> float64 (pools,)
    """

    of_pool: Mapping[str, np.ndarray]

    @classmethod
    def of_effects(cls, bank: Bank, seeds: int, draws: int = 20_000) -> "Truth":
        """By many draws of seeds, the same for every arm."""
        pools = np.unique(bank.pool)
        return cls(
            {
                arm: np.array([_mean_auc(bank, arm, pool, seeds, draws // len(pools)) for pool in pools])
                for arm in EFFECTS
                if arm in bank.arms
            }
        )

    def gain(self, arm: str, base: str, pool: int) -> tuple[float, float]:
        """Of an arm over the baseline: with cells of this pool, and with cells of any."""
        if base == "base":
            return 0.0, 0.0  # equal arms
        gains = self.of_pool[arm] - self.of_pool[base]
        return float(gains[pool]), float(gains.mean())


def _mean_auc(bank: Bank, arm: str, pool: int, seeds: int, draws: int) -> float:
    row, cells = bank.arms.index(arm), np.flatnonzero(bank.pool == pool)
    held_out, auc = np.asarray(bank.held_out[row, cells]), np.asarray(bank.auc[row, cells])
    picked = np.random.default_rng(pool).integers(0, len(cells), (draws, seeds))
    return float(np.mean([auc[at, _choice(held_out[at])].mean() for at in picked]))


def _choice(held_out_SBG: np.ndarray) -> int:
    best_B = np.round(held_out_SBG.mean(axis=0), 12).argmax(axis=1)
    return int(np.bincount(best_B).argmax())


def rows(ranked: Ranked, picked: Picked, truth: Truth, pool: int) -> list[Row]:
    """One per arm but the baseline."""
    base = ranked.run.baseline
    beats = ranked.beats("oversample") if "oversample" in picked.places else {}
    gate = ranked.gate
    found = []
    for arm, judged in ranked.judged().items():
        gain, seen = judged.ranking, judged.ranking.detectable(judged.tests)
        here, anywhere = truth.gain(arm, base, pool)
        assert gain.components is not None
        found.append(
            {
                "arm": arm,
                "family": picked.families[arm],
                "truth": here,
                "truth_anywhere": anywhere,
                "mean": gain.mean,
                "se": gain.se,
                "df": gain.df,
                "seeds_part": gain.components.seeds,
                "images_part": gain.components.images,
                "interaction": gain.components.interaction,
                "low": gain.low,
                "high": gain.high,
                "p": gain.p,
                "p_holm": judged.p_holm,
                "tests": judged.tests,
                "called": int(gain.sign != 0 and judged.p_holm < 0.05),
                "finding": judged.finding.name,
                "direction": judged.finding.direction,
                "vetoed": int(judged.vetoed),
                "beats": int(beats.get(arm, False)),
                "margin": ranked.margin,
                "auc": ranked.auc,
                "gate": -1 if gate is None else int(gate.open),
                "seen_low": seen.low,
                "seen_high": seen.high,
            }
        )
    return found
