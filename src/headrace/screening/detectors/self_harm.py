"""Self-harm: suicide, cutting, starving; who means it, and who asks how.

Someone who writes so needs help, not a wall: `care` has the words that a policy answers with.
"""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["SelfHarmDetector"]

_DO = (
    r"(?:kill(?:ing)? (?:myself|yourself)|commit(?:ting)? suicide|end(?:ing)? (?:my|your) (?:own )?life|hang(?:ing)? (?:myself|yourself)|hurt(?:ing)? myself"
    r"|harm(?:ing)? myself|cut(?:ting)? (?:myself|my wrists?)|starv(?:e|ing) myself|overdos(?:e|ing)|self[- ]harm|end(?:ing)? it all|take my (?:own )?life|slit(?:ting)? my wrists?)"
)
_DO_NEEDS = "myself|yourself|suicid|my life|my own life|your life|self-harm|self harm|overdos|end it all|ending it all|my wrist"
_HELPS = r"\b(?:prevent\w*|support|hotline|helpline|help (?:a|my|someone|others|him|her|them)|stop (?:a|my|someone|him|her|them)|friend|awareness|warning signs|treat\w*|recover\w*|statistics|rates?|research\w*|stud(?:y|ies)|lost (?:a|my|someone))\b"
_HAN_DO = "(?:自杀|轻生|结束(?:自己的?|我的?)?(?:生命|一切)|自残|自伤|割腕|上吊|跳楼|服毒|伤害自己|了结自己|了断|自我伤害|绝食)"
_HAN_HELPS = "预防|防止|干预|热线|陪伴|帮助(?:他|她|别人|朋友|同学)|朋友|支持|劝|阻止|征兆|治疗|康复|统计|研究|学校可以|为什么会"


class SelfHarmDetector(ContentDetector):
    """Finds talk of harming oneself, first-person intent, and questions for methods.

    Prevention, grief and research are told apart by their words. Does not catch: despair that
    names no act ("I can't any more"), hints over several messages, slang of closed communities.
    """

    def __init__(self) -> None:
        intent, how = "self-harm/intent", "self-harm/instructions"
        signs = [
            sign(intent, 0.92, _DO_NEEDS, rf"\b(?:i|i'm|im|i've|i'd)\b[^.!?\n]{{0,40}}?\b(?:want|wanna|going|gonna|need|plan\w*|ready|decided|thinking (?:of|about)|thought (?:of|about)|tempted|about|feel like|considering|trying|keep|started|been)\b[^.!?\n]{{0,24}}?\b{_DO}\b", _HELPS),
            sign(intent, 0.92, "want to die|wanna die|want to be dead|be alive|to live|better off|suicidal|wish i was dead|wish i were dead|end it|over with", r"\bi (?:just |really |honestly )*(?:want to|wanna) (?:die|be dead)\b|\bi (?:do not|don't|dont) (?:want to|wanna) (?:live|be alive|exist|wake up)\b|\b(?:no reason|nothing left) to live\b|\bbetter off (?:if i (?:were|was) dead|without me)\b|\bi(?:'m| am|'ve been| have been| feel)[^.!?\n]{0,16}?suicidal\b|\bwish i (?:was|were) dead\b|\b(?:just )?want (?:it|this)? ?(?:all )?(?:to end|to be over)\b"),
            sign(how, 0.92, _DO_NEEDS, rf"\b(?:how (?:do|can|could|should|would|many|much|to)|ways?|methods?|easiest|best|quickest|painless\w*|least painful|instruct\w*|steps|tips|object)\b{GAP}\b(?:to |for |of )?{_DO}", _HELPS),
            sign(how, 0.9, "suicide note", r"\b(?:write|draft|help me (?:write|with)|compose)\b[^.!?\n]{0,24}?\bsuicide note\b", r"\b(?:novel|story|character|film|play)\b"),
            sign("self-harm", 0.75, _DO_NEEDS, rf"\b(?:you should|just|go|why don't you|everyone should) {_DO}", _HELPS),
            sign(intent, 0.92, "自杀|轻生|生命|自残|自伤|割腕|上吊|跳楼|服毒|伤害自己|自己|了断|一切", f"(?:我|好|真|只|很|一直|总|就){HAN_GAP}(?:想|要|打算|准备|决定|试过|又|开始|念头)(?:着|过|要|去|了)?{HAN_GAP}{_HAN_DO}|(?:有|产生){HAN_GAP}(?:轻生|自杀)的?(?:念头|想法)", _HAN_HELPS),
            sign(intent, 0.92, "想死|不想活|活不下去|没意思|没有意思|去死|醒不过来|遗书|不想再醒", "(?:我|真|好|只|很)(?:的|是)?想死(?!你|他|她|它|了你|我)|不想(?:再)?活(?:了|下去)?|活不下去|活着(?:真|也|还|太)?(?:没有?意思|没有?意义|太累)|想死的心|不想再醒来|(?:我)?(?:死了|消失)(?:对)?大家(?:会|都)(?:更好|轻松)"),
            sign(how, 0.92, "自杀|轻生|生命|自残|自伤|割腕|上吊|跳楼|服毒|伤害|了断|安眠药|死", f"(?:怎么|怎样|如何|什么(?:方法|方式|东西)|哪种|最简单|最快|最没有痛苦|方法|教我|告诉我){HAN_GAP}{_HAN_DO}|{_HAN_DO}(?:的)?(?:方法|方式|步骤|最好|工具)|(?:吃|服用)多少{HAN_GAP}(?:能死|会死|自杀|醒不过来)|怎么死(?:不|才不|最|得)", _HAN_HELPS),
            sign(how, 0.9, "遗书|结束自己的生命", "(?:写|拟|草拟)[^。！？\n]{0,10}?(?:遗书|结束自己(?:的)?生命)", "小说|故事|角色|剧本"),
        ]  # fmt: skip
        super().__init__(
            "self_harm",
            ("self-harm", "self-harm/intent", "self-harm/instructions"),
            signs,
            {"self-harm": ("self-harm",)},
        )
