"""Parse a command line: the same for every program."""

import argparse
from typing import Any

from ganbalance.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Usage errors are configuration errors: one line, exit code 78. `@FILE` stands for the flags in a file."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, fromfile_prefix_chars="@")

    def error(self, message: str) -> Any:
        """Raise instead of printing and exiting."""
        raise ConfigError(f"{message}; see {self.prog} --help")
