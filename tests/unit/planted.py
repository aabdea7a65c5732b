"""Scores whose truth is known, for tests of what is computed from them."""

import numpy as np

from ganbalance.metrics.classification import Settings
from ganbalance.metrics.scores import PairScores, Scores

PRIOR = np.array([0.9, 0.1])


def scores(
    test: np.ndarray,
    test_labels: np.ndarray,
    held_out: np.ndarray | None = None,
    held_out_labels: np.ndarray | None = None,
    **changed,
) -> Scores:
    """A cell with the logits given, (T, K) or (G, T, K), as trained on the scale they have."""
    test = np.asarray(test, float)
    test = test[None] if test.ndim == 2 else test
    strengths, _, k = test.shape
    held_out = np.empty((strengths, 0, k)) if held_out is None else np.asarray(held_out, float)
    held_out = held_out[None] if held_out.ndim == 2 else held_out
    labels = np.empty(0, np.int64) if held_out_labels is None else np.asarray(held_out_labels, np.int64)
    usual = {
        "strengths": 10.0 ** -np.arange(strengths),
        "validation": np.zeros(len(labels), bool),
        "scale": np.ones(strengths),
        "offsets": np.zeros((strengths, k)),
        "prior": np.full(k, 1 / k),
    }
    return Scores(
        test=test,
        test_labels=np.asarray(test_labels, np.int64),
        held_out=held_out,
        held_out_labels=labels,
        **usual | changed,
    )


def of_margin(margin: np.ndarray) -> np.ndarray:
    """Logits (..., 2) of a margin (...): the first class has the logit 0."""
    return np.stack([np.zeros_like(margin), margin], axis=-1)


def with_pairs(cell: Scores, rare: tuple[int, ...]) -> Scores:
    """The same cell with heads of pairs whose log odds are the differences of its logits."""
    pairs = {}
    for low in range(cell.classes):
        for high in range(low + 1, cell.classes):
            if {low, high} & set(rare):
                pairs[low, high] = PairScores(
                    *(
                        (logits[..., high] - logits[..., low])[:, np.isin(labels, (low, high))]
                        for logits, labels in (
                            (cell.test, cell.test_labels),
                            (cell.held_out, cell.held_out_labels),
                        )
                    )
                )
    return Scores(**{**vars(cell), "pairs": pairs})


def settings(k: int = 2, **changed) -> Settings:
    """Class K - 1 is rare."""
    prior = PRIOR if k == 2 else np.arange(k, 0, -1) / np.arange(k + 1).sum()
    return Settings(**{"rare": (k - 1,), "deployment_prior": prior} | changed)
