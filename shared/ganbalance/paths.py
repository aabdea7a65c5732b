"""Read paths as a user writes them."""

from pathlib import Path

from ganbalance.errors import ConfigError


def expanded(text: str, what: str = "the path") -> Path:
    """Return a path with ~ as the home folder. Raises ConfigError for that of somebody who is not here."""
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{what} {text!r}: {error}; give the whole path") from error
