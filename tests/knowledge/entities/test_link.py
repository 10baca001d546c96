"""Names, dates and amounts are found where they stand and linked to what is meant."""

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.knowledge.entities.link import EntityLinker, Link, facts, trace_attributes
from headrace.knowledge.entities.settings import Entity, Glossary, read_entities

_NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
_LINKER = EntityLinker(
    Glossary(
        entities=(
            Entity(name="Zoë Café", kind="organisation", description="Sells coffee."),
            Entity(name="Mercury", kind="place", description="A planet near the sun."),
            Entity(name="Quick", aliases=("Mercury",), kind="product", description="A fast database."),
            Entity(name="阿里巴巴", kind="organisation", aliases=("阿里",), description="电商公司"),
        )
    )
)  # fmt: skip


def _links(text: str, now: datetime = _NOW, zone: str = "UTC") -> list[Link]:
    return _LINKER.link(text, now=now, timezone=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("see you next Friday", "2026-12-04"),
        ("in two weeks", "2026-12-09"),
        ("by the end of the month", "2026-11-30"),
        ("on March 5, 2026", "2026-03-05"),
        ("下周五见", "2026-12-04"),
        ("三天后", "2026-11-28"),
        ("2026年3月5日", "2026-03-05"),
    ],
)
def test_a_date_is_resolved_against_the_day_given(text: str, day: str) -> None:
    assert [(link.kind, link.id) for link in _links(text)] == [("date", day)]


def test_the_zone_decides_which_day_it_is() -> None:
    late = datetime(2026, 11, 25, 23, tzinfo=UTC)
    assert _links("today", late)[0].id == "2026-11-25"
    assert _links("today", late, "Asia/Shanghai")[0].id == "2026-11-26"


def test_a_day_that_no_calendar_has_is_no_date() -> None:
    assert _links("2026-02-30") == []


def test_names_match_without_case_and_diacritics_and_at_word_borders() -> None:
    assert [link.id for link in _links("ZOE CAFE's door, 阿里巴巴的")] == ["Zoë Café", "阿里巴巴"]
    assert _links("quickly") == []


def test_the_words_around_a_shared_name_decide() -> None:
    assert _links("Mercury is a fast database")[0].id == "Quick"
    assert _links("Mercury, the planet near the sun")[0].id == "Mercury"
    assert _links("Mercury")[0].id == ""


def test_chinese_amounts_have_values() -> None:
    assert _links("三百万元")[0].id == "3000000 CNY"


def test_facts_keep_to_their_budget_and_traces_to_no_text() -> None:
    links = _links("阿里 next Friday")
    assert facts(links) == "阿里巴巴: 电商公司\nnext Friday: 2026-12-04"
    assert facts(links, max_chars=12) == "阿里巴巴: 电商公司"
    assert [kept["id"] for kept in trace_attributes(links, content=False)] == ["阿里巴巴", ""]


def test_a_wrong_kind_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "entities.yaml").write_text("- name: A\n- name: B\n  kind: ghost\n")
    with pytest.raises(ConfigError, match=r"entities\.yaml:3"):
        read_entities(None, tmp_path, {})


@given(st.lists(st.sampled_from(["阿里", "ZOE CAFE", "é", "e\u0301", "İ", "ﬁ", " ", "三天后", "5%", "Mercury"])
                | st.text(max_size=5)).map("".join))  # fmt: skip
def test_links_lie_inside_the_text_in_order_and_apart(text: str) -> None:
    end = 0
    for link in _links(text):
        assert end <= link.start < link.end <= len(text)
        end = link.end
