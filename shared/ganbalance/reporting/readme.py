"""Put generated tables into a markdown file that people write, each between two markers with the report's name."""

import re

from ganbalance.errors import ConfigError


def markers(name: str) -> tuple[str, str]:
    """Write the lines between which the table of this report stands."""
    return f"<!-- results {name}: made by `make readme`, do not edit -->", f"<!-- /results {name} -->"


def replace_table(text: str, name: str, table: str) -> str:
    """Replace everything in `text` between the two markers by `table`. Raises ConfigError without markers."""
    begin, end = markers(name)
    pattern = re.compile(f"({re.escape(begin)}\n).*?({re.escape(end)})", re.DOTALL)
    if not pattern.search(text):
        raise ConfigError(f"the file has no place for the table: add the lines '{begin}' and '{end}'")
    return pattern.sub(lambda match: f"{match[1]}\n{table.strip()}\n\n{match[2]}", text)
