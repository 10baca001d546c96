"""What a request names: counting, embedding and reloading do not upset who answers."""

import asyncio

import pytest

from headrace.config.model import PlaceConfig
from headrace.errors import ModelUnavailable
from headrace.models.balance.member import Demand, Outcome
from headrace.models.balance.settings import BalanceSettings
from headrace.models.deployment import Deployment, Runner
from headrace.models.errors import DeploymentThrottled
from headrace.models.model import Model, Route
from headrace.types import Params
from tests.models.scripted import CALL, ScriptedBackend, answers, fails, model_of, raising


class Counting(ScriptedBackend):
    """Counts without its server, as remote backends do."""

    async def count_tokens(self, messages: object) -> int:
        del messages
        return 7


async def asked(model: Model | Route) -> str:
    return "".join([each.text async for each in model.ask(CALL).deltas(lambda _: CALL)])


async def test_counting_says_nothing_of_whether_a_deployment_answers() -> None:
    dead, alive = Counting(fails), Counting(answers)
    model = model_of(dead, alive, balance=BalanceSettings(prefer="order"))
    for _ in range(20):
        assert await model.count_tokens(CALL.messages) == 7
        assert await asked(model) == "Hello"
    assert dead.calls < 5, "it was taken for healthy each time something was counted"
    assert not model.balancer.snapshot()[1].outstanding


async def test_counting_needs_no_room() -> None:
    throttled = Counting(raising(DeploymentThrottled("full", retry_after_s=25.0)))
    route = Route("r", [model_of(throttled), model_of(Counting(answers), name="n")])
    assert await asked(route) == "Hello"
    # The first asks for a pause now; the second answers, so counting must not wait for the first.
    assert await route.count_tokens(CALL.messages) == 7
    assert await asked(route) == "Hello"


async def test_where_the_first_cannot_count_another_does() -> None:
    down = ScriptedBackend(fails)
    route = Route("r", [model_of(down), model_of(ScriptedBackend(answers), name="n")])
    assert await route.count_tokens(CALL.messages) == 1
    with pytest.raises(ModelUnavailable):
        await model_of(ScriptedBackend(fails)).count_tokens(CALL.messages)


async def test_nothing_is_counted_outside_the_permitted_regions() -> None:
    abroad, at_home = ScriptedBackend(answers), ScriptedBackend(fails)
    deployments = [
        Deployment(key="m-0", runner=Runner(abroad)),
        Deployment(key="m-1", runner=Runner(at_home)),
    ]
    model = Model("m", deployments, Params(), regions=frozenset({"eu"}))
    with pytest.raises(ModelUnavailable):
        await model.count_tokens(CALL.messages)
    assert not abroad.calls


@pytest.mark.parametrize("by", ["weights", "latency"])
async def test_a_route_embeds_with_one_model_for_ever(by: str) -> None:
    models = [model_of(ScriptedBackend(answers), name=name) for name in ("one", "two")]
    route = Route(
        "r",
        models,
        weights={"one": 1.0, "two": 1.0} if by == "weights" else None,
        by_latency=by == "latency",
    )
    await asked(models[0])  # so that its latency is known, and the other is worth a try
    embedded = {(await route.embed(["a"]))[1].key for _ in range(20)}
    assert embedded == {"one-0"}, "vectors of different models cannot be compared"


def succeeded(old: Model, backend: ScriptedBackend) -> Model:
    new = model_of(backend)
    new.succeed(old)
    return new


async def test_a_call_that_began_two_configurations_ago_asks_what_there_is_now() -> None:
    first, second, third = (ScriptedBackend(answers) for _ in range(3))
    oldest = model_of(first)
    middle = succeeded(oldest, second)
    newest = succeeded(middle, third)
    assert newest.balancer is oldest.balancer
    assert await asked(oldest) == "Hello"
    assert (first.calls, second.calls, third.calls) == (0, 0, 1)


async def test_what_was_added_since_can_be_asked_by_an_old_call() -> None:
    oldest = model_of(ScriptedBackend(fails))
    middle = model_of(ScriptedBackend(fails))
    middle.succeed(oldest)
    newest = model_of(ScriptedBackend(fails), ScriptedBackend(answers))
    newest.succeed(middle)
    assert await asked(oldest) == "Hello"


async def test_a_new_region_of_this_service_counts_after_a_reload() -> None:
    def model(here: str) -> Model:
        places = [
            Deployment(
                key=f"m-{at}",
                runner=Runner(ScriptedBackend(answers)),
                place=PlaceConfig(region=region),
            )
            for at, region in enumerate(("eu", "us"))
        ]
        return Model("m", places, Params(), here=here)

    old = model("eu")
    new = model("us")
    new.succeed(old)
    ticket = new.balancer.try_acquire(Demand())
    assert ticket is not None
    assert ticket.member.region == "us"
    ticket.done(Outcome.CANCELLED)


async def test_who_moves_up_in_the_list_inherits_nothing_from_who_was_there() -> None:
    sick = ScriptedBackend(fails)
    spare = Runner(ScriptedBackend(answers))
    old = Model(
        "m",
        [Deployment(key="m-0", runner=Runner(sick)), Deployment(key="m-1", runner=spare)],
        Params(),
        balance=BalanceSettings(prefer="order"),
    )
    while not old.balancer.snapshot()[0].ejected_for_s:
        assert await asked(old) == "Hello"
    new = Model(
        "m",
        [Deployment(key="m-0", runner=spare)],
        Params(),
        balance=BalanceSettings(prefer="order"),
    )
    new.succeed(old)
    (now,) = new.balancer.snapshot()
    assert not now.ejected_for_s


async def test_a_text_is_embedded_where_its_route_may_send_it_or_not_at_all() -> None:
    abroad = ScriptedBackend(answers)
    embedder = Model(
        "e",
        [Deployment(key="e-0", runner=Runner(abroad), place=PlaceConfig(region="us"))],
        Params(),
    )
    route = Route("r", [model_of(ScriptedBackend(answers))], regions=frozenset({"eu"}))
    with pytest.raises(ModelUnavailable, match="eu"):
        await embedder.embed(["a"], within=route.data_regions)
    assert not abroad.calls
    assert (await embedder.embed(["a"], within=model_of(abroad).data_regions))[1].key == "e-0"


async def test_who_waits_while_a_deployment_is_moved_abroad_is_not_sent_there() -> None:
    def model(backend: ScriptedBackend, region: str) -> Model:
        place = PlaceConfig(region=region, capacity=1)
        only = Deployment(key="m-0", runner=Runner(backend), place=place)
        return Model("m", [only], Params(), regions=frozenset({"eu"}))

    abroad = ScriptedBackend(answers)
    old = model(ScriptedBackend(answers), "eu")
    first = old.balancer.try_acquire(Demand())
    assert first is not None
    waiting = asyncio.create_task(asked(old))
    while not old.balancer.waiting:
        await asyncio.sleep(0)
    first.done(Outcome.OK)  # the one that waits has its ticket now, and has not run yet
    model(abroad, "us").succeed(old)
    with pytest.raises(ModelUnavailable, match="eu"):
        await waiting
    assert not abroad.calls
    assert not old.balancer.snapshot()[0].outstanding
