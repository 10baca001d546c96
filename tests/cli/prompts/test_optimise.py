"""`headrace prompts optimise`, on the real model: a form that it gets wrong until it sees it."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Call

WORDS = (
    "apple river chair cloud bread tiger stone music green table horse light paper water house "
    "plant"
)
HOUSE = """\
messages: {system: Write the word the way our labels have it.}
params: {max_tokens: 8}
"""


def cases(folder: Path, count: int = 16) -> None:
    rows = [{"prompt": each, "completion": f"<{each}>"} for each in WORDS.split()[:count]]
    text = "\n".join(map(json.dumps, rows))
    (folder / "cases.jsonl").write_text(text, encoding="utf-8")


@pytest.mark.model
def test_a_template_learns_a_form_and_the_old_one_stays(
    shop: Path, folder: Path, call: Call
) -> None:
    house = shop.with_name("house.yaml")
    house.write_text(HOUSE, encoding="utf-8")
    cases(folder)
    command = ("prompts", "optimise", "house", "--with", "cases.jsonl", "--candidates", "3")
    done = call(*command, "--json")
    assert done.status == 0, done.err
    said = json.loads(done.out)
    # Measured: from 0.00 to 1.00 of six held-out cases.
    assert said["before"]["mean"] <= 0.25
    assert said["difference"]["mean"] >= 0.4
    assert said["difference"]["low"] > 0
    assert said["written"] == "prompts/house.v2.yaml"
    assert house.read_text("utf-8") == HOUSE
    written = house.with_name("house.v2.yaml")
    text = written.read_text("utf-8")
    assert text.startswith("# By `headrace prompts optimise` from house@")
    assert call("prompts", "show", "house.v2", "--json").status == 0

    # The same search again knows every answer already, and comes to the same.
    written.unlink()
    again = json.loads(call(*command, "--json").out)
    assert (again["answers"], again["winner"]) == (0, said["winner"])
    assert written.read_text("utf-8") == text
    taken = call(*command, "--to", "house.v2")
    assert (taken.status, "is there already" in taken.err) == (1, True)


def test_what_cannot_be_measured_is_refused(shop: Path, folder: Path, call: Call) -> None:
    few = call("prompts", "optimise", "shop")
    assert (few.status, "3 different cases; fewer than 10" in few.err) == (1, True)
    cases(folder, 5)
    few = call("prompts", "optimise", "shop", "--with", "cases.jsonl")
    assert "5 different cases" in few.err
    missing = call("prompts", "optimise", "shop", "--with", "none.jsonl")
    assert "none.jsonl cannot be read" in missing.err
    assert [each.name for each in shop.parent.iterdir()] == ["shop.yaml"]
