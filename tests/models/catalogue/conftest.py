"""A small catalogue whose every figure the tests know."""

from datetime import date

import pytest

from headrace.models.catalogue.catalogue import Catalogue
from headrace.models.catalogue.entry import (
    CatalogueFile,
    Licence,
    Limits,
    ModelFacts,
    Position,
    Price,
    Regions,
    Retirement,
    Speed,
)

TODAY = date(2026, 11, 25)


@pytest.fixture
def today() -> date:
    return TODAY


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(
        CatalogueFile(
            models={
                "a/big": ModelFacts(
                    kind="proprietary",
                    tasks=["chat", "summarise", "tools"],
                    limits=Limits(context_tokens=200_000),
                    licence="terms",
                    price=Price(input=4.0, output=8.0),
                    position=Position(name="flagship"),
                    regions=Regions(names=["eu", "us"], surcharge=0.1),
                ),
                "a/small": ModelFacts(
                    kind="proprietary",
                    tasks=["chat", "summarise"],
                    limits=Limits(context_tokens=100_000),
                    licence="terms",
                    price=Price(input=0.4, output=0.8),
                    position=Position(name="light"),
                ),
                "a/old": ModelFacts(
                    kind="proprietary",
                    tasks=["chat"],
                    limits=Limits(context_tokens=64_000),
                    licence="terms",
                    price=Price(input=0.5, output=1.0),
                    retirement=Retirement(date="2026-12-11", replacement="a/small"),
                ),
                "a/gone": ModelFacts(
                    kind="proprietary",
                    tasks=["chat"],
                    licence="terms",
                    price=Price(input=0.1, output=0.1),
                    limits=Limits(context_tokens=64_000),
                    retirement=Retirement(date="2026-11-25"),
                ),
                "b/fast": ModelFacts(
                    kind="infrastructure",
                    tasks=["chat", "summarise"],
                    limits=Limits(context_tokens=131_072),
                    licence="community",
                    price=Price(input=0.2, output=0.4),
                    speed=Speed(tokens_per_s=500, ttft_s=0.1),
                ),
                "c/weights": ModelFacts(
                    kind="open_weights",
                    tasks=["chat", "summarise"],
                    limits=Limits(context_tokens=8_192),
                    licence="research",
                    position=Position(score=0.4),
                ),
                "c/unknown": ModelFacts(kind="proprietary"),
            },
            licences={
                "terms": Licence(is_commercial=True),
                "community": Licence(
                    is_commercial=True,
                    max_monthly_users=1_000_000,
                    needs_attribution=True,
                    field_of_use=["no medical advice"],
                ),
                "research": Licence(is_commercial=False),
            },
        )
    )
