"""Which names are found, which are not, and where they may come from."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.knowledge.entities.link import EntityLinker, Link
from headrace.knowledge.entities.settings import Entity, Glossary, read_entities
from headrace.knowledge.entities.titled import entities_of_documents

_NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
_ENTITIES = (
    Entity(name="阿里巴巴", kind="organisation", aliases=("阿里",)),
    Entity(name="小米", kind="organisation"),
    Entity(name="茶", kind="product"),
    Entity(name="Otterbach Reservoir", kind="place", aliases=("Otterbach",)),
    Entity(name="Project Heron", kind="other", readers=("admin",)),
)
_LINKER = EntityLinker(Glossary(entities=_ENTITIES))


def _links(text: str, linker: EntityLinker = _LINKER) -> list[Link]:
    return linker.link(text, now=_NOW, timezone=UTC)


def _ids(text: str) -> list[str]:
    return [link.id for link in _links(text) if link.id]


@pytest.mark.parametrize("text", ["阿里山的日出", "早饭喝小米粥", "红茶"])
def test_a_short_chinese_name_is_not_found_in_a_longer_word(text: str) -> None:
    assert _ids(text) == []


def test_a_short_chinese_name_is_found_where_it_stands_alone() -> None:
    assert _ids("阿里和小米合作，小米公司和小米手机都好。喝 茶 吗") == [
        "阿里巴巴", "小米", "小米", "小米", "茶",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["Oterbach", "Ottterbach", "Otetrbach", "Ottarbach", "OTERBACH"])
def test_one_typing_error_costs_a_part_of_the_score(text: str) -> None:
    (link,) = _links(text)
    assert (link.id, link.score) == ("Otterbach Reservoir", 0.8)


def test_two_errors_are_another_word_and_typos_can_be_left_off() -> None:
    assert _ids("Oterbahc") == []
    strict = EntityLinker(Glossary(entities=_ENTITIES, typos=False))
    assert _links("Oterbach", strict) == []


def test_roles_decide_who_is_told() -> None:
    def told(*roles: str) -> list[Link]:
        return _LINKER.link("Project Heron", now=_NOW, timezone=UTC, roles=frozenset(roles))

    assert told("user") == []
    assert [link.id for link in told("user", "admin")] == ["Project Heron"]


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("Dr Sarah Chen called", "person", "Sarah Chen"),
        ("I met Emily Watson there", "person", "Emily Watson"),
        ("the University of Bristol", "organisation", "University of Bristol"),
        ("an offer of Green Energy GmbH", "organisation", "Green Energy GmbH"),
        ("Lake Constance", "place", "Lake Constance"),
        ("we moved to New York", "place", "New York"),
        ("张丽华女士到了", "person", "张丽华"),
        ("他在清华大学", "organisation", "清华大学"),
        ("我们去杭州玩", "place", "杭州"),
    ],
)
def test_what_the_glossary_does_not_hold_is_guessed_but_not_linked(
    text: str, kind: str, name: str
) -> None:
    (link,) = _links(text)
    assert (link.kind, text[link.start : link.end], link.id, link.fact) == (kind, name, "", "")
    assert link.score < 1


@pytest.mark.parametrize(
    "text",
    [
        "这个城市很大",
        "大型超市开门了",
        "那家公司上市了",
        "我们公司",
        "高兴地说",
        "周末在家",
        "May I march on?",
    ],
)
def test_common_words_are_no_names(text: str) -> None:
    assert [link for link in _links(text) if link.kind in ("person", "organisation", "place")] == []


def test_guesses_can_be_left_off() -> None:
    assert _links("Emily Watson", EntityLinker(Glossary(guess=False))) == []


def test_a_table_adds_to_the_glossary_and_decides_its_version(tmp_path: Path) -> None:
    (tmp_path / "entities.yaml").write_text("names: [{name: A}]\ntypos: false\n")
    first = read_entities(None, tmp_path, {})
    (tmp_path / "entities.csv").write_text(
        "\ufeffname,kind,aliases,readers,team\n阿里,organisation,Ali;阿里巴巴,admin|law,sales\n",
        "utf-8",
    )
    both = read_entities(None, tmp_path, {})
    assert both.entities[1] == Entity(
        name="阿里", kind="organisation", aliases=("Ali", "阿里巴巴"), readers=("admin", "law"),
        attributes={"team": "sales"},
    )  # fmt: skip
    assert not both.typos
    assert first.version != both.version


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("kind\nplace\n", r"entities\.csv:1: there is no column `name`"),
        ("name,kind\nB,ghost\n", r"entities\.csv:2: .*ghost"),
        ("name\nB\nA\n", r"entities\.csv:3: 'A' is there twice"),
        ("name\nB,C\n", r"entities\.csv:2: it has more fields"),
        ('name\n"B\n', r"entities\.csv:1: unexpected end"),
        ("name\n,\n", r"entities\.csv:2: "),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, table: str, message: str) -> None:
    (tmp_path / "entities.yaml").write_text("- name: A\n")
    (tmp_path / "entities.csv").write_text(table)
    with pytest.raises(ConfigError, match=message):
        read_entities(None, tmp_path, {})


def test_a_table_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "entities.csv").write_bytes("name\n阿里\n".encode("gbk"))
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_entities(None, tmp_path, {})


def test_documents_are_names_by_their_titles_for_those_who_may_read_them() -> None:
    titled = [
        ("Travel Policy", "t.md", ["admin"]),
        ("Leave", "l.md", []),
        ("差旅报销制度", "c.md", []),
    ]
    found = list(entities_of_documents(titled))
    assert [(each.name, each.document, each.readers) for each in found] == [
        ("Travel Policy", "t.md", ("admin",)),
        ("差旅报销制度", "c.md", ()),
    ]
    linker = EntityLinker(Glossary().with_entities(found))
    (link,) = _links("差旅报销制度怎么说", linker)
    assert (link.kind, link.fact) == (
        "document",
        "差旅报销制度: a document of the knowledge base (document c.md)",
    )
