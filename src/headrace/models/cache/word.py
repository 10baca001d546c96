"""Words by which two questions differ, or do not; English, Chinese (by character), a few of others.

Lists, not grammar: they are there to refuse, so a word too many costs a hit and never an error.
"""

from typing import Final

__all__ = ["EMPTY", "NEGATIONS", "NUMBERS", "OPPOSITES", "ORDINARY", "OWNERS", "QUESTIONS"]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBERS: Final = _set("""
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety
    hundred thousand million billion half double twice third quarter first second last next
    previous january february march april june july august september october november december
    monday tuesday wednesday thursday friday saturday sunday today yesterday tomorrow tonight
    morning evening spring summer autumn winter annual monthly weekly daily
    零 一 二 三 四 五 六 七 八 九 十 百 千 万 亿 两 半 年 月 日 今 昨 明 后 前 上 下 早 晚
""")
"""Numbers and times in words."""
NEGATIONS: Final = _set("""
    not no never none nobody nothing neither nor without cannot cant dont doesnt isnt arent wont
    wouldnt shouldnt couldnt didnt wasnt werent hasnt havent except unless non
    kein keine nicht ohne ne pas sans jamais sin nunca não sem
    不 没 沒 无 無 非 未 别 勿 否 莫
""")
OPPOSITES: Final = _set("""
    before after above below over under more less most least min max minimum maximum best worst
    high low higher lower highest lowest big small larger smaller increase decrease raise reduce
    up down left right off with buy sell open close start stop enable disable allow deny add remove
    delete create install uninstall encrypt decrypt encode decode import export upload download
    lend borrow win lose old new young fast slow hot cold true false pro con pros cons
    advantage disadvantage advantages disadvantages cause effect male female man woman he she
    大 小 多 少 高 低 长 短 快 慢 新 旧 好 坏 买 卖 开 关 进 出 左 右 男 女 增 减 升 降 优 缺
""")
"""Words of which another could stand in the same place and turn the question round."""
OWNERS: Final = _set("my your his her our their its 我 你 他 她")
"""Of different ones; one of the two may lack any."""
QUESTIONS: Final = _set("who whom whose when where why how which 谁 哪 几 何")
"""What kind of answer is asked for; `what` asks for any."""
EMPTY: Final = _set("""
    a an the of for and or to in on at by as is are was were be been being am do does did has have
    had can could would will shall should may might must please tell me us you i we it this that
    these those what whats there here about so just really actually also then than if hi hello hey
    thanks thank know want need like give show explain say describe briefly exactly kindly help
    find let lets get got question answer one's
    的 了 吗 呢 啊 吧 呀 么 嘛 请 问 是 在 和 与 跟 把 被 给 告 诉 说 讲 什 怎 样 如 为 个 些 这 那
    之 也 都 就 还 能 可 以 想 要 帮 知 道 解 释 介 绍 您 们 我 你 他 她
""")
"""Words without a subject of their own."""
ORDINARY: Final = EMPTY | NUMBERS | NEGATIONS | OPPOSITES | OWNERS | QUESTIONS
"""Words that are no names, however they are written."""
