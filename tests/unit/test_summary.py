"""summary.json has a form that programs can rely on."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import pydantic
import pytest

from ganbalance.errors import DataError
from ganbalance.frozen import dump
from ganbalance.metrics.results import ArmNumbers
from ganbalance.reporting import summary as form
from ganbalance.reporting.summary import Summary
from tests.unit.known_reports import four, hurting, known, shut
from tests.unit.report_run import Outcome


def plain(value: object, of: type = object) -> object:
    return json.loads(pydantic.TypeAdapter(of).dump_json(value))


def test_the_schema_in_the_documents_is_that_of_the_program() -> None:
    again = "python -m ganbalance.reporting.summary > docs/summary.schema.json"
    assert Path("docs/summary.schema.json").read_text() == form.schema(), again


@pytest.mark.parametrize("path", sorted(Path("reports").glob("*/summary.json")), ids=str)
def test_published_summaries_are_read_whole(path: Path, tmp_path: Path) -> None:
    summary = Summary.read(path)
    assert summary.experiment == path.parent.name
    summary.write(tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text()) == json.loads(path.read_text())


@pytest.mark.parametrize("made", [known, shut, four, hurting])
def test_what_a_report_wrote_is_read_and_written_again_as_it_was(made: type[Outcome], tmp_path: Path) -> None:
    made().summary.write(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (made().folder / "summary.json").read_bytes()


@pytest.mark.parametrize("made", [known, shut, four, hurting])
def test_every_number_of_the_analysis_is_in_the_file(made: type[Outcome]) -> None:
    written, analysis = json.loads((made().folder / "summary.json").read_text()), made().report.analysis
    for arm, found in analysis.arms.items():
        numbers = ArmNumbers(**{item.name: getattr(found, item.name) for item in fields(ArmNumbers)})
        assert plain(numbers, ArmNumbers).items() <= written["arms"][arm].items()
        assert bool(found.finding) == bool(written["arms"][arm]["verdict"])
    for name in ("primary", "margins", "smallest_class", "enough_images", "few_images", "equality_within_reach"):
        assert written[name] == plain(getattr(analysis, name))
    gain = analysis.gate.gain
    ends = {name: getattr(gain, name) for name in ("low", "high", "p")}
    assert written["gate"] == {
        "open": analysis.gate.open,
        "gain": asdict(gain) | ends,
        "limited_by": analysis.gate.limited_by,
    }


def test_an_older_form_is_refused_in_one_line_that_names_the_first_thing_that_does_not_fit() -> None:
    old = dump(known().summary) | {"protocol": "honest"}
    with pytest.raises(DataError) as caught:
        Summary.of({name: value for name, value in old.items() if name != "classifier"}, where="the report of run a")
    assert str(caught.value) == (
        "the report of run a is of another version (key 'classifier' is missing: it is required); run its experiment "
        "again: 'ganbalance run' makes the report anew"
    )
