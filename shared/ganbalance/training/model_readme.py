"""The README of an exported model: what it is, and how to use it without this project."""

from collections.abc import Mapping, Sequence
from typing import Any

from ganbalance.data.card import HOW_SQUARE
from ganbalance.printing import escaped

MOST_IN_TITLE = 12
MODES = {1: "L", 3: "RGB"}
TRAINED = {
    "frozen": "frozen backbone {}",
    "scratch": "network {}, trained with it from scratch",
    "last-block": "backbone {}, whose last block was trained with it",
    "all": "backbone {}, which was trained with it",
}
RULES = {
    "fair": "every class weighs the same; fitted on real held-out images of all seeds",
    "deployment": "the fair rule for the class shares of the imbalanced data",
    "as-trained": "what the arm itself decides for: the class shares of its training images, unless it corrects them",
}

_TEXT = """\
# {arm}, seed {seed}: {classes}

A linear head on the {backbone}, trained by ganbalance in run `{run}`.

{remarks}

With ganbalance:

    ganbalance predict . images/ --to predictions.csv

Without it (`pip install torch torchvision timm safetensors pillow numpy`), in this folder:

```python
{code}
```

| rule in `model.json` | decides for |
| --- | --- |
{rules}

Images are read as {side_px} by {side_px} pixels in mode {mode}: turned as their EXIF orientation says, larger ones
shrunk with Pillow's BOX filter, smaller ones enlarged with BILINEAR; where they are not square, {fit}. `predict` also
puts transparent ones on black, and brings those of more than 8 bits to the range between two of their percentiles.
Logits are float64; the probabilities of a rule are softmax(scale * logits + offsets). `model.json` has the rest.
Nothing in this folder is a pickle.
"""

_ONNX = """
`model.onnx` has all of it in float32: from such pixels, of any number of images, to logits and the probabilities of the
rule `{rule}`. With `pip install onnxruntime numpy pillow`:

```python
import json

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

{read_image}
images = np.array(image).reshape(1, {side_px}, {side_px}, {channels}).transpose(0, 3, 1, 2)
session = onnxruntime.InferenceSession("model.onnx")
logits, probabilities = session.run(None, {{"images": images}})
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
print(dict(zip(classes, probabilities[0].tolist())))
```
"""

_READ_IMAGE = """\
image = ImageOps.exif_transpose(Image.open("image.png")).convert("{mode}")
resampling = Image.Resampling.BOX if max(image.size) > {side_px} else Image.Resampling.BILINEAR
image = {squared}\
"""

_SQUARED = {
    "pad": "ImageOps.pad(image, ({0}, {0}), resampling)",
    "crop": "ImageOps.fit(image, ({0}, {0}), resampling)",
    "stretch": "image.resize(({0}, {0}), resampling)",
}

_CODE = """\
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors.torch import load_file
{network}

model, head = json.loads(Path("model.json").read_bytes()), load_file("head.safetensors")
network.load_state_dict(load_file("backbone.safetensors"))
mean, std = (torch.tensor(model["backbone"][part]).view(3, 1, 1) for part in ("mean", "std"))

{read_image}
pixels = torch.from_numpy(np.array(image)).view(1, {side_px}, {side_px}, {channels}).permute(0, 3, 1, 2) / 255
pixels = torch.nn.functional.interpolate(pixels, ({input_px}, {input_px}), mode="bilinear", antialias=True)
with torch.inference_mode():
    features = network.eval()((pixels.expand(-1, 3, -1, -1) - mean) / std).double()
logits = (features - head["mean"]) / head["scale"] @ head["weights"].T + head["biases"]

rule = model["rules"]["{rule}"]
offsets = torch.tensor(rule["offsets"], dtype=torch.float64)
probabilities = torch.softmax(rule["scale"] * logits + offsets, dim=1)[0]
print(dict(zip(model["classes"], probabilities.tolist())))\
"""


def _some(classes: Sequence[str]) -> list[str]:
    """List the names in a title: all of a few."""
    more = len(classes) - MOST_IN_TITLE
    return [*map(escaped, classes[:MOST_IN_TITLE]), *([f"{more} more"] if more > 0 else [])]


def text(model: Mapping[str, Any], network: str) -> str:
    """Write the README of a model.json; `network` are the lines that make the network."""
    image, rules = model["image"], [rule for rule in RULES if rule in model["rules"]]
    sizes = {"side_px": image["side_px"], "mode": MODES[image["channels"]]}
    squared = _SQUARED[image["fit"]].format(image["side_px"])
    read_image = _READ_IMAGE.format(squared=squared, **sizes)
    lines = sizes | {"channels": image["channels"], "rule": rules[0], "read_image": read_image}
    whole = _TEXT.format(
        arm=model["arm"],
        seed=model["seed"],
        classes=" or ".join(_some(model["classes"])),
        backbone=TRAINED[model["backbone"]["trained"]].format(model["backbone"]["name"]),
        run=model["run"],
        remarks="\n\n".join(filter(None, (model["caveat"], model["evidence"], model["note"]))),
        fit=HOW_SQUARE[image["fit"]],
        code=_CODE.format(network=network, input_px=model["backbone"]["side_px"], **lines),
        rules="\n".join(f"| `{rule}` | {RULES[rule]} |" for rule in rules),
        **sizes,
    )
    return whole + _ONNX.format(**lines) if "model.onnx" in model["files"] else whole
