"""`headrace entities`: the glossary of a folder, and what it finds."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Call

GLOSSARY = """\
- {name: Mill Anna, kind: place, aliases: [Anna], description: A mill at the weir.}
- {name: Anna Berg, kind: person, aliases: [Anna], description: Engineer for pumps.}
"""


def test_names_are_listed_and_shared_aliases_marked(call: "Call", folder: Path) -> None:
    (folder / "entities.yaml").write_text(GLOSSARY)
    listed = call("entities", "list")
    assert "Anna *" in listed.out
    assert "the words around decide" in listed.err
    names = json.loads(call("entities", "list", "--json").out)["entities"]
    assert [each["name"] for each in names] == ["Mill Anna", "Anna Berg"]


def test_a_text_is_linked_at_a_time_and_place(call: "Call", folder: Path) -> None:
    (folder / "entities.yaml").write_text(GLOSSARY)
    text = "Anna checks the pumps tomorrow"
    args = ("--at", "2026-11-25T20:00+00:00", "--timezone", "Asia/Shanghai")
    shown = call("entities", "link", text, *args)
    assert "fact: Anna Berg: Engineer for pumps." in shown.out
    assert "fact: tomorrow: 2026-11-27" in shown.out
    links = json.loads(call("entities", "link", text, *args, "--json").out)
    assert [(each["text"], each["id"]) for each in links] == [
        ("Anna", "Anna Berg"),
        ("tomorrow", "2026-11-27"),
    ]


def test_what_cannot_be_is_said(call: "Call", folder: Path) -> None:
    assert "nothing is named" in call("entities", "link", "nothing").err
    assert "no time zone 'Mars'" in call("entities", "link", "x", "--timezone", "Mars").err
    assert "'soon' is no time" in call("entities", "link", "x", "--at", "soon").err
    (folder / "entities.csv").write_text("name,kind\nA,ghost\n")
    failed = call("entities", "list")
    assert failed.status == 1
    assert "entities.csv:2" in failed.err
