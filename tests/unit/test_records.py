"""A run's record as it is read again, also one that an older program wrote."""

import json
from pathlib import Path
from typing import Any

import pytest

from ganbalance import config
from ganbalance.errors import DataError
from ganbalance.frozen import dump
from ganbalance.pipeline import runs
from ganbalance.pipeline.plan import make_plan
from ganbalance.store import Store, open_store


def recorded(tiny: dict[str, Any], folder: Path, **classifier: Any) -> tuple[Store, runs.Record]:
    experiment = config.check(tiny | {"classifier": classifier}, where="here")
    record = runs.Record(experiment=experiment, plan=make_plan(experiment))
    store = open_store(str(folder / "store"))
    runs.submit(store, record)
    return store, record


def rewritten(store: Store, record: runs.Record, experiment: dict[str, Any]) -> None:
    name = f"runs/{record.plan.run}/run.json"
    store.delete(name)
    assert store.create(name, json.dumps(dump(record) | {"experiment": experiment}).encode())


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_a_record_from_before_there_were_kinds_of_classifiers_is_read(
    tiny: dict[str, Any], tmp_path: Path, protocol: str
) -> None:
    now = {"side_px": 16, "l2": [1.0]} if protocol == "honest" else {"kind": "paper", "side_px": 16}
    store, record = recorded(tiny, tmp_path, **now)
    old = {"backbone": "efficientnet-lite0", "weights": None, "side_px": 16, "l2": [1.0]}
    experiment = dump(record)["experiment"] | {
        "protocol": protocol, "classifier": old | {"paper": dump(config.PaperTraining())},
    }  # fmt: skip
    rewritten(store, record, experiment)
    assert runs.load(store, record.plan.run) == record


def test_a_record_that_nobody_can_read_is_told(tiny: dict[str, Any], tmp_path: Path) -> None:
    store, record = recorded(tiny, tmp_path, side_px=16)
    rewritten(store, record, {"protocol": "paper", "classifier": {"kind": "paper"}})
    with pytest.raises(DataError, match="corrupt or of another version; delete it and run the experiment again"):
        runs.load(store, record.plan.run)
