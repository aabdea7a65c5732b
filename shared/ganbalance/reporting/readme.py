"""A generated table inside a markdown file that people write."""

import re

from ganbalance.errors import ConfigError

BEGIN, END = "<!-- results: made by `make readme`, do not edit -->", "<!-- /results -->"


def replace_table(text: str, table: str) -> str:
    """`text` with everything between the two markers replaced by `table`. Raises ConfigError without markers."""
    pattern = re.compile(f"({re.escape(BEGIN)}\n).*?({re.escape(END)})", re.DOTALL)
    if not pattern.search(text):
        raise ConfigError(f"the file has no place for the table: add the lines '{BEGIN}' and '{END}'")
    return pattern.sub(lambda match: f"{match[1]}\n{table.strip()}\n\n{match[2]}", text)
