"""What a model.json may say, for tests."""

from typing import Any

from ganbalance.training import model_folder


def described(**changes: Any) -> model_folder.Model:
    """A model of a cat or a dog in colour, but for `changes`; `backbone` and `rules` are the test's own."""
    said: dict[str, Any] = {
        "format": model_folder.FORMAT,
        "classes": ("cat", "dog"),
        "arm": "none",
        "seed": 0,
        "verdict": None,
        "evidence": None,
        "caveat": "Made by a test.",
        "note": "",
        "seeds": (0,),
        "task": {"kind": "multiclass"},
        "image": model_folder.Image(side_px=28, channels=3, fit="pad"),
        "strength": 1.0,
        "run": "made-1a2b3c4d",
        "commit": None,
    }
    return model_folder.Model(**said | changes)
