"""What the README says is what the project does."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from ganbalance import arms, cli, config
from ganbalance.errors import ConfigError
from ganbalance.models import gans
from ganbalance.reporting import published, readme, tables
from ganbalance.reporting.summary import Summary

README = Path("README.md").read_text()
EXAMPLES = [yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)]
DOCUMENTS = [Path("README.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs/adr").glob("*.md"))]


def test_the_result_table_is_that_in_the_report() -> None:
    summary = Summary.read(Path("reports/quick/summary.json"))
    assert readme.replace_table(README, "quick", tables.readme(summary)) == README, "run `make readme`"


def test_the_list_of_reports_is_made_from_their_files() -> None:
    listed = Path("reports/README.md").read_text()
    assert readme.replace_table(listed, published.NAME, published.table(Path("reports"))) == listed, "run `make readme`"
    folders = {path.parent.name for path in Path("reports").glob("*/*.html")}
    assert folders == set(re.findall(r"^\| \[(.*?)\]", listed, re.MULTILINE))


def test_the_checked_in_report_is_of_the_quick_preset_as_it_is() -> None:
    made = config.check(config.read(Path("reports/quick/experiment.yaml")), where="report")
    preset = config.check(config.read(Path("jobs/experiments/quick.yaml")), where="preset")
    assert made == preset


def test_a_table_needs_its_markers() -> None:
    with pytest.raises(ConfigError, match="add the lines"):
        readme.replace_table("no markers", "quick", "table")


def test_each_table_has_a_place_of_its_own() -> None:
    places = {name: "\n".join(readme.markers(name)) for name in ("quick", "trousers")}
    text = readme.replace_table("\n\n".join(places.values()), "trousers", "new")
    assert text.startswith(places["quick"])
    assert text.count("new") == 1
    with pytest.raises(ConfigError, match="results honest"):
        readme.replace_table(text, "honest", "new")


def test_replacing_the_table_keeps_the_rest_and_can_be_repeated() -> None:
    begin, end = readme.markers("quick")
    once = readme.replace_table(f"before\n{begin}\nold\n{end}\nafter\n", "quick", "new")
    assert once == f"before\n{begin}\n\nnew\n\n{end}\nafter\n"
    assert readme.replace_table(once, "quick", "new") == once


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_link_to_a_file_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", document.read_text())
    assert not [link for link in links if "://" not in link and not (document.parent / link).exists()]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE))))
def test_every_make_target_in_the_readme_exists(target: str) -> None:
    done = subprocess.run(["make", "--dry-run", target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_example_experiment_of_the_readme_is_valid() -> None:
    example, *_ = EXAMPLES
    experiment = config.check(example, where="README")
    assert set(gans.names()) >= {"dcgan", "wgan-gp"}
    assert experiment.imbalance.keep == {"melanoma": 1.0}


def test_the_recipes_of_the_readme_are_valid() -> None:
    example, _, _, recipes, _ = EXAMPLES
    experiment = config.check(example | {"arms": ["none", *recipes["arms"]]}, where="README")
    families = [arms.resolve(recipe).family for recipe in experiment.arms]
    assert families == ["baseline", "cheap", *["generative"] * 3, "cheap", *["generative"] * 4]


def test_the_groups_of_the_readme_are_valid() -> None:
    example, table, data, *_ = EXAMPLES
    assert config.check(example | table, where="README").dataset.columns.group == "patient_id"
    config.check(example | data, where="README")
    for name, given in (("folder", 'groups: {pattern: "(?P<group>[^_]+)_"}'), ("npz", "groups: {array: patient}")):
        assert given in README
        config.check(example | {"dataset": data["dataset"] | {"name": name} | yaml.safe_load(given)}, where="README")


def test_the_classifiers_of_the_readme_are_valid() -> None:
    *_, block = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    given = [yaml.safe_load(line.replace("9aa1...", "9a" * 32)) for line in block.splitlines()]
    checked = [config.check(EXAMPLES[0] | one, where="README").classifier for one in given]
    assert [one.kind for one in checked] == ["network", "network", "linear-head"]


def test_every_preset_is_in_the_readme() -> None:
    for path in Path("jobs/experiments").glob("*.yaml"):
        assert f"`{path.stem}`" in README


def test_help_has_an_example_of_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    said = capsys.readouterr().out
    assert list(dict.fromkeys(re.findall(r"^ganbalance (\S+)", said, re.MULTILINE))) == list(cli.MODULES)


def test_each_command_is_looked_for_where_it_is_declared() -> None:
    for module in Path(cli.__file__).parent.glob("*.py"):
        declared = re.findall(r'^@command\(\s*"([a-z-]+)', module.read_text(), re.MULTILINE)
        assert set(declared) == {word for word, of in cli.MODULES.items() if of == module.stem}


def test_make_help_lists_every_target_in_its_group() -> None:
    rules = re.findall(r"^([a-z][a-z -]*):(?!=)", Path("Makefile").read_text(), re.MULTILINE)
    targets = {target for rule in rules for target in rule.split()}
    said = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
    assert {"run", "images", "deploy", "test"} <= targets
    assert not [target for target in targets if not re.search(rf"^{target}\s", said, re.MULTILINE)]
    assert re.findall(r"^([A-Z][a-z]+):", said, re.MULTILINE) == ["Run", "Containers", "Kubernetes", "Develop"]


def test_a_file_of_a_targets_name_does_not_count_as_made() -> None:
    command = ["make", "--print-data-base", "--dry-run", "help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (phony,) = re.findall(r"^\.PHONY: (.*)", said, re.MULTILINE)
    listed = re.findall(r"^([a-z][a-z-]*): ", Path("Makefile").read_text(), re.MULTILINE)
    assert set(listed) <= set(phony.split())


def test_no_published_report_is_larger_than_a_page_should_be() -> None:
    assert not [path for path in Path("reports").rglob("*") if path.is_file() and path.stat().st_size >= 1024**2]
