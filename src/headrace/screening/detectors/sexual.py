"""Sexual content."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["SexualDetector"]

_CLINICAL = (
    r"\b(?:patients?|doctors?|health|disease|infections?|anatomy|education|contracept\w+|cancer|syndrome|symptoms?|clinic"
    r"|study|abuse|assault|trafficking|harassment|law|survivors?|prevent\w*)\b"
)
_HAN_CLINICAL = (
    "医生|患者|疾病|感染|解剖|性教育|避孕|癌|症状|门诊|研究|性侵|性骚扰|法律|受害|预防|打击|举报"
)


class SexualDetector(ContentDetector):
    """Finds explicit descriptions of sexual acts, requests for them, and terms of pornography.

    Medical, legal and educational talk is left alone where its sentence says so. Does not catch:
    innuendo, romance without explicit words, terms made up to evade.
    """

    def __init__(self) -> None:
        signs = [
            sign("sexual", 0.85, "blowjob|blow job|handjob|cumshot|creampie|deepthroat|gangbang|dildo|hentai|milf|cum |cock|pussy|clit|tits|horny|fuck", r"\b(?:blow ?jobs?|handjobs?|cumshots?|creampies?|deepthroat|gangbang|dildos?|hentai|milfs?|her (?:wet )?(?:pussy|clit|tits)|his (?:hard |throbbing )?(?:cock|dick)|cum (?:in|on|inside)|so horny|fuck(?:ed|ing)? (?:her|him|me) (?:hard|from behind|deep))\b"),
            sign("sexual", 0.8, "erotic|porn|sex scene|sexually explicit|smut|nudes|naked|steamy|dirty", rf"\b(?:write|generate|create|describe|tell|show|send|give|make|roleplay|role-play){GAP}\b(?:erotic\w*|porn\w*|sex scenes?|sexually explicit|smut|nudes|naked (?:body|pictures?|photos?)|steamy scene|dirty (?:story|talk))\b", _CLINICAL),
            sign("sexual", 0.7, "moan|thrust|nipple|panties|orgasm|penis|vagina|erection|masturbat|breasts", rf"\b(?:moan(?:ed|ing)|thrust(?:ed|ing)?|groan(?:ed|ing)|undress\w*|straddl\w+|lick\w*|suck\w*|caress\w*|kiss\w*){GAP}\b(?:nipples?|panties|orgasms?|penis|vagina|erection|breasts?|thighs|inside (?:her|him|me))\b|\bmasturbat(?:ed|ing|es) (?:to|for|while)\b", _CLINICAL),
            sign("sexual", 0.85, "操逼|鸡巴|骚逼|骚货|口爆|颜射|内射|潮吹|淫水|肉棒|小穴|淫荡|乳交|轮奸|约炮|啪啪", "操逼|鸡巴|骚[逼货穴]|口爆|颜射|内射|潮吹|淫水|肉棒|小穴|淫荡|乳交|群交|约炮|打飞机|啪啪啪", _HAN_CLINICAL),
            sign("sexual", 0.8, "色情|黄色|成人|床戏|床上|性爱|性描写|裸照|裸体|情色|黄片|黄段子|A片|a片", f"(?:写|描写|描述|生成|来|讲|发|推荐|看|给我|编){HAN_GAP}(?:色情|黄色(?:小说|网站|视频|笑话|故事)|成人(?:小说|片|视频)|床戏|床上(?:场面|戏)|性爱|性描写|裸照|裸体(?:照|视频)|情色|黄片|黄段子|a片)", _HAN_CLINICAL),
            sign("sexual", 0.75, "做爱|性交|口交|自慰|高潮|呻吟|娇喘|乳头|乳房|下体|挺进|抽插|揉捏", f"(?:呻吟|娇喘|喘息|抚摸|揉捏|舔|吮吸|挺进|抽插|扭动|脱下|伸进){HAN_GAP}(?:乳头|乳房|胸部|下体|身体|内衣|内裤|大腿|私处|高潮)|(?:两人|我们|一起|激情|疯狂)(?:地)?(?:做爱|性交)", _HAN_CLINICAL),
        ]  # fmt: skip
        super().__init__("sexual", ("sexual",), signs, {"sexual": ("sexual",)})
