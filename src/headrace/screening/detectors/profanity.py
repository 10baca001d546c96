"""Profanity: strong words, whoever they are meant for."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.sign import sign

__all__ = ["ProfanityDetector"]

_STRONG = r"(?<![a-z])(?:(?:mother)?f+[u*@v#]+c*[k*]+(?:e[rd]s?|ing|in|s|wit|face)?|c[u*]nts?|cocksuckers?|bullf?sh[i1*!]t)(?![a-z])"
_MIDDLE = r"(?<![a-z])(?:(?:bull|horse|dip)?sh[i1*!]+t(?:ty|s|head|ting)?|b[i1*!]tch(?:es|y)?|a[s$*]{2}(?:hole|wipe|hat)?s?|d[i1*]ckheads?|bastards?|wankers?|twats?|pricks?|whores?|sluts?|piss(?:ed)? off)(?![a-z])"
_MILD = (
    r"(?<![a-z])(?:damn(?:ed|it)?|goddamn|crap(?:py)?|bloody hell|arse|wtf|stfu|bollocks)(?![a-z])"
)


class ProfanityDetector(ContentDetector):
    """Finds swear words with their usual disguises (`f*ck`, `sh1t`, `a$$`): 0.9 strong, 0.7 middle, 0.5 mild.

    Rules alone. Does not catch: words spelt apart (`f u c k`), new slang, languages other than
    English and Chinese. Names and words that hold such letters inside (Scunthorpe) are left alone.
    """

    cost_us = 20

    def __init__(self) -> None:
        kind = "profanity"
        signs = [
            sign(kind, 0.9, "fu|ff|f*|f@|fv|f#|cu|c*n|c@|coc|bull|moth", _STRONG),
            sign(kind, 0.7, "shi|sh1|sh*|sh!|bit|b1t|b*t|b!t|ass|a$|a*|as$|as*|dick|d1ck|d*ck|bastard|wank|twat|prick|whore|slut|piss", _MIDDLE),
            sign(kind, 0.5, "damn|crap|bloody|arse|wtf|stfu|bollocks", _MILD),
            sign(kind, 0.9, "操|草|艹|肏|日你|鸡巴|屌|逼|屄", "(?:操|草|艹|肏|日)(?:你|他|她|尼)(?:妈|娘|大爷|全家|祖宗|奶奶)|草泥马|鸡巴|傻[逼屄]|煞笔|装[逼屄]|妈了?个?[逼屄]|肏"),
            sign(kind, 0.7, "妈的|他妈|尼玛|你妹|王八蛋|狗日|狗娘|婊子|贱[人货]|混蛋|放屁|滚蛋|傻叉|傻比", "(?:他|你|特)?(?:妈|娘)的(?!话|手|照片|生日|名字|电话|[\u4e00-\u9fff]{1,3}(?:节|菜|衣))(?=[，。！!？?\\s]|$|[傻蠢烦滚破烂])|他妈(?:的|了)?(?=[，。！!？?\\s傻蠢烦滚破烂真]|$)|尼玛|王八蛋|狗日的|狗娘养|婊子|混蛋|傻叉|傻比|放狗屁"),
            sign(kind, 0.5, "卧槽|我靠|我操|牛逼|滚蛋|该死的", "卧槽|我靠|牛逼|滚蛋|该死的"),
        ]  # fmt: skip
        super().__init__("profanity", (kind,), signs)
