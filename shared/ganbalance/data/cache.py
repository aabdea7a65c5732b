"""Where files are kept that can be made or fetched again."""

import os
from pathlib import Path


def folder() -> Path:
    """Return GANBALANCE_DATA, or the user's cache folder."""
    root = os.environ.get("GANBALANCE_DATA") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "ganbalance"
    return Path(root).expanduser()
