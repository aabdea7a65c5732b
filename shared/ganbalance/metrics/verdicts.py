"""The verdict on each arm of a run, by this rule.

Each arm is compared with the baseline by the paired difference in AUC (more than two classes: the AUC of two-class
heads, or of differences of a network's logits, averaged over the pairs of each rare class). Intervals are 95 % over
crossed seeds and test images, with the choice of the penalty, or of a network's learning rate and weight decay, and
the fair rule made anew on half samples of the seeds. P values are adjusted by Holm's method within two families: the
generative arms, and the cheap ones; up to 10 % of runs may hold a false call. `threshold` is exempt, as its difference
is 0 by construction, and the oracle is a positive control outside both.
The first that fits:
- too few seeds (under 5 in common), too few test images (under 20 in the smallest class, or fewer than one misranked
  among them: 1 - AUC of the baseline, times their number, under 1), did not train (more than one cell in five
  diverged; up to that, a diverged cell counts as the baseline, difference 0).
- the whole interval lies inside the margin: moves the threshold only, for better or for worse, if balanced accuracy
  as trained, and as trained minus fair, are both off 0 with one sign and the fair one stays inside its margin; else
  no difference in ranking. An adjusted p below .05 adds that it is measurably above or below 0.
- helps, hurts: the interval excludes 0 and the adjusted p is below .05, unless the interval under the strength that
  each seed alone would choose lies wholly on the other side of 0.
- no evidence: anything else, with the range of true differences that such a run would have called.
The margin is a share of what the baseline still gets wrong: of 1 - AUC for ranking, at most half of what the oracle
gains, and of 1 - fair balanced accuracy for thresholds.
"""

from dataclasses import dataclass
from typing import Literal

from ganbalance.metrics.crossed import ALPHA, Estimate

MIN_SEEDS = 5
"""Seeds in common with the baseline that a verdict needs."""
MIN_TEST_IMAGES, FEW_TEST_IMAGES = 20, 50
"""In the smallest class: fewer give no verdict, and fewer a warning. At 10 intervals cover .91."""
MIN_MISRANKED, FEW_MISRANKED = 1.0, 2.0
"""(1 - AUC) times the images of the smallest class: fewer give no verdict, and fewer a warning."""
MOST_DIVERGED = 0.2
"""Share of cells that may count as the baseline."""

HELPS, HURTS, MOVES = "helps", "hurts", "moves the threshold only"
NO_DIFFERENCE, NO_EVIDENCE = "no difference in ranking", "no evidence"
TOO_FEW_SEEDS, TOO_FEW_IMAGES, DID_NOT_TRAIN = "too few seeds", "too few test images", "did not train"

RULE = (__doc__ or "").partition("\n\n")[2]  # the report prints it


@dataclass(frozen=True)
class Evidence:
    """The differences to the baseline that a verdict on an arm rests on.

    ranking     primary metric; `per_seed` the same under the strength that each seed alone would choose
    as_trained, fair, moved   balanced accuracy under each rule, and as trained minus fair; None without a fair rule
    p_holm      of `ranking`, adjusted in the arm's family; the plain p of an arm outside the families
    """

    ranking: Estimate
    p_holm: float
    per_seed: Estimate | None
    as_trained: Estimate
    fair: Estimate | None
    moved: Estimate | None
    ranking_margin: float
    threshold_margin: float | None

    @property
    def significant(self) -> bool:
        """Whether the ranking differs measurably, whatever its size."""
        return self.ranking.sign != 0 and self.p_holm < ALPHA

    @property
    def vetoed(self) -> bool:
        """Whether tuning each seed by itself turns a difference round."""
        return self.per_seed is not None and self.per_seed.sign * self.ranking.sign < 0

    @property
    def threshold_moved(self) -> int:
        """1 or -1 where balanced accuracy as trained gains or loses against the fair one, else 0."""
        return self.moved.sign if self.moved else 0


@dataclass(frozen=True)
class Finding:
    """What the rule says: a name, a direction (1 better, -1 worse, 0 none), and whether it is measurably off 0."""

    name: str
    direction: int = 0
    measurable: bool = False


def find(evidence: Evidence) -> Finding:
    """Apply `RULE` to an arm with enough seeds and test images that trained."""
    ranking = evidence.ranking
    if ranking.inside(evidence.ranking_margin):
        moves = _moves_only(evidence)
        return Finding(MOVES if moves else NO_DIFFERENCE, moves, evidence.significant)
    if evidence.significant and not evidence.vetoed:
        return Finding(HELPS if ranking.sign > 0 else HURTS, ranking.sign, measurable=True)
    return Finding(NO_EVIDENCE)


def _moves_only(evidence: Evidence) -> int:
    """Find the direction in which the arm moves the threshold and changes nothing else; 0 where it does not."""
    if evidence.fair is None or evidence.threshold_margin is None:
        return 0
    moved = evidence.as_trained.sign == evidence.threshold_moved and evidence.fair.inside(evidence.threshold_margin)
    return evidence.as_trained.sign if moved else 0


def enough_images(smallest_class: int, auc: float) -> bool:
    """Tell whether the test images of the smallest class can carry a verdict, given the baseline's AUC."""
    return smallest_class >= MIN_TEST_IMAGES and (1 - auc) * smallest_class >= MIN_MISRANKED


def few_images(smallest_class: int, auc: float) -> bool:
    """Tell whether they carry one that deserves a warning."""
    return smallest_class < FEW_TEST_IMAGES or (1 - auc) * smallest_class < FEW_MISRANKED


Limit = Literal["seeds", "test images", "both"]


@dataclass(frozen=True)
class Gate:
    """Whether this run could have shown a gain: what the oracle gains, and what stands in the way where it is shut.

    `limited_by` is what holds the largest part of the variance of the oracle's gain: "seeds", "test images", or "both"
    where their interaction does.
    """

    open: bool
    gain: Estimate
    limited_by: Limit


def gate(oracle_gain: Estimate) -> Gate:
    """Judge the gate: open where the interval of the oracle's gain lies above 0."""
    parts = oracle_gain.components
    shares: dict[Limit, float] = {"both": 0.0}
    if parts:
        shares = {"seeds": parts.seeds, "test images": parts.images, "both": parts.interaction}
    return Gate(oracle_gain.low > 0, oracle_gain, max(shares, key=lambda name: shares[name]))
