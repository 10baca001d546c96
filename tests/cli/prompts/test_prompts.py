"""The commands under `headrace prompts`, as a user calls them."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import Call


def test_the_list_has_own_and_built_in_templates(shop: Path, call: Call) -> None:
    del shop
    listed = {each["name"]: each for each in json.loads(call("prompts", "list", "--json").out)}
    assert listed["shop"]["from"] == "prompts/shop.yaml"
    assert listed["summarise"]["from"] == "built in"
    assert len(listed) >= 15
    assert "Answers customers." in call("prompts", "list").out


def test_nothing_is_written_by_looking(folder: Path, call: Call) -> None:
    for line in (["list"], ["show", "builtin/translate"], ["lint", "--builtin"]):
        assert call("prompts", *line).status == 0
    assert not (folder / ".headrace").exists()


def test_a_new_template_is_a_copy_that_loads_and_is_never_overwritten(
    folder: Path, call: Call
) -> None:
    assert call("prompts", "new", "mine", "--from", "builtin/summarise").status == 0
    assert "# " not in call("prompts", "show", "mine").err
    assert call("prompts", "new", "plain").status == 0
    assert call("prompts", "lint", "--strict").status == 0
    again = call("prompts", "new", "mine")
    assert (again.status, "is there already" in again.err) == (1, True)
    assert "cannot name a template" in call("prompts", "new", "../mine").err
    assert (folder / "prompts" / "mine.yaml").read_text("utf-8").startswith("description:")


def test_lint_says_all_that_is_wrong(shop: Path, call: Call) -> None:
    shop.with_name("broken.yaml").write_text("messages: {system: '{{ x }}'}")
    shop.with_name("old.yml").write_text("description: x")
    shop.write_text("variables: {a: {}}\nmessages: {system: Hello.}\n")
    found = call("prompts", "lint")
    assert found.status == 1
    for rule in ("unused-variable", "no-tests", "undeclared-variable", "not-read"):
        assert f"[{rule}]" in found.out
    assert call("prompts", "lint", "shop").status == 0
    assert call("prompts", "lint", "shop", "--strict").status == 1


def test_lint_finds_two_files_of_one_name(shop: Path, call: Call) -> None:
    shop.with_name("other.yaml").write_text("name: shop\nmessages: {system: Hello.}\n")
    found = call("prompts", "lint")
    assert (found.status, "[duplicate-name]" in found.out) == (1, True)


def test_a_released_version_outlives_its_file(shop: Path, call: Call) -> None:
    assert call("prompts", "tag", "shop", "current", "production").status == 0
    before = shop.read_text("utf-8")
    shop.write_text(before.replace("briefly", "at length"), encoding="utf-8")
    changed = call("prompts", "diff", "shop@production", "shop")
    assert changed.status == 1
    assert "+  system: You work for {{ shop }}. Answer at length." in changed.out
    rendered = call("prompts", "diff", "shop@v1", "shop", "--rendered", "--var", "shop=Zed")
    assert "+You work for Zed. Answer at length." in rendered.out
    assert call("prompts", "tag", "shop", "current", "production").out.startswith(
        "shop@production is v2"
    )
    assert call("prompts", "diff", "shop@v1", "shop@v2").status == 1
    assert call("prompts", "diff", "shop@v2", "shop").status == 0
    shop.unlink()
    assert "Answer briefly." in call("prompts", "show", "shop@v1").out
    history = json.loads(call("prompts", "history", "shop", "--json").out)
    assert [each["version"] for each in history["versions"]] == ["v1", "v2"]
    assert [each["tag"] for each in history["tags"]] == ["production", "production"]


def test_a_version_that_is_not_there_says_which_there_are(shop: Path, call: Call) -> None:
    del shop
    assert "are kept when the service runs" in call("prompts", "history", "shop").err
    call("prompts", "tag", "shop", "current", "stable")
    missing = call("prompts", "show", "shop@v7")
    assert (missing.status, "stable" in missing.err) == (1, True)


@pytest.mark.model
def test_render_shows_what_the_model_gets_and_counts_as_it_does(shop: Path, call: Call) -> None:
    del shop
    done = call("prompts", "render", "shop", "--input", "Hi", "--var", "shop=Zed", "--json")
    assert done.status == 0, done.err
    shown = json.loads(done.out)
    assert [each["content"] for each in shown["messages"]] == [
        "You work for Zed. Answer briefly.",
        "Hi",
    ]
    assert sum(each["tokens"] for each in shown["messages"]) == shown["tokens"] > 10
    assert shown["context_tokens"] == 4096


@pytest.mark.model
def test_tests_run_on_the_real_model_and_tell_ci(shop: Path, call: Call, folder: Path) -> None:
    report = folder / "report.xml"
    done = call("prompts", "test", "shop", "--junit", str(report))
    assert done.status == 1
    assert "does not contain 'Tralala'" in done.out
    suite = ET.parse(report).getroot()
    counts = {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    passing = call("prompts", "test", "shop", "--case", "knows", "--json")
    assert passing.status == 0
    (trial,) = json.loads(passing.out)
    assert trial["outcome"] == "passed"
    forced = call("prompts", "test", "shop", "--case", "paints", "--all", "--json")
    assert json.loads(forced.out)[0]["outcome"] == "failed"
    state = sorted(each.name for each in (folder / ".headrace").iterdir())
    assert not [name for name in state if name.startswith("journal")], (
        "no turn of the service's own"
    )
    assert "v1" in call("prompts", "history", "shop").out
