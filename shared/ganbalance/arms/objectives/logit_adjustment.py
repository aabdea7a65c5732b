"""logit-adjustment: learn with the log shares of the classes added to the logits, decide without them.

Menon et al. 2021, "Long-tail learning via logit adjustment", arXiv:2007.07314, eq. 10. A head whose biases are free
takes the shift up into them: what is learned is the ranking of `none` at another threshold.
"""

from typing import Annotated

import numpy as np
from pydantic import Field

from ganbalance.arms.base import Floats
from ganbalance.arms.objectives.cross_entropy import CrossEntropy


class LogitAdjustment(CrossEntropy):
    tau: Annotated[float, Field(gt=0)] = 1.0
    """How much of the log shares; 1 is the rule for equal classes."""

    def shift(self, prior_K: Floats) -> Floats:
        shifted: Floats = self.tau * np.log(prior_K)
        return shifted
