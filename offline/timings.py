"""Print how long each kind of stage took in the runs of a store: offline/timings.py STORE.

A kind is a stage's name without its seed; seconds are those of each stage alone, whatever ran beside it.
"""

import re
import statistics
import sys
from collections import defaultdict

from ganbalance.maintenance.inventory import Inventory
from ganbalance.maintenance.show import stages_of
from ganbalance.printing import print_anything
from ganbalance.store import open_store


def main(url: str) -> None:
    """Print a line per kind, the one that took longest in all first."""
    print_anything()
    inventory = Inventory(open_store(url))
    stages = {row.key: row for run in inventory.recorded for row in stages_of(inventory, run)}
    kinds: dict[str, list[float]] = defaultdict(list)
    for row in stages.values():
        if row.seconds is not None:
            kinds[re.sub(r"/seed-\d+", "", row.name)].append(row.seconds)
    print(f"{'stage':<45}  done    in all    median      most")
    for kind, seconds in sorted(kinds.items(), key=lambda item: -sum(item[1])):
        shown = (f"{value:>8.1f} s" for value in (sum(seconds), statistics.median(seconds), max(seconds)))
        print(f"{kind:<45} {len(seconds):>5}{''.join(shown)}")
    left = sum(row.seconds is None for row in stages.values())
    print(f"{len(stages) - left} stages done, {left} not")


if __name__ == "__main__":
    main(sys.argv[1])
