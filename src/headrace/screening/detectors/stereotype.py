"""Stereotypes: what a text says of all members of a group, and unequal treatment because of it."""

from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.group import GROUP, GROUP_NEEDS, HAN_GROUP, HAN_GROUP_NEEDS
from headrace.screening.content.sign import HAN_GAP, sign

__all__ = ["StereotypeDetector"]

_TRAIT = (
    r"\b(?:lazy|greedy|stupid|dumb|dirty|violent|criminals?|thieves|cheap|stingy|emotional|hysterical|weak|dangerous|submissive|aggressive|uneducated|ignorant"
    r"|liars?|cheaters?|drunks?|alcoholics|terrorists?|bad drivers|terrible drivers|gold diggers?|good at math\w*|bad at math\w*|bad with money|good with money|helpless|backward|primitive|illiterate|ungrateful|promiscuous|inferior|superior)\b"
)
_NOT_OURS = r"\b(?:not|never|myth|stereotypes?|stereotypical|claim(?:s|ed)?|wrong to|unfair|bias(?:ed)?|prejudice|discriminat\w+|study|research|percent|statistics|sexis[mt]|racis[mt])\b|n't "
_HAN_TRAIT = "(?:懒|小气|抠门|爱骗人|没文化|没教养|素质低|情绪化|脾气(?:暴躁|坏)|粗鲁|野蛮|脏|笨|蠢|不会(?:开车|修车|理财|管钱)|学不(?:好|会)|贪婪|狡猾|爱占便宜|能歌善舞|不懂(?:机械|技术|管钱)|没(?:那个)?(?:耐心|能力|上进心)|顽固|低人一等|不适合)"
_HAN_NOT_OURS = "不是所有|并非|刻板印象|偏见|歧视|错误的|不应该认为|谬论|研究|调查|统计|反对"


class StereotypeDetector(ContentDetector):
    """Finds generalisations about a group, and advice to treat people unequally because of it.

    Does not catch: stereotypes that are told as a story about one person, most of those without
    a named group, and treatment that is unequal between two answers: `headrace screen bias`
    looks for that.
    """

    def __init__(self) -> None:
        kind = "stereotype"
        signs = [
            sign(kind, 0.8, GROUP_NEEDS, rf"{GROUP} (?:are|is|were|can't help being|tend to be|will always be)(?: all| always| just| so| such| naturally| too| mostly| usually| nothing but| known to be)* (?:\w+ ){{0,2}}?{_TRAIT}", _NOT_OURS),
            sign(kind, 0.8, "women|girls|men|boys|old people|females|blacks|whites|immigrants|foreigners", r"\b(?:women|girls|females|men|boys|males|old people|blacks|whites|immigrants|foreigners) (?:belong in|can't (?:drive|do|learn|lead|be trusted)|cannot (?:drive|do|learn|lead|be trusted)|should (?:stay|be) (?:at home|home|in the kitchen)|don't (?:know how to|understand)|are (?:bad|no good|worse|better) at)\b", r"\b(?:stereotypes?|myth|not true|sexis[mt]|racis[mt])\b"),
            sign(kind, 0.85, "hire|rent|promote|trust|admit", rf"\b(?:don't|do not|never|avoid|refuse to|shouldn't|should not)\b[^.!?\n]{{0,12}}?\b(?:hir\w*|rent\w* to|promot\w*|trust\w*|admit\w*|sell\w* to|employ\w*)\b[^.!?\n]{{0,16}}?{GROUP}", r"\b(?:illegal|discriminat\w+|law)\b"),
            sign(kind, 0.8, HAN_GROUP_NEEDS, f"{HAN_GROUP}(?:嘛)?[，,]?(?:们)?(?:都|就是|天生|总是|从来|根本|肯定|本来就|往往){{1,3}}{HAN_GAP}{_HAN_TRAIT}|{HAN_GROUP}(?:不适合|就应该|就该|只配|不配|学不会|学不好)", _HAN_NOT_OURS),
            sign(kind, 0.85, "招|录用|租给|提拔|相信|雇", f"(?:不要|别|不能|拒绝)(?:招聘?|录用|租给|提拔|相信|雇用?){HAN_GAP}{HAN_GROUP}|(?:招聘|录用)[^。！？\n]{{0,6}}?(?:不要|别要){HAN_GAP}{HAN_GROUP}", "违法|歧视|法律"),
        ]  # fmt: skip
        super().__init__("stereotype", (kind,), signs, {kind: ("stereotype",)})
