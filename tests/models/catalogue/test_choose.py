"""Which models meet what is wanted, in what order, and why the others do not."""

from datetime import date

import pytest

from headrace.models.catalogue.catalogue import Catalogue
from headrace.models.catalogue.choose import Preference, Verdict, Wanted, choose
from headrace.models.catalogue.cost import Mix
from headrace.telemetry.measured import Measured


def ids(verdicts: list[Verdict]) -> list[str]:
    return [each.entry.id for each in verdicts if each.is_in]


def why(verdicts: list[Verdict], name: str) -> list[str]:
    return next(each for each in verdicts if each.entry.id == name).reasons


def test_without_a_wish_all_living_models_are_in(catalogue: Catalogue, today: date) -> None:
    found = choose(catalogue, Wanted(), today)
    assert set(ids(found)) == set(catalogue.ids()) - {"a/old", "a/gone"}


def test_each_requirement_that_is_missed_is_named(catalogue: Catalogue, today: date) -> None:
    wanted = Wanted(
        tasks=("summarise",),
        licence="commercial",
        context_tokens=16_000,
        max_usd=1.0,
        region="eu",
        kinds=("proprietary",),
    )
    found = choose(catalogue, wanted, today)
    assert ids(found) == []
    assert why(found, "a/big") == ["$4.80 a million tokens at 10:1, above $1.00"]
    assert why(found, "a/small") == ["not known to stay in eu"]
    assert why(found, "c/weights") == [
        "open weights, not proprietary",
        "context of 8,192 tokens, not 16,000",
        "licence research allows no commercial use",
        "costs what your machine costs",
    ]
    assert why(found, "c/unknown") == [
        "summarise: not known",
        "context not known",
        "licence not known",
        "not known to stay in eu",
        "price not known",
    ]
    assert why(found, "a/gone") == [
        "not made for: summarise",
        "not known to stay in eu",
        "shut down on 2026-11-25",
    ]


def test_those_that_miss_least_come_first_among_those_that_are_out(
    catalogue: Catalogue, today: date
) -> None:
    found = choose(catalogue, Wanted(tasks=("tools",), context_tokens=150_000), today)
    missed = [len(each.reasons) for each in found if not each.is_in]
    assert missed == sorted(missed)


@pytest.mark.parametrize(
    ("prefer", "order"),
    [
        ("cost", ["b/fast", "a/small", "a/big"]),
        ("context", ["a/big", "b/fast", "a/small"]),
        ("quality", ["a/big", "a/small", "b/fast"]),
        ("latency", ["b/fast", "a/small", "a/big"]),
    ],
)
def test_the_preference_orders_those_that_will_do(
    prefer: Preference, order: list[str], catalogue: Catalogue, today: date
) -> None:
    wanted = Wanted(tasks=("summarise",), context_tokens=50_000, prefer=prefer)
    assert ids(choose(catalogue, wanted, today)) == order


def test_a_score_of_ones_own_goes_before_a_class(catalogue: Catalogue, today: date) -> None:
    assert ids(choose(catalogue, Wanted(prefer="quality"), today))[0] == "c/weights"


def test_what_was_measured_goes_before_what_was_published(
    catalogue: Catalogue, today: date
) -> None:
    slow = Measured(
        model="m",
        deployment="m-0",
        provider="a",
        turns=9,
        error_rate=0.0,
        ttft_p50_s=2.0,
        tpot_p50_s=0.05,
    )
    found = choose(catalogue, Wanted(prefer="latency"), today, {"a/big": slow})
    assert ids(found)[:2] == ["a/big", "b/fast"]
    assert found[0].latency_s == pytest.approx(2.0 + 300 * 0.05)
    assert found[0].reasons[0] == "17.0 s for 300 tokens, measured here"
    assert found[1].reasons[0] == "0.7 s for 300 tokens, as published"


def test_a_region_costs_what_its_provider_adds(catalogue: Catalogue, today: date) -> None:
    wanted = Wanted(region="eu", mix=Mix(1, 0))
    found = {each.entry.id: each for each in choose(catalogue, wanted, today)}
    assert found["a/big"].usd == pytest.approx(4.4)
    assert found["c/weights"].is_in, "what you run stays where you run it"


def test_a_licence_has_its_limits_and_its_notes(catalogue: Catalogue, today: date) -> None:
    found = choose(catalogue, Wanted(monthly_users=2_000_000), today)
    assert why(found, "b/fast") == ["licence community allows 1,000,000 users a month"]
    fast = next(each for each in choose(catalogue, Wanted(), today) if each.entry.id == "b/fast")
    assert fast.notes == [
        "licence: no medical advice",
        "licence: its maker must be named",
        "licence: up to 1,000,000 users a month",
    ]
    assert ids(choose(catalogue, Wanted(licence="community"), today)) == ["b/fast"]


def test_a_machine_of_ones_own_gives_weights_a_price(catalogue: Catalogue, today: date) -> None:
    wanted = Wanted(tasks=("chat",), max_usd=0.1)
    assert ids(choose(catalogue, wanted, today)) == []
    own = choose(catalogue, wanted, today, own_usd={"c/weights": 0.05})
    assert ids(own) == ["c/weights"]
    assert own[0].reasons[0] == "$0.05 a million tokens at 3:1"


def test_a_model_that_ends_soon_is_not_chosen(catalogue: Catalogue, today: date) -> None:
    found = choose(catalogue, Wanted(tasks=("chat",)), today)
    assert why(found, "a/old") == ["shuts down on 2026-12-11, in 16 days"]
    early = choose(catalogue, Wanted(tasks=("chat",)), date(2026, 8, 1))
    assert "a/old" in ids(early)
