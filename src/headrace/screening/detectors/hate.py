"""Hate: contempt for people because of a group that they belong to."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.group import GROUP, GROUP_NEEDS, HAN_GROUP, HAN_GROUP_NEEDS
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["HateDetector"]

_SLUR = (
    r"\b(?:n[i1]gg(?:er|a)s?|kikes?|fagg?ots?|chinks?|sp[i1]cs?|wetbacks?|gooks?|(?:rag|towel)heads?|trann(?:y|ies)"
    r"|coons?|beaners?|sand ?n[i1]gg?(?:er|a)s?|pakis|untermensch(?:en)?|subhumans?)\b"
)
_LOW = (
    r"\b(?:vermin|parasites?|cockroach(?:es)?|scum|filth|trash|garbage|animals|savages|apes|monkeys|rats|pigs|a disease|a cancer"
    r"|a plague|subhuman|inferior|degenerates?|rapists|terrorists|criminals by nature)\b"
)
_AWAY = r"\b(?:get rid of|deport|throw out|kick out|ban|wipe out|exterminate|eradicate|gas|kill|shoot|lynch|burn|hang)\b"
_KILL = r"\b(?:wipe out|exterminate|eradicate|gas|kill|shoot|lynch|burn|hang|slaughter|massacre)\b"
_NOT_OURS = r"\b(?:not|never|don't|wrong to|myth|slur|hateful|hate speech|racis[mt]|stereotypes?|propaganda|claimed|nazis?|historians?)\b"
_HAN_NOT_OURS = "不是|不应|不该|反对|歧视|种族主义|偏见|仇恨言论|宣传|历史|纳粹"


class HateDetector(ContentDetector):
    """Finds slurs, dehumanising words about a group, and calls to remove or hurt one.

    Does not catch: contempt that names no group, irony, coded words ("those people"), slurs in
    languages other than English and Chinese, and little of what sounds polite. Reclaimed slurs
    and quotations are found too.
    """

    def __init__(self) -> None:
        signs = [
            sign("hate", 0.85, "nig|n1g|kike|fag|chink|spic|sp1c|wetback|gook|head|trann|coon|beaner|paki|mensch|subhuman", _SLUR),
            sign("hate", 0.85, GROUP_NEEDS, rf"{GROUP} (?:is|are|were)\b[^.!?\n]{{0,30}}?{_LOW}", _NOT_OURS),
            sign("hate", 0.8, "hate|despise|disgust", rf"\bi (?:really |just |fucking )?(?:hate|despise) (?:all |the |those |these )*{GROUP}", _NOT_OURS),
            sign("hate", 0.85, GROUP_NEEDS, rf"{_AWAY} (?:all |every |the |those |these |of )+{GROUP}", _NOT_OURS),
            sign("hate/threatening", 0.9, GROUP_NEEDS, rf"{_KILL} (?:all |every |the |those |these |of )+{GROUP}", _NOT_OURS),
            sign("hate/threatening", 0.85, GROUP_NEEDS, rf"{GROUP}{GAP}\b(?:should|must|need to|deserve to) (?:all )?(?:be (?:killed|shot|hanged|gassed|exterminated|burned)|die)\b", _NOT_OURS),
            sign("hate", 0.85, "黑鬼|支那|基佬|死同性恋|蝗虫|阿三|棒子|绿绿", "黑鬼|支那(?:猪|人|狗)|死(?:基佬|同性恋)"),
            sign("hate", 0.85, HAN_GROUP_NEEDS, f"{HAN_GROUP}(?:都|全|就|只)*(?:是|不过是|算是){HAN_GAP}(?:畜生|牲口|垃圾|寄生虫|害虫|渣滓|人渣|毒瘤|劣等|低等|下贱|恐怖分子|败类|蛆)", _HAN_NOT_OURS),
            sign("hate", 0.8, "恨|恶心|讨厌|不配|滚", f"(?:最恨|憎恨|痛恨|恶心|讨厌){HAN_GAP}{HAN_GROUP}|{HAN_GROUP}{HAN_GAP}(?:不配|滚出|恶心|滚回)", _HAN_NOT_OURS),
            sign("hate/threatening", 0.9, "杀|灭|赶|清除|烧|枪毙", f"(?:杀光|杀掉|灭绝|消灭|烧死|枪毙|清除){HAN_GAP}{HAN_GROUP}|{HAN_GROUP}{HAN_GAP}(?:都该死|该被杀|应该被消灭|全部杀)", _HAN_NOT_OURS),
        ]  # fmt: skip
        super().__init__(
            "hate",
            ("hate", "hate/threatening"),
            signs,
            {"hate": ("hate",), "hate/threatening": ("hate", "violence")},
        )
