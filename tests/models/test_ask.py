"""One call on its way: when it is made again, where, and when not."""

import asyncio
from contextlib import aclosing

import msgspec
import pytest

from headrace.errors import HeadraceError, InvalidRequest, ModelUnavailable
from headrace.models.ask import Ask, Asking
from headrace.models.balance.errors import Overloaded
from headrace.models.balance.member import Demand
from headrace.models.balance.settings import (
    BalanceSettings,
    HedgeSettings,
    QueueSettings,
    RetrySettings,
)
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
    NotOffered,
)
from headrace.models.model import Model, Route
from headrace.types import Delta, Deltas
from tests.models.scripted import (
    CALL,
    ScriptedBackend,
    answers,
    breaks_off,
    fails,
    model_of,
    raising,
    refuses,
)

QUICK = BalanceSettings(retry=RetrySettings(backoff_s=0.001, backoff_max_s=0.002))


def ask_of(*models: Model, within_s: float = 5.0) -> Ask:
    return Ask(models, Demand(), within_s=within_s)


async def text_of(ask: Asking) -> str:
    return "".join([delta.text async for delta in ask.deltas(lambda _: CALL)])


async def test_a_call_that_gave_nothing_is_made_again() -> None:
    backend = ScriptedBackend(fails, fails, answers)
    assert await text_of(ask_of(model_of(backend, balance=QUICK))) == "Hello"
    assert backend.calls == 3


async def test_a_call_is_made_only_so_often() -> None:
    backend = ScriptedBackend(fails)
    with pytest.raises(ModelUnavailable):
        await text_of(ask_of(model_of(backend, balance=QUICK)))
    assert backend.calls == QUICK.retry.attempts


async def test_a_call_that_takes_the_runtime_down_is_made_twice_at_most() -> None:
    backend = ScriptedBackend(answers)

    async def deadly() -> Deltas:
        backend.ready = False
        async for delta in raising(ModelUnavailable("the worker died"))():
            yield delta

    backend.script(deadly)
    with pytest.raises(ModelUnavailable, match="died"):
        await text_of(ask_of(model_of(backend, balance=QUICK)))
    assert backend.calls == 2


async def test_a_model_that_was_down_is_waited_for() -> None:
    backend = ScriptedBackend(fails, fails, answers)
    backend.ready = False
    assert await text_of(ask_of(model_of(backend, balance=QUICK))) == "Hello"
    assert backend.waits


async def test_a_call_is_not_made_again_once_something_was_given() -> None:
    backend = ScriptedBackend(breaks_off, answers)
    seen: list[str] = []
    with pytest.raises(ModelUnavailable, match="broke off"):
        async for delta in ask_of(model_of(backend)).deltas(lambda _: CALL):
            seen.append(delta.text)
    assert seen == ["Hel"]
    assert backend.calls == 1


async def test_a_refusal_is_not_tried_again() -> None:
    backend, other = ScriptedBackend(refuses), ScriptedBackend(answers)
    with pytest.raises(InvalidRequest):
        await text_of(ask_of(model_of(backend), model_of(other, name="n")))
    assert (backend.calls, other.calls) == (1, 0)


async def test_a_model_that_does_not_come_back_is_not_called_again() -> None:
    backend = ScriptedBackend(fails, answers, comes_back=False)
    with pytest.raises(ModelUnavailable):
        await text_of(ask_of(model_of(backend, balance=QUICK), within_s=30.0))
    assert backend.calls == 1
    assert 29 < backend.waits[0] <= 30


async def test_counting_and_embedding_are_made_again_too() -> None:
    made, deployment = await model_of(ScriptedBackend(fails, answers)).embed(["a"])
    assert made.vectors == [[1.0]]
    assert deployment.key == "m-0"
    assert await model_of(ScriptedBackend(fails, answers)).count_tokens(CALL.messages) == 1
    with pytest.raises(ModelUnavailable):
        await model_of(ScriptedBackend(fails), balance=QUICK).embed(["a"])


async def test_leaving_an_answer_closes_it_at_its_source() -> None:
    closed = asyncio.Event()

    async def endless() -> Deltas:
        try:
            while True:
                yield Delta(text="more ")
        finally:
            closed.set()

    model = model_of(ScriptedBackend(endless))
    leases = model.deployments[0].runner.leases
    async with aclosing(ask_of(model).deltas(lambda _: CALL)) as deltas:
        await anext(deltas)
        assert leases.count == 1
    assert closed.is_set()
    assert leases.count == 0
    assert [each.outstanding for each in model.balancer.snapshot()] == [0]


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("down"),
        DeploymentThrottled("full", retry_after_s=60),
        DeploymentMisconfigured("no such key"),
        DeploymentTimeout("silent"),
    ],
)
async def test_another_deployment_answers_for_one_that_cannot(error: HeadraceError) -> None:
    sick, well = ScriptedBackend(raising(error)), ScriptedBackend(answers)
    model = model_of(sick, well, balance=BalanceSettings(prefer="order"))
    ask = ask_of(model)
    assert await text_of(ask) == "Hello"
    assert ask.deployment is not None
    assert ask.deployment.key == "m-1"
    assert len(ask.tried) == 1
    assert ask.tried[0].startswith("m-0: ")


async def test_what_was_tried_is_said_when_nobody_can() -> None:
    one, two = ScriptedBackend(fails), ScriptedBackend(raising(DeploymentTimeout("silent")))
    model = model_of(one, two, balance=BalanceSettings(prefer="order", retry=QUICK.retry))
    with pytest.raises(ModelUnavailable, match=r"m-0: failed, 3 times; m-1: timed_out, 2 times"):
        await text_of(ask_of(model))


async def test_a_deployment_that_refuses_our_key_is_asked_once() -> None:
    backend = ScriptedBackend(raising(DeploymentMisconfigured("no such key", hint="mend it")))
    with pytest.raises(DeploymentMisconfigured, match=r"^no such key$"):
        await text_of(ask_of(model_of(backend, balance=QUICK)))
    assert backend.calls == 1


async def test_one_that_refuses_our_key_is_not_among_those_asked_again() -> None:
    wrong = ScriptedBackend(raising(DeploymentMisconfigured("no such key", hint="mend it")))
    sick = ScriptedBackend(fails)
    model = model_of(wrong, sick, balance=BalanceSettings(prefer="order", retry=QUICK.retry))
    with pytest.raises(ModelUnavailable, match="no such key") as caught:
        await text_of(ask_of(model))
    assert (wrong.calls, sick.calls) == (1, QUICK.retry.attempts - 1)
    assert caught.value.hint == "mend it"
    assert not isinstance(caught.value, DeploymentMisconfigured)


async def test_a_pause_asked_for_is_kept_where_it_ends_in_time() -> None:
    backend = ScriptedBackend(raising(DeploymentThrottled("full", retry_after_s=0.3)), answers)
    began = asyncio.get_running_loop().time()
    assert await text_of(ask_of(model_of(backend, balance=QUICK))) == "Hello"
    assert asyncio.get_running_loop().time() - began >= 0.3
    assert backend.calls == 2


@pytest.mark.parametrize("count", [1, 2])
async def test_a_pause_that_ends_too_late_is_passed_on_at_once(count: int) -> None:
    full = raising(DeploymentThrottled("full", hint="add one", retry_after_s=60.0))
    backends = [ScriptedBackend(full) for _ in range(count)]
    ask = ask_of(model_of(*backends, balance=QUICK))
    with pytest.raises(DeploymentThrottled, match="m-0: throttled") as caught:
        await text_of(ask)
    assert caught.value.retry_after_s == pytest.approx(60.0, abs=2.0)
    assert caught.value.hint == "add one"
    assert [backend.calls for backend in backends] == [1] * count


async def test_where_only_some_are_throttled_the_failure_is_none_of_the_callers() -> None:
    full = ScriptedBackend(raising(DeploymentThrottled("full", retry_after_s=0.001)))
    model = model_of(full, ScriptedBackend(fails), balance=QUICK)
    with pytest.raises(ModelUnavailable, match=r"m-\d: failed") as caught:
        await text_of(ask_of(model))
    assert type(caught.value) is ModelUnavailable


async def test_a_deployment_that_does_not_begin_in_time_is_left_for_another() -> None:
    async def silent() -> Deltas:
        await asyncio.Event().wait()
        yield Delta()

    model = model_of(
        ScriptedBackend(silent),
        ScriptedBackend(answers),
        balance=BalanceSettings(prefer="order", first_byte_s=0.05),
    )
    ask = ask_of(model)
    assert await text_of(ask) == "Hello"
    assert ask.tried == ["m-0: timed_out"]


async def test_vectors_that_do_not_come_in_time_are_made_by_another() -> None:
    async def silent() -> Deltas:
        await asyncio.Event().wait()
        yield Delta()

    model = model_of(
        ScriptedBackend(silent),
        ScriptedBackend(answers),
        balance=BalanceSettings(prefer="order", first_byte_s=0.05),
    )
    made, deployment = await model.embed(["a"])
    assert made.vectors == [[1.0]]
    assert deployment.key == "m-1"


def lacks() -> Deltas:
    return raising(NotOffered("this provider has no 'logprobs'", param="logprobs"))()


async def test_what_one_protocol_has_no_words_for_goes_to_another_deployment() -> None:
    first, second = ScriptedBackend(lacks), ScriptedBackend(answers)
    ask = ask_of(model_of(first, second, balance=BalanceSettings(prefer="order")))
    assert await text_of(ask) == "Hello"
    assert ask.tried == ["m-0: not_offered"]
    assert first.calls == 1


async def test_what_one_protocol_has_no_words_for_goes_to_the_fall_back() -> None:
    first, second = ScriptedBackend(lacks), ScriptedBackend(answers)
    ask = Route("r", [model_of(first, name="a"), model_of(second, name="b")]).ask(CALL)
    assert await text_of(ask) == "Hello"
    assert (ask.model.name, first.calls) == ("b", 1)


async def test_what_nobody_has_words_for_is_the_requests_fault() -> None:
    first, second = ScriptedBackend(lacks), ScriptedBackend(lacks)
    with pytest.raises(NotOffered, match="logprobs"):
        await text_of(ask_of(model_of(first, second, balance=BalanceSettings(prefer="order"))))
    assert (first.calls, second.calls) == (1, 1)


async def test_a_fall_back_answers_when_the_first_model_is_down() -> None:
    first, second = ScriptedBackend(fails), ScriptedBackend(answers)
    route = Route("r", [model_of(first, name="a"), model_of(second, name="b")])
    ask = route.ask(CALL)
    assert await text_of(ask) == "Hello"
    assert ask.model.name == "b"
    assert first.calls == 1


async def test_a_fall_back_answers_when_the_first_model_is_full() -> None:
    full = ScriptedBackend(answers)
    full.capacity = 1
    first, second = model_of(full, name="a"), model_of(ScriptedBackend(answers), name="b")
    async with aclosing(ask_of(first, second).deltas(lambda _: CALL)) as running:
        await anext(running)
        ask = ask_of(first, second)
        assert await text_of(ask) == "Hello"
        assert ask.model.name == "b"
        assert ask.tried == []


async def test_a_full_model_makes_calls_wait_and_then_refuses_them() -> None:
    backend = ScriptedBackend(answers)
    backend.capacity = 1
    model = model_of(backend, balance=BalanceSettings(queue=QueueSettings(length=1)))
    async with aclosing(ask_of(model).deltas(lambda _: CALL)) as running:
        await anext(running)
        waiting = asyncio.create_task(text_of(ask_of(model)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded):
            await text_of(ask_of(model))
    assert await waiting == "Hello"


async def test_each_model_of_a_route_is_asked_in_its_own_way() -> None:
    asked: list[str] = []

    def call_for(model: Model) -> object:
        asked.append(model.name)
        return CALL

    ask = ask_of(
        model_of(ScriptedBackend(fails), name="a"), model_of(ScriptedBackend(answers), name="b")
    )
    async for _ in ask.deltas(call_for):  # type: ignore[arg-type]
        pass
    assert asked == ["a", "b"]


def test_weights_decide_how_often_a_model_comes_first() -> None:
    models = [model_of(ScriptedBackend(answers), name=name) for name in "abc"]
    route = Route("r", models, weights={"a": 3.0, "b": 1.0, "c": 1.0})
    first = [route.order()[0].name for _ in range(2000)]
    assert 1050 < first.count("a") < 1350
    assert {model.name for model in route.order()} == {"a", "b", "c"}


HEDGED = BalanceSettings(prefer="order", hedge=HedgeSettings(share=0.5))


async def warmed(model: Model) -> Model:
    """The balancer knows by then how long a first byte usually takes."""
    for _ in range(128):
        await text_of(ask_of(model))
    assert model.balancer.hedge.delay_s is not None
    return model


async def test_a_call_that_is_slow_to_begin_is_made_elsewhere_as_well() -> None:
    let_go = asyncio.Event()

    async def slow() -> Deltas:
        await let_go.wait()
        yield Delta(text="late")

    one, two = ScriptedBackend(answers), ScriptedBackend(answers)
    model = await warmed(model_of(one, two, balance=HEDGED))
    one.script(slow)
    ask = model.ask(CALL)
    got = "".join([delta.text async for delta in ask.deltas(lambda _: CALL)])
    assert got == "Hello"
    assert ask.deployment is not None
    assert ask.deployment.key == "m-1"
    assert ask.reason.startswith("hedged")
    assert [each.outstanding for each in model.balancer.snapshot()] == [0, 0]


async def test_leaving_a_call_that_went_to_two_frees_both() -> None:
    async def silent() -> Deltas:
        await asyncio.Event().wait()
        yield Delta()

    one, two = ScriptedBackend(answers), ScriptedBackend(answers)
    model = await warmed(model_of(one, two, balance=HEDGED))
    one.script(silent)
    two.script(silent)

    async def listen() -> None:
        async with aclosing(model.ask(CALL).deltas(lambda _: CALL)) as deltas:
            await anext(deltas)

    listening = asyncio.create_task(listen())
    while [each.outstanding for each in model.balancer.snapshot()] != [1, 1]:
        await asyncio.sleep(0)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert [each.outstanding for each in model.balancer.snapshot()] == [0, 0]


async def test_where_both_fail_the_first_failure_counts() -> None:
    one, two = ScriptedBackend(answers), ScriptedBackend(answers)
    model = await warmed(model_of(one, two, balance=HEDGED))
    one.script(refuses)
    two.script(refuses)
    with pytest.raises(InvalidRequest):
        async for _ in model.ask(CALL).deltas(lambda _: CALL):
            pass


async def test_urgent_calls_go_before_others_that_wait() -> None:
    backend = ScriptedBackend(answers)
    backend.capacity = 1
    model = model_of(backend)
    order: list[str] = []

    async def wait(name: str, priority: int) -> None:
        call = msgspec.structs.replace(CALL, priority=priority)
        async for delta in model.ask(call).deltas(lambda _: call):
            if delta.text:
                order.append(name)

    async with aclosing(ask_of(model).deltas(lambda _: CALL)) as running:
        await anext(running)
        waiting = []
        for name, priority in (("flex", 2), ("default", 1), ("priority", 0)):
            waiting.append(asyncio.create_task(wait(name, priority)))
            await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == ["priority", "default", "flex"]


async def test_a_call_waits_as_long_as_the_model_says() -> None:
    backend = ScriptedBackend(answers)
    backend.capacity = 1
    model = model_of(backend, balance=BalanceSettings(queue=QueueSettings(wait_s=0.01)))
    async with aclosing(ask_of(model).deltas(lambda _: CALL)) as running:
        await anext(running)
        with pytest.raises(Overloaded):
            async for _ in model.ask(CALL).deltas(lambda _: CALL):
                pass
