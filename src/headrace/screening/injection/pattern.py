"""The rules: family, score, words of which one stands in every match, and the pattern.

Patterns see folded text: small letters, Latin look-alikes. They look at bounded stretches only.
"""

from collections.abc import Sequence

__all__ = ["CHINESE", "ENGLISH", "OTHERS"]

_Rule = tuple[str, float, str, str]


def _rule(family: str, score: float, needs: str, pattern: str) -> _Rule:
    """A tuple; strings may stand over several lines in a call."""
    return family, score, needs, pattern


_WORDS = r"(?:[^\w.!?\n]{1,3}[\w']{1,20}+)"
"""A word and what parts it from the one before; a sentence end is never crossed."""
_BREAK = r"[^\w.!?\n]{1,3}"
_OUR_RULES = (
    r"(?:instructions?|directions?|directives?|rules?|prompts?|guidelines?|commands?|orders?"
    r"|polic(?:y|ies)|programming|training|context|constraints?|restrictions?|safeguards?|filters?"
    r"|messages?)"
)
_FREE = (
    r"(?:\b(?:dan|unrestricted|unfiltered|uncensored|jailbroken|jailbreak|amoral|unethical"
    r"|do anything now|god mode|developer mode|evil (?:ai|assistant|twin)|no (?:moral|ethical)"
    r"|(?:no|without|free (?:of|from)|not bound by|ignores?)(?: any| all)?(?: of)?(?: the| your| its)?"
    r"(?: \w{1,14})? (?:restrictions?|limits?|limitations?|filters?|rules|guidelines|censorship"
    r"|ethics|morals?|guardrails?))\b)"
)

ENGLISH: Sequence[_Rule] = (
    _rule(
        "override",
        0.8,
        "ignor|disregard|forget|override|bypass|overrule|not follow|'t follow|not obey|stop follow",
        r"\b(?:ignor(?:e|ing)|disregard|forget|override|overrule|bypass|(?:not|don't) (?:follow|obey)"
        r"|stop following)\b"
        rf"{_WORDS}{{0,4}}?{_BREAK}(?:previous|prior|above|earlier|preceding|former|original|initial"
        r"|system|your|all|any|these|those|existing|current)\b"
        rf"{_WORDS}{{0,3}}?{_BREAK}{_OUR_RULES}\b(?<!my previous message)(?<!my last message)",
    ),
    _rule(
        "override",
        0.6,
        "instructions|rules|guidelines|prompt|task",
        r"\b(?:previous|prior|above|earlier|your|original|old) (?:\w{1,12} )?"
        r"(?:instructions?|rules|guidelines|prompt|task)\b"
        r"[^.!?\n]{0,24}?\b(?:no longer apply|are (?:now )?(?:void|cancel\w*|suspended|overridden|obsolete)"
        r"|(?:is|was|were) (?:cancel\w*|a test|wrong|fake|outdated)|have been (?:updated|replaced|lifted))\b",
    ),
    _rule(
        "override",
        0.55,
        "everything|nevermind|never mind|instead",
        r"\b(?:forget|disregard|ignore) (?:about )?(?:everything|all of (?:that|this)|all (?:that|this))\b"
        r"(?:[^.!?\n]{0,30}?\b(?:above|before|told|said|previous\w*|prior|earlier|know|learned)\b|[.!,;:])"
        r"|\bnever ?mind\b[^\n]{0,40}?\b(?:ignore|print|say|output)\b",
    ),
    _rule(
        "override",
        0.55,
        "new instruction|new task|new rule|new order|new directive|real task|real instruction"
        "|actual task|updated instruction",
        r"\b(?:your|the|here (?:is|are)|following) (?:new|real|actual|true|updated) "
        r"(?:tasks?|instructions?|rules|orders?|directives?) (?:is|are|now|follow)\b"
        r"|(?:^|\n|[.!#*\]] )[#*\[ ]{0,5}(?:new|updated|important|urgent|priority)(?: \w{1,9})? "
        r"(?:instructions?|task|orders?|directives?)\b[^\w\n]{0,4}:",
    ),
    _rule(
        "extraction",
        0.7,
        "prompt|instruction|above|message|rules",
        r"\b(?:reveal|show|print|repeat|output|display|tell|give|leak|dump|recite|write|expose|share"
        rf"|disclose|paste|what (?:is|are|were|was))\b{_WORDS}{{0,6}}?{_BREAK}"
        r"(?<!\ba.)(?<!\ban.)(?:(?:system|initial|original|hidden|secret|full|developer|starting|internal) "
        r"(?:prompts?|instructions?|messages?|rules)|your (?:\w{1,12} )?(?:prompt|instructions)"
        r"|(?:prompt|text|words|everything|instructions) above)\b",
    ),
    _rule(
        "extraction",
        0.6,
        "you told|you given|you instructed|told to|given at|you are|your",
        r"\b(?:what|everything|all) (?:\w{1,10} ){0,4}?(?:were|was|are) you (?:\w{1,9} )?(?:told|given|instructed)\b"
        r"[^.\n]{0,24}?\b(?:not to|to (?:do|say|keep|hide)|before|at the (?:start|beginning)|initially|above)\b"
        r"|\b(?:instructions?|words|text|message) (?:that )?you were (?:\w{1,9} )?(?:given|told)\b"
        r"[^.\n]{0,24}?\b(?:before|at the (?:start|beginning)|initially|above|in full)\b"
        r"|\b(?:starting|start|starts|begins?|beginning) (?:with|from) [\"'“‘]you are\b"
        r"|\b(?:translate|summari[sz]e) your (?:\w{1,12} )?(?:prompt|instructions)\b",
    ),
    _rule(
        "role",
        0.75,
        "restrict|limit|filter|rules|guideline|censor|ethic|moral|guardrail|jailbr|anything now|god mode"
        "|developer mode|evil| dan",
        r"\b(?:you(?: are|'re) (?:now|going to|no longer)|from now on|act(?:ing)? as|pretend|role-?play"
        r"|simulate|respond as|behave|play the (?:role|part)|speak as|you will (?:be|act|play))\b"
        rf"[^\n]{{0,200}}?{_FREE}",
    ),
    _rule(
        "jailbreak",
        0.65,
        "do anything now|developer mode|dan mode|jailbreak|god mode|debug mode|sudo mode|admin mode"
        "|maintenance mode|unrestricted mode|opposite mode|safe_mode|safety|filter|content policy",
        r"\b(?:do anything now|(?:developer|dan|god|debug|sudo|jailbreak|admin|unrestricted|opposite) mode"
        r"(?: is)?(?: now)? (?:enabled?|on|activated?|output)|(?:enable|enter|activate|switch to|you are in"
        r"|turn on)[^\w\n]{1,3}(?:developer|dan|god|debug|sudo|jailbreak|admin|unrestricted|maintenance) mode"
        r"(?! on (?:my|the|an?) )|jailbreak prompt|\[?🔓jailbreak\]?)"
        r"|\b(?:safe_?mode|safety|content_?(?:policy|filter)s?)\s{0,2}[:=]\s{0,2}(?:false|off|disabled)\b"
        r"|\b(?:disable|turn off|deactivate|remove) (?:your|all) (?:\w{1,10} )?(?:filters?|guidelines|safeguards"
        r"|content polic(?:y|ies)|safety \w{3,12})\b",
    ),
    _rule(
        "refusal",
        0.6,
        "never refuse|not refuse|'t refuse|can't say no|cannot refuse|never say|disclaimer|not warn"
        "|without warning|any warning|never decline|must comply|sorry|apologi|as an ai",
        r"\b(?:never|do not|don't|not allowed to|cannot|can't|must not|won't) (?:ever )?(?:refuse|decline|deny)\b"
        r"[^.\n]{0,40}?\b(?:request|question|answer|comply|anything|me|order|instruction)s?\b"
        r"|\b(?:never|do not|don't|must not|without|no) (?:ever )?(?:say|saying|use|using|apologi[sz]e|mention)"
        r"[^.\n]{0,40}?(?:\b(?:sorry|i can'?t|i cannot|as an ai|unable|against (?:my|the|openai)|unethical|illegal)\b)"
        r"|\b(?:no|without|omit|never include|not include)\b[^.\n]{0,20}?\b(?:disclaimers?|moral(?:i[sz]ing)?|"
        r"ethical (?:warnings?|concerns?|considerations?))\b[^\n]{0,80}?\b(?:you|answer|respon\w+|request)\b",
    ),
    _rule(
        "priming",
        0.45,
        "sure, here|absolutely|of course, here|sure! here|start your|begin your",
        r"\b(?:start|begin) (?:your|the|every|each) (?:\w{1,10} )?(?:response|answer|reply|output|message)s? "
        r"(?:with|by)\b[^\n]{0,20}?(?:sure|absolutely|of course|certainly|yes|\[\w{1,20}\]|i (?:have been|am) )",
    ),
    _rule(
        "delimiter",
        0.8,
        "<|im_|<|system|<|user|<|assistant|<|eot|<|start_h|<|end|<|begin|[inst|[/inst|<<sys|<start_of_turn"
        "|<end_of_turn",
        r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|end|eot_id|start_header_id"
        r"|end_header_id|begin_of_text|endofprompt)\|>|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>",
    ),
    _rule(
        "delimiter",
        0.55,
        "system|instruction|系统|</untrusted|</document|</context|</data",
        r"(?:^|\n)\s{0,4}(?:#{2,4}\s{0,2})?(?:\[?system\]?(?: (?:message|prompt|override|note|notice|update))?"
        r"|new instructions?|系统(?:消息|提示|指令)?)\s{0,2}[:：]|</?(?:system|instructions?|system_prompt)>"
        r"|</(?:untrusted|document|context|data)>\s{0,4}[^\n]{0,4}\n?[^\n]{0,12}(?:system|new|assistant)",
    ),
    _rule(
        "encoded",
        0.6,
        "base64|rot13|decode|hex|morse|cipher|解码|解密",
        r"\b(?:decode|decrypt|translate|decipher)\b[^\n]{0,80}?\b(?:base64|rot13|hex(?:adecimal)?|morse|it|this)\b"
        r"[^\n]{0,120}?\b(?:follow|execute|obey|run it|do (?:exactly )?what|carry out|comply|act on)\b"
        r"|解[码密].{0,40}?(?:执行|照做|遵守)",
    ),
    _rule(
        "concealment",
        0.5,
        "tell the user|mention this|inform the user|let the user|reveal this|告诉用户|alert the user"
        "|notify the user",
        r"\b(?:do not|don't|never|without)\b[^\w\n]{1,3}(?:tell|telling|mention|mentioning|inform|informing"
        r"|reveal|let|letting|alert|alerting|notify|notifying)\b[^\w\n]{1,3}(?:the user|this)\b"
        r"|不要(?:告诉|让)用户",
    ),
)

CHINESE: Sequence[_Rule] = (
    _rule(
        "override",
        0.8,
        "忽略|无视|忘记|忘掉|不要理会|不用理会|抛开|绕过|不要遵守|不必遵守|不再遵守|推翻|忽視|無視",
        r"(?:忽略|无视|忘记|忘掉|不[要用]理会|抛开|绕过|不[要必再]遵守|推翻|忽視|無視)[^。！？\n]{0,12}?"
        r"(?:之前|以上|前面|上述|上面|先前|此前|所有|一切|系统|原有|原来|你的|你收到|給你)[^。！？\n]{0,10}?"
        r"(?:指令|指示|提示词|规则|设定|要求|命令|限制|约束|安全准则|规定|規則)",
    ),
    _rule(
        "extraction",
        0.7,
        "提示词|系统提示|系统指令|初始指令|初始提示|隐藏指令|以上内容|system prompt|内部指令",
        r"(?:显示|输出|告诉我|打印|重复|复述|泄露|说出|透露|给我看|公开|写出|是什么|翻译)[^。！？\n]{0,14}?"
        r"(?:你的系统提示|系统提示词|系统指令|初始指令|初始提示|你的提示词|隐藏指令|内部指令|system prompt)"
        r"|(?:你的系统提示词?|系统提示词|系统指令|初始指令|初始提示|你的提示词)[^。！？\n]{0,8}?"
        r"(?:是什么|发给我|告诉我|给我|打印|输出|复述)",
    ),
    _rule(
        "role",
        0.75,
        "扮演|你现在是|你是|假装|假设|从现在",
        r"(?:你现在是|从现在(?:开始|起)|扮演|假装|假设)[^\n]{0,60}?"
        r"(?:没有(?:任何)?(?:限制|约束|道德)|不受(?:任何)?(?:限制|约束)|无限制|无审查|越狱|开发者模式|dan\b)",
    ),
    _rule(
        "jailbreak",
        0.65,
        "开发者模式|越狱",
        r"(?:你(?:已|现在)?)?(?:进入|开启|启用|切换到)[^。\n]{0,6}?(?:开发者模式|越狱模式)(?!.{0,8}(?:usb|调试|安卓))",
    ),
    _rule(
        "refusal",
        0.6,
        "不许拒绝|不能拒绝|不得拒绝|不要拒绝|不会拒绝|免责声明|不许说",
        r"不(?:许|能|得|要|会)拒绝[^。\n]{0,10}?(?:请求|问题|要求|我)|不(?:需要|要|许)[^。\n]{0,8}?(?:警告|免责声明)"
        r"|不许说[^。\n]{0,4}?(?:不|抱歉)",
    ),
)

_OF_OTHERS = (
    r"\b(?:ignorier\w*|vergiss|missachte)\b[^.!?\n]{0,30}?\b(?:anweisung|anleitung|regel|vorgabe|instruktion)\w*"
    r"|\b(?:ignore[zr]?|oublie[zr]?)\b[^.!?\n]{0,30}?\b(?:instructions|consignes|règles) "
    r"(?:pr[eé]c[eé]dentes|ci-dessus|initiales|ant[eé]rieures)"
    r"|\b(?:ignor[ae]|olvid[ae]|desobedec\w+)\b[^.!?\n]{0,30}?\b(?:instrucciones|reglas|indicaciones|órdenes) "
    r"(?:anteriores|previas|de arriba|iniciales)"
    r"|\b(?:ignora|dimentica)\b[^.!?\n]{0,30}?\b(?:istruzioni|regole|indicazioni) (?:precedenti|sopra|di prima|iniziali)"
    r"|\b(?:ignore|esqueça|desconsidere)\b[^.!?\n]{0,30}?\b(?:instruções|regras|orientações) (?:anteriores|acima|iniciais)"
)
OTHERS: Sequence[_Rule] = (
    _rule(
        "override",
        0.8,
        "ignor|vergiss|missachte|oublie|olvid|desobede|dimentica|esqueça|desconsidere",
        _OF_OTHERS,
    ),
)
