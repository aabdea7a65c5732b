"""Where two arms change places along an axis: at which share of the images kept, say, one overtakes the other.

Runs at rising places on the axis give the difference of two arms as one Sample each. Between two runs it is taken to be
linear, so that its Sample at a place between them is a mixture of theirs; runs that share seeds and draws of the test
images stay paired. The arms cross where the mean difference changes sign. The interval of a crossing is every place at
which the 95 % interval of the difference holds 0: between two runs that is the set of Fieller 1954, "Some problems in
interval estimation", J. R. Statist. Soc. B 16, as in `crossed.ratio`. It holds a true crossing with a probability of
95 %, whether or not there is one to be seen; it is open where it reaches the first run or the last.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ganbalance.metrics.crossed import Sample, edge

STEPS = 40
"""Places between two runs at which the difference is looked at, beside those where its mean changes sign."""


@dataclass(frozen=True)
class Stretch:
    """A part of the axis on which the difference may be 0; an end is None where that goes on beyond the runs.

    crossings  where the mean changes sign in it, rising; () where it does not
    """

    low: float | None
    high: float | None
    crossings: tuple[float, ...]

    def on(self, scale: Callable[[float], float]) -> "Stretch":
        """Put the stretch on another scale of the axis, which rises with this one."""
        low, high = (None if end is None else scale(end) for end in (self.low, self.high))
        return Stretch(low, high, tuple(map(scale, self.crossings)))


def sign_changes(places: Sequence[float], means: Sequence[float]) -> tuple[float, ...]:
    """Find where the line through these points meets 0 and goes on on the other side, rising."""
    off = [i for i, mean in enumerate(means) if mean]
    found = []
    for i, j in pairwise(off):
        if means[i] * means[j] < 0:
            share = means[i] / (means[i] - means[i + 1])  # 1 where the next is 0
            found.append(float(places[i] + share * (places[i + 1] - places[i])))
    return tuple(found)


def stretches(places: Sequence[float], differences: Sequence[Sample]) -> tuple[Stretch, ...]:
    """Find every part of the axis on which the difference may be 0, rising; `places` rise, one for each difference."""
    line = _Line(tuple(places), tuple(differences))
    changes = sign_changes(places, [float(one.values[:, 0].mean()) for one in differences])
    x = np.unique(np.concatenate([changes, *(np.linspace(*ends, STEPS + 1) for ends in pairwise(places))]))
    may_be_0 = [line.sign(place) == 0 for place in x]
    starts = [i for i, here in enumerate(may_be_0) if here and not (i and may_be_0[i - 1])]
    ends = [i for i, here in enumerate(may_be_0) if here and not (i + 1 < len(x) and may_be_0[i + 1])]
    found = []
    for first, last in zip(starts, ends, strict=True):
        low = line.edge(x[first], x[first - 1]) if first else None
        high = line.edge(x[last], x[last + 1]) if last + 1 < len(x) else None
        inside = [at for at in changes if (low is None or low <= at) and (high is None or at <= high)]
        found.append(Stretch(low, high, tuple(inside)))
    return tuple(found)


@dataclass(frozen=True)
class _Line:
    """The difference along the axis."""

    places: tuple[float, ...]
    differences: tuple[Sample, ...]

    def sign(self, x: float) -> int:
        """Return 1 or -1 where the interval of the difference at `x` excludes 0, else 0."""
        after = int(np.clip(np.searchsorted(self.places, x), 1, len(self.places) - 1))
        left, right = self.places[after - 1], self.places[after]
        share = (x - left) / (right - left)
        return ((1 - share) * self.differences[after - 1] + share * self.differences[after]).estimate.sign

    def edge(self, inside: float, outside: float) -> float:
        """Find where between the two places the difference begins to differ from 0."""
        return edge(lambda x: self.sign(x) != 0, float(inside), float(outside))
