"""`headrace data`: from a file to a version, and what is said on the way."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

ROWS = [
    {"prompt": f"How high is wheel {i}?", "completion": f"Wheel {i} is {i + 3} metres high."}
    for i in range(40)
]


@pytest.fixture
def rows(folder: Path) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in ROWS), "utf-8")
    return path


def test_rows_are_added_shown_and_exported_again(call: Call, rows: Path, folder: Path) -> None:
    added = call("data", "add", "wheels", str(rows))
    assert added.status == 0
    assert "40 rows added" in added.out
    assert "wheels@1: 40 rows, sha256:" in added.out
    assert "wheels@1" in call("data", "list").out
    assert "How high is wheel 0?" in call("data", "show", "wheels", "-n", "1").out
    out = folder / "out.jsonl"
    assert call("data", "export", "wheels", "-o", str(out)).status == 0
    assert [json.loads(line) for line in out.read_text("utf-8").splitlines()] == ROWS


def test_splits_are_exported_apart(call: Call, rows: Path) -> None:
    call("data", "add", "wheels", str(rows))
    shares = ("--shares", "train=0.75,test=0.25")
    train = call("data", "export", "wheels", "--split", "train", *shares).out.splitlines()
    test = call("data", "export", "wheels", "--split", "test", *shares).out.splitlines()
    assert len(train) + len(test) == 40
    assert not set(train) & set(test)
    wrong = call("data", "export", "wheels", "--shares", "train=0.5")
    assert wrong.status == 2
    assert "sum to 0.5" in wrong.err


def test_one_wrong_row_and_nothing_is_taken_unless_told(call: Call, rows: Path) -> None:
    with rows.open("a", encoding="utf-8") as file:
        file.write('{"prompt": "What?"}\n')
    checked = call("data", "check", str(rows))
    assert checked.status == 1
    assert "rows.jsonl:41: the field 'completion' is missing" in checked.err
    refused = call("data", "add", "wheels", str(rows))
    assert refused.status == 1
    assert "nothing was added" in refused.err
    assert call("data", "list").out == ""
    assert call("data", "add", "wheels", str(rows), "--skip-wrong").status == 0
    report = json.loads(call("data", "check", str(rows), "--json").out)
    assert (report["rows"], report["wrong"]) == (40, 1)
    assert report["problems"][0]["line"] == 41


def test_an_empty_file_makes_no_dataset_and_changes_none(
    call: Call, rows: Path, folder: Path
) -> None:
    (empty := folder / "empty.jsonl").write_text("\n")
    refused = call("data", "add", "wheels", str(empty))
    assert refused.status == 1
    assert "there is no row in" in refused.err
    assert call("data", "list").out == ""
    call("data", "add", "wheels", str(rows))
    assert "wheels@1: 40 rows" in call("data", "add", "wheels", str(empty)).out


def test_versions_are_compared(call: Call, rows: Path, folder: Path) -> None:
    call("data", "add", "wheels", str(rows))
    more = folder / "more.jsonl"
    more.write_text(json.dumps({"prompt": "新的问题？", "completion": "新的答案。"}), "utf-8")
    call("data", "add", "wheels", str(more))
    diff = call("data", "diff", "wheels@1", "wheels@2")
    assert "1 added, 0 removed, 40 kept" in diff.out
    assert "新的问题？" in diff.out


def test_figures_and_the_card(call: Call, rows: Path, folder: Path) -> None:
    with rows.open("a", encoding="utf-8") as file:
        row = {"prompt": "Who owns it?", "completion": "Write to ann.miller@example.org, please."}
        file.write(json.dumps(row) + "\n")
    call("data", "add", "wheels", str(rows))
    found = json.loads(call("data", "stats", "wheels", "--json").out)
    assert found["rows"] == 41
    assert found["findings"] == {"email": 1}
    assert found["languages"]["en"] >= 40
    card = call("data", "card", "wheels").out
    assert card.startswith("---\nlanguage:\n- en\n")
    assert "rows.jsonl" in card


def test_rows_that_give_a_suite_away_are_found(call: Call, rows: Path, folder: Path) -> None:
    call("data", "add", "wheels", str(rows))
    suite = folder / "suite.jsonl"
    suite.write_text(json.dumps(ROWS[7]), "utf-8")
    found = call("data", "overlap", "wheels", str(suite))
    assert found.status == 1
    assert "suite.jsonl:1" in found.out
    suite.write_text(json.dumps({"prompt": "Quite another one", "completion": "x y z a b c d"}))
    assert call("data", "overlap", "wheels", str(suite)).status == 0


def test_an_unknown_dataset_is_an_error_with_a_hint(call: Call, rows: Path) -> None:
    call("data", "add", "wheels", str(rows))
    wrong = call("data", "show", "wheel")
    assert wrong.status == 1
    assert "did you mean 'wheels'?" in wrong.err


def test_anonymised_rows_and_the_report_in_the_card(call: Call, folder: Path) -> None:
    path = folder / "people.jsonl"
    rows = [
        {**each, "metadata": {"age": 20 + at, "mail": "a@b.org"}} for at, each in enumerate(ROWS)
    ]
    path.write_text("".join(json.dumps(each) + "\n" for each in rows), "utf-8")
    call("data", "add", "people", str(path))
    made = call("data", "anonymise", "people", "--to", "shown", "--quasi", "age", "--k", "5")
    assert made.status == 0, made.err
    assert "k = 5: whatever is known of somebody's age, at least 5 rows" in made.out
    exported = call("data", "export", "shown").out
    assert '"metadata":{"age":"20-24"}' in exported
    assert "a@b.org" not in exported
    assert "## Guarantee" in (card := call("data", "card", "shown").out)
    assert "- k = 5: whatever is known of somebody's age" in card
    assert "- No k-anonymity was asked for." in call("data", "card", "people").out
    wrong = call(
        "data", "anonymise", "people", "--to", "x", "--quasi", "age", "--k", "5", "--l", "2"
    )
    assert wrong.status == 2


def test_figures_are_published_until_the_budget_is_spent(call: Call, rows: Path) -> None:
    call("data", "add", "wheels", str(rows))
    first = call(
        "data", "publish", "wheels", "--epsilon", "0.8", "--delta", "1e-7", "--by", "language"
    )
    assert first.status == 0, first.err
    assert "ε = 0.8, δ = " in first.out
    assert (
        "told of with differential privacy once, in figures or adapters: ε = 0.8 of 1 and"
        in first.out
    )
    spent = call("data", "publish", "wheels", "--epsilon", "0.3")
    assert spent.status == 1
    assert "ε = 0.2 and" in spent.err
    assert "ε = 0.8 of 1" in call("data", "card", "wheels").out
