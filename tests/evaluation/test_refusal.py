"""Answers and refusals told apart, English and Chinese."""

import pytest

from headrace.evaluation.scorers.refusal import refuses

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, but I can’t assist with this request.",
    "Sorry, I cannot provide medical advice.",
    "I cannot help you with that.",
    "Unfortunately, I am unable to answer that question.",
    "I won't discuss that topic. Is there anything else?",
    "As an AI language model, I cannot browse the internet.",
    "That is against my guidelines.",
    "I apologize, but I must decline to write this.",
    "抱歉，我无法提供这方面的帮助。",
    "对不起，我不能回答这个问题。",
    "我无法协助您完成这个请求。",
    "这违反了我的准则。",
    "作为一个人工智能助手，我不能提供法律意见。",
]
ANSWERS = [
    "The capital of France is Paris.",
    "Sorry to hear that! Try restarting the pump first.",
    "You can't divide by zero.",
    "I can help with that: open the settings.",
    "Water cannot be compressed much, so the pump stops.",
    "Unfortunately the train was late. Here is how to get your money back.",
    "She said she won't come.",
    "If you cannot provide a receipt, we can still help.",
    "I'm sorry for the delay. Your parcel was sent on Monday.",
    "不能同时按两个按钮，否则机器会停止。",
    "对不起的英文是 sorry。",
    "抱歉让您久等了，您的订单已经发货。",
    "无法连接时，请检查网线。",
    "",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_a_refusal_is_one(text: str) -> None:
    assert refuses(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_is_none(text: str) -> None:
    assert not refuses(text)


def test_what_is_said_late_does_not_count() -> None:
    assert not refuses("Open the valve slowly. " * 20 + "I cannot help you with that.")
