"""Harassment: abuse and threats against the person spoken to, or one that is named."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import GAP, HAN_GAP, sign

__all__ = ["HarassmentDetector"]

_NAME = (
    r"\b(?:idiot|moron|imbecile|loser|retard|scum(?:bag)?|bitch|bastard|whore|slut|cunt|asshole|dumbass|dipshit|dickhead|prick"
    r"|piece of (?:shit|trash|garbage)|pig|clown|freak|cretin|coward|pathetic)\b"
)
_HAN_NAME = "(?:傻[逼比屄叉]|煞笔|沙比|白痴|废物|蠢货|蠢猪|垃圾|贱人|贱货|婊子|畜生|脑残|智障|王八蛋|混蛋|混账|狗东西|人渣|丑八怪|窝囊废|神经病|死肥猪|杂种)"


class HarassmentDetector(ContentDetector):
    """Finds insults in the second person, abuse ("go to hell"), and threats against someone.

    Does not catch: mockery without hard words, persistent unwanted contact, insults in other
    languages. Friendly abuse among friends is found too.
    """

    def __init__(self) -> None:
        signs = [
            sign("harassment", 0.85, "you", rf"\b(?:you(?:'re| are| r)?|ur)\b[^.!?\n]{{0,24}}?{_NAME}", r"\b(?:not|aren't|never|called)\b"),
            sign("harassment", 0.85, "shut|fuck|go to|screw|die|yourself|kys", r"\b(?:shut (?:the fuck )?up,? you|fuck (?:you|off)|screw you|go to hell|go die|drop dead|kys|kill yourself|go kill yourself)\b"),
            sign("harassment", 0.75, "nobody|no one|everyone|everybody", r"\b(?:nobody|no one) (?:likes|loves|wants|needs) you\b|\bevery(?:one|body) (?:hates|despises) you\b"),
            sign("harassment/threatening", 0.9, "you|your", rf"\b(?:i|we)(?:'ll| will| am going to|'m going to| am gonna|'m gonna| want to){GAP}\b(?:kill|stab|shoot|murder|strangle|rape|hurt|beat|burn|hunt|cut|break)\b{GAP}\b(?:you|your (?:family|house|face|neck|legs|kids|children))\b"),
            sign("harassment", 0.85, "你|您|滚|操|草|妈|去死|闭嘴", f"你(?:们)?(?:就|真|简直|这|是|个|种|他妈|的|群|帮|不过){{0,6}}{HAN_GAP}{_HAN_NAME}|滚(?:开|蛋|出去)?[，, ]*(?:你|{_HAN_NAME})|(?:操|草|艹|日|肏)你(?:妈|娘|大爷|全家)|去你妈的|你妈的|你怎么不去死|给我去死|你去死吧"),
            sign("harassment", 0.7, "没人喜欢你|没有人喜欢你|都讨厌你|丢人现眼|不要脸", "没有?人喜欢你|(?:所有人|大家)都讨厌你|不要脸的东西|丢人现眼的东西"),
            sign("harassment/threatening", 0.9, "你", f"(?:我|老子|我们)(?:一定|今晚|明天|就|会|要|迟早|非){{1,5}}{HAN_GAP}(?:杀|弄死|砍|打断|打死|捅|烧死|掐死|拧断|揍){HAN_GAP}你"),
        ]  # fmt: skip
        super().__init__(
            "harassment",
            ("harassment", "harassment/threatening"),
            signs,
            {"harassment": ("harassment",), "harassment/threatening": ("harassment", "violence")},
        )
