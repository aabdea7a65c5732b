"""Heads as data: float64 arrays as they were solved, in a safetensors file.

head.safetensors of a cell           every strength: what a choice that is made later needs
    mean, scale                 (d,)       features are standardised by (x - mean) / scale
    strengths                   (G,)       of the penalty, falling
    weights, biases             (G, K, d), (G, K)  of all classes
    pair/LOWER/HIGHER/weights, ../biases   (G, d), (G,)  more than two classes: log odds of the higher one of a pair
head.safetensors of a model's folder  one strength
    mean, scale, weights, biases           (d,), (d,), (K, d), (K,)
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from safetensors.numpy import save as as_bytes
from torch import nn

from ganbalance.errors import DataError
from ganbalance.training.head import Floats, Head


@dataclass(frozen=True)
class LinearHead:
    """One solution: mean and scale (d,) of the features, weights (K, d) of standardised ones, biases (K,)."""

    mean: Floats
    scale: Floats
    weights: Floats
    biases: Floats

    def logits(self, features: NDArray[np.float32]) -> Floats:
        """Compute logits float64 (n, K) of features (n, d)."""
        found: Floats = (features.astype(np.float64) - self.mean) / self.scale @ self.weights.T + self.biases
        return found

    @classmethod
    def of(cls, layer: nn.Linear) -> "LinearHead":
        """Take over a layer on features as they are."""
        weights, biases = (part.detach().double().cpu().numpy() for part in (layer.weight, layer.bias))
        return cls(np.zeros(weights.shape[1]), np.ones(weights.shape[1]), weights, biases)

    def save(self, path: Path) -> None:
        """Write the arrays under their names."""
        path.write_bytes(as_bytes(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "LinearHead":
        """Read what `save` wrote."""
        return cls(**load_file(path))


def save(path: Path, heads: Mapping[tuple[int, ...], Head]) -> None:
    """Write the head of all classes, `heads[()]`, and those of pairs; they share one scaler."""
    whole = heads[()]
    arrays = {
        "mean": whole.scaler.mean_,
        "scale": whole.scaler.scale_,
        "strengths": whole.strengths,
        "weights": whole.weights,
        "biases": whole.biases,
    }
    for (low, high), of_pair in ((pair, found) for pair, found in heads.items() if pair):
        arrays |= {
            f"pair/{low}/{high}/weights": of_pair.weights[:, 1] - of_pair.weights[:, 0],
            f"pair/{low}/{high}/biases": of_pair.biases[:, 1] - of_pair.biases[:, 0],
        }
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)


def load(path: Path, strength: float) -> LinearHead:
    """Read the head of all classes at one strength from what `save` wrote. Raises DataError for another strength."""
    arrays = load_file(path)
    (places,) = np.nonzero(arrays["strengths"] == strength)
    if len(places) != 1:
        solved = ", ".join(f"{one:g}" for one in arrays["strengths"])
        raise DataError(f"{path} was not solved at the strength {strength:g}, only at {solved}")
    (g,) = places
    return LinearHead(arrays["mean"], arrays["scale"], arrays["weights"][g], arrays["biases"][g])
