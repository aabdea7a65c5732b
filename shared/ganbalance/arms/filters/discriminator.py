"""discriminator: keep what the discriminator of the same training takes for real most readily.

The simplest form of Azadi et al. 2019, "Discriminator rejection sampling", arXiv:1810.06758: the best share is kept.
"""

from ganbalance.arms.base import Candidates, Filter, Floats


class Discriminator(Filter):
    reads = "gan"

    def score(self, candidates: Candidates) -> Floats:
        return candidates.discriminator()
