"""Signs of prompt injection: text that tries to give the model other orders than the service did."""

import re
from collections.abc import Iterator

import msgspec

from headrace.screening.detectors.term import fold
from headrace.screening.finding import Span

__all__ = ["InjectionDetector"]


class _Sign(msgspec.Struct, frozen=True):
    """One way it is done. `needs`: words of which at least one stands in every match."""

    family: str
    score: float
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


_WORDS = r"(?:[^\w.!?\n]{1,3}[\w']{1,20}+)"
"""A word and what parts it from the one before; a sentence end is never crossed."""


def _sign(family: str, score: float, needs: str, pattern: str) -> _Sign:
    return _Sign(family, score, tuple(needs.split("|")), re.compile(pattern))


_SIGNS = (
    _sign(
        "override",
        0.8,
        "ignore|disregard|forget|override|bypass|overrule|not follow|'t follow|not obey",
        r"\b(?:ignor(?:e|ing)|disregard|forget|override|overrule|bypass|(?:not|don't) (?:follow|obey))\b"
        rf"{_WORDS}{{0,4}}?[^\w.!?\n]{{1,3}}(?:previous|prior|above|earlier|preceding|former|original|initial"
        r"|system|your|all|any|these|those|existing|current)\b"
        rf"{_WORDS}{{0,3}}?[^\w.!?\n]{{1,3}}(?:instructions?|directions?|directives?|rules?|prompts?"
        r"|guidelines?|commands?|orders?|polic(?:y|ies)|programming|training|context|constraints?"
        r"|restrictions?|safeguards?|filters?|messages?)\b",
    ),
    _sign(
        "extraction",
        0.7,
        "prompt|instruction|above|message|rules",
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|dump|recite|write|expose|share"
        rf"|disclose|paste|what (?:is|are|were|was))\b{_WORDS}{{0,6}}?[^\w.!?\n]{{1,3}}"
        r"(?<!\ba.)(?<!\ban.)(?:(?:system|initial|original|hidden|secret|full|developer|starting|internal) "
        r"(?:prompts?|instructions?|messages?|rules)|your (?:\w{1,12} )?(?:prompt|instructions)"
        r"|(?:prompt|text|words|everything|instructions) above)\b",
    ),
    _sign(
        "role",
        0.75,
        "you are|act as|pretend|roleplay|role-play|you will|simulate|respond as|behave",
        r"\b(?:you are (?:now|going to)|from now on|act as|pretend|role-?play|simulate|respond as|behave)\b"
        r"[^\n]{0,160}?(?:\b(?:dan|unrestricted|unfiltered|uncensored|jailbroken|jailbreak|amoral"
        r"|do anything now|god mode|developer mode|evil (?:ai|assistant|twin)|no (?:moral|ethical)"
        r"|(?:no|without|free (?:of|from)|not bound by)(?: any| all)?(?: of)?(?: the| your| its)?"
        r"(?: \w{1,14})? (?:restrictions?|limits?|limitations?|filters?|rules|guidelines|censorship|ethics))\b)",
    ),
    _sign(
        "jailbreak",
        0.65,
        "do anything now|developer mode|dan mode|jailbreak|god mode|debug mode|sudo mode",
        r"\b(?:do anything now|(?:developer|dan|god|debug|sudo|jailbreak) mode(?: is)?(?: now)?"
        r" (?:enabled?|on|activated?|output)|(?:enable|enter|activate|switch to)[^\w\n]{1,3}"
        r"(?:developer|dan|god|debug|sudo|jailbreak) mode|jailbreak prompt)\b",
    ),
    _sign(
        "delimiter",
        0.8,
        "<|im_|<|system|<|user|<|assistant|<|eot|<|start_h|<|end|<|begin|[inst|[/inst|<<sys|<start_of_turn|<end_of_turn",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end|eot_id|start_header_id"
        r"|end_header_id|begin_of_text|endofprompt)\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>",
    ),
    _sign(
        "delimiter",
        0.55,
        "system|instruction|系统",
        r"(?:^|\n)\s{0,4}(?:#{2,4}\s{0,2})?(?:\[?system\]?(?: (?:message|prompt|override|note))?|new instructions?"
        r"|系统(?:消息|提示|指令)?)\s{0,2}[:：]|</?(?:system|instructions?|system_prompt)>",
    ),
    _sign(
        "encoded",
        0.6,
        "base64|rot13|decode|hex|morse|解码",
        r"\b(?:decode|decrypt|translate)\b[^\n]{0,80}?\b(?:base64|rot13|hex(?:adecimal)?|morse)\b[^\n]{0,120}?"
        r"\b(?:follow|execute|obey|run|do what|carry out|comply|answer)\b|解码.{0,40}?(?:执行|照做|遵守|回答)",
    ),
    _sign(
        "concealment",
        0.5,
        "tell the user|mention this|inform the user|let the user|reveal this|告诉用户",
        r"\b(?:do not|don't|never|without)\b[^\w\n]{1,3}(?:tell|telling|mention|mentioning|inform|informing"
        r"|reveal|let|letting)\b[^\w\n]{1,3}(?:the user|this)\b|不要(?:告诉|让)用户",
    ),
    _sign(
        "override",
        0.8,
        "忽略|无视|忘记|忘掉|不要理会|不用理会|抛开|绕过|不要遵守|不必遵守",
        r"(?:忽略|无视|忘记|忘掉|不[要用]理会|抛开|绕过|不[要必]遵守)[^。！？\n]{0,12}?"
        r"(?:之前|以上|前面|上述|上面|先前|此前|所有|一切|系统|原有|你的)[^。！？\n]{0,10}?"
        r"(?:指令|指示|提示|规则|设定|要求|命令|限制|约束|安全)",
    ),
    _sign(
        "extraction",
        0.7,
        "提示词|系统提示|系统指令|初始指令|初始提示|隐藏指令|以上内容|system prompt",
        r"(?:显示|输出|告诉我|打印|重复|复述|泄露|说出|透露|给我看|公开|写出|是什么)[^。！？\n]{0,14}?"
        r"(?:系统提示|系统指令|初始指令|初始提示|提示词|隐藏指令|以上内容|system prompt)"
        r"|(?:系统提示词?|系统指令|初始指令|初始提示|提示词)[^。！？\n]{0,8}?(?:是什么|发给我|告诉我|给我)",
    ),
    _sign(
        "role",
        0.75,
        "扮演|你现在是|你是|假装|假设",
        r"(?:你现在是|从现在(?:开始|起)|扮演|假装|假设)[^\n]{0,60}?"
        r"(?:没有(?:任何)?(?:限制|约束|道德)|不受(?:任何)?(?:限制|约束)|无限制|无审查|越狱|开发者模式|dan\b)",
    ),
    _sign(
        "jailbreak",
        0.65,
        "开发者模式|越狱",
        r"(?:进入|开启|启用|切换到|打开)[^。\n]{0,6}?(?:开发者模式|越狱模式)",
    ),
)


class InjectionDetector:
    """Scores a text for signs of injection: instruction override, system-prompt extraction, role
    reassignment, jailbreak names, chat-template tokens, encoded orders, concealment. English and
    Chinese.

    One match per text, at its strongest sign; signs of different families add up (`1 - Π(1 - s)`),
    so one sign alone stays below 0.9. Does not catch: paraphrase without these words, other
    languages, orders that are themselves encoded (base64, leetspeak), escalation over several
    turns, harmful requests that do not address the model's orders. Quoting an attack, as in
    "what does 'ignore previous instructions' mean?", is scored like the attack.
    """

    name = "injection"
    kinds = ("injection",)
    window = None

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        folded = fold(text)
        found: dict[str, tuple[float, int, int]] = {}
        for sign in _SIGNS:
            if found.get(sign.family, (0.0,))[0] >= sign.score:
                continue
            if not any(need in folded for need in sign.needs):
                continue
            match = sign.pattern.search(folded, start)
            if match is not None:
                found[sign.family] = (sign.score, match.start(), match.end())
        if not found:
            return
        harmless = 1.0
        for score, _, _ in found.values():
            harmless *= 1.0 - score
        _, begin, end = max(found.values(), key=lambda each: (each[0], -each[1]))
        yield Span("injection", begin, end, score=round(1.0 - harmless, 4))
