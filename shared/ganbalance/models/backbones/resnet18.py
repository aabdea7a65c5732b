"""resnet18: He, Zhang, Ren & Sun 2016, arXiv:1512.03385; torchvision's IMAGENET1K_V1 weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

from ganbalance.errors import DataError
from ganbalance.models.backbones.base import Backbone
from ganbalance.models.lazy import Tensor, nn, torch, torchvision

FILE = "resnet18-f37072fd.pth"
URL = f"https://download.pytorch.org/models/{FILE}"
SYSTEM_FOLDER = Path("/usr/share/ganbalance/weights")  # baked into an image, or put there for every user


class ResNet18(Backbone):
    sha256 = "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec"
    features = 512
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    code = "import torchvision\nnetwork = torchvision.models.resnet18()\nnetwork.fc = torch.nn.Identity()"

    def build(self) -> nn.Module:
        network: nn.Module = torchvision.models.resnet18(weights=None)
        network.fc = nn.Identity()
        return network

    def published(self) -> Path | None:
        places = (SYSTEM_FOLDER / FILE, self._cache())
        return next((path for path in places if path.is_file()), None)

    def download(self) -> Path:
        try:
            # fetched, not loaded: reading it is for `read_weights`, after the whole hash is checked
            self._cache().parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(URL, str(self._cache()), self.sha256[:8], progress=False)
        except (URLError, OSError, RuntimeError) as error:
            raise DataError(
                f"the weights of resnet18 are not in {SYSTEM_FOLDER} or {self._cache().parent} and cannot be "
                f"downloaded here ({error}); put {FILE} there, name it in classifier.weights, or run with the other: "
                'SET="classifier.backbone=efficientnet-lite0"'
            ) from error
        return self._cache()

    def convert(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}

    def _cache(self) -> Path:
        """Say where torchvision keeps it: under TORCH_HOME."""
        hub: str = torch.hub.get_dir()
        return Path(hub) / "checkpoints" / FILE
