"""Instructions to a model in what it is only given to read: passages, pages, mails, tool results."""

import re
from collections.abc import Iterator

from headrace.screening.detectors.injection import LEAST
from headrace.screening.detectors.term import fold
from headrace.screening.finding import Span
from headrace.screening.injection.assessment import assess

__all__ = ["InstructionDetector"]

_ADDRESSES = re.compile(
    r"\b(?:(?:note|attention|message|notice|instructions?|hint|reminder) (?:to|for) (?:the |all |any |every )?"
    r"(?:ai|llm|language model|(?:ai |virtual )?assistants?|agents?|bots?|chatbots?|models?)\b"
    r"|(?:dear|hey|hello|attention),? (?:ai|llm|assistant|chatbot|model|agent)\b"
    r"|if you(?: are|'re) (?:an? )?(?:ai|llm|(?:large )?language model|ai assistant|chatbot|automated)"
    r"|(?:ai|llm)(?: assistants?| agents?| models?)?(?: reading| processing| summari[sz]ing|,? (?:please|you must|must|should))"
    r"|(?:when|while|after|before) (?:you )?(?:summari[sz]|process|read|translat|answer|respond|pars|review)\w*"
    r"[^.\n]{0,40}?,? (?:you (?:must|should|need)|also|always|please|first|make sure|include|append|call|send))"
    r"|(?:给|致|请|注意)[^。\n]{0,6}?(?:ai|人工智能|助手|语言模型|大模型|机器人)[^。\n]{0,4}?[：:，,]"
    r"|如果你是(?:一个)?(?:ai|人工智能|语言模型|大模型|助手)"
)
_STEERS = re.compile(
    r"\b(?:(?:reply|respond|answer)(?: only)? (?:with|by saying)(?: only| exactly| the)?\b"
    r"|(?:append|add|include|insert|output|print|write) [^.\n]{0,60}?\b(?:to|in|at|into) (?:the |your |every |each )?"
    r"(?:end of |beginning of |start of )?(?:the |your |every |all )?(?:final |future )?(?:reply|replies|response|responses"
    r"|answer|answers|summary|output)\b"
    r"|(?:do not|don't|stop) (?:summari[sz]\w*|translat\w*|answer\w*)\b"
    r"|(?:the|your) (?:user'?s? )?(?:request|question|task|prior task|previous task) (?:is|has been) (?:cancel\w*|complete\w*|replaced)"
    r"|(?:instead(?:,| of)[^.\n]{0,40}?(?:say|write|output|reply|respond|summari[sz]\w+|translat\w+))"
    r"|(?:must|always|should) (?:be )?(?:recommend|rank|rate|approve|mention|include|select)\w*\b[^.\n]{0,40}?"
    r"\b(?:candidate|product|this|first|best|answer|reply|response)"
    r"|(?:remember|save|store)[^.\n]{0,30}?\b(?:all future|from now on|future (?:tasks|sessions|conversations)))"
    r"|(?:停止|不要)(?:总结|翻译|回答)|(?:在|把)[^。\n]{0,12}?(?:回复|回答|总结)(?:中|里|末尾)?[^。\n]{0,6}?(?:加上|附上|包含|写上)"
)
_ACTS = re.compile(
    r"\b(?:(?:call|use|invoke|run|execute|trigger) (?:the )?[`\"']?\w{2,30}[`\"']?(?:_\w+)* (?:tool|function|command|api|action)\b"
    r"|(?:call|invoke|run|use) [`\"']?[a-z]+_[a-z_]+[`\"']?(?:\(| |\b)"
    r"|(?:send|forward|post|upload|email|e-mail|transmit|exfiltrate|transfer|leak)\b[^.\n]{0,80}?"
    r"(?:\bto [\"'<`]?(?:https?://|[\w.+-]+@[\w-]+\.|attacker|this (?:address|url|account)|the following (?:address|url|account)))"
    r"|(?:delete|wipe|drop|remove) (?:all|every|the)\b[^.\n]{0,30}?\b(?:files?|e?mails?|messages?|records?|tables?|backups?|data)\b"
    r"|!\[[^\]\n]{0,40}\]\(https?://[^)\n]{0,200}?[?=])"
    r"|(?:调用|使用|执行)[^。\n]{0,12}?(?:工具|函数|命令)|(?:发送|转发|上传)[^。\n]{0,20}?(?:到|给)[^。\n]{0,10}?(?:http|@|网址|邮箱)"
)
_SIGNS = (
    ("speaks to the model", 0.5, _ADDRESSES),
    ("steers the answer", 0.4, _STEERS),
    ("asks for an act", 0.4, _ACTS),
)


class InstructionDetector:
    """Scores a text that nobody meant as an order, such as a page or a tool's result, for orders to the
    model in it: speaking to the model, steering its answer, asking for acts, on top of all that
    `injection` finds. English and Chinese.

    Not for what users say: half of that is instructions. Does not catch: false facts, orders that
    look like part of the document ("invoices are paid to this account").
    """

    name = "instruction"
    kinds = ("instruction",)
    window = None
    languages = ("en", "zh")
    cost_us = 800

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        text = text[start:]
        folded = fold(text)
        found = [
            (score, match.start(), match.end(), why)
            for why, score, pattern in _SIGNS
            if (match := pattern.search(folded)) is not None
        ]
        attack = assess(text)
        if attack is not None and attack.score >= LEAST:
            found.append((attack.score, attack.start, attack.end, attack.why))
        if not found:
            return
        harmless = 1.0
        for score, *_ in found:
            harmless *= 1.0 - score
        _, begin, end, _ = max(found)
        why = "; ".join(each[3] for each in sorted(found, reverse=True))
        yield Span(
            "instruction", start + begin, start + end, score=round(1.0 - harmless, 4), note=why
        )
