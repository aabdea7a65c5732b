"""threshold: the scores of `none`, corrected for the classes' shares in training. Costs nothing, trains nothing.

Saerens, Latinne & Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities", eq. 2.4.
"""

from ganbalance.arms.none import Nothing


class Threshold(Nothing):
    rescores = "none"
