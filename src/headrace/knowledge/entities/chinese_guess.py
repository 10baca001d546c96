"""People, organisations and places that the glossary does not hold, guessed in Chinese text.

By lists of well-known names, by what a name ends in (公司, 大学, 委员会, 省), and for people by a
surname, signs that are common in given names, and what stands around them. Text is not cut into
words, so a name behind an unusual verb is missed or begins too early.
"""

import re
from collections.abc import Iterator
from functools import cache

from headrace.knowledge.entities.guess import Guess, lexicon
from headrace.knowledge.entities.longer_word import is_short, longer_words

__all__ = ["chinese_guesses"]

_GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀兰霞平刚桂英华玉萍红玲芬燕彬云飞峰鹏辉斌宇浩凯健俊帆雪林琳婷晶莹倩"
    "欣怡佳瑶璐颖慧雅洁梅莉珍琴瑞翔龙海波东晓小志国建文德光永立新成春晨阳鑫雨子轩涵梓睿思诗嘉宏庆福荣贵良忠"
    "义仁祥安康宁泽然博达远震宝川松柏竹菊荷莲星辰凤启君卫亮亚悦昊晗桐楠毅沛淑清源润炎焕琪琦瑾璇皓盛睿硕"
    "祖秋程立竣纯维美翠胜芸若茂荣莎菲萌蓉蕾薇豪贤贞跃逸雄霖静韵顺颜馨骏鸿鹤黎宗政景昌树振兴培世继绍鲁迅"
    "白适舟飘冰心舒羽丰锦锋钧铭镇长启怀先士元少丘斯"
)
_TITLE = (
    "先生|女士|小姐|教授|博士|老师|医生|经理|主任|主席|总理|总统|院长|校长|部长|市长|省长|董事长|总监|律师|工程师|"
    "同学|同志|书记|总裁|记者|作家|处长|局长"
)
_BEHIND = "在是的说从去来自和与，。、？！；：了于将已被就毕负创发退借生任表认告住给对向跟也都要想会提写出到参加今明昨前后上下半\\d"
_BEFORE = "在是的和与了由向请问叫给为被对把让、，。；：！？“”（）()\\s,.!?:;跟同及或找见约"
_STOP = re.compile(
    "毕业于|就读于|任职于|来自|位于|属于|[在是的和与了由向从去到给为被对把让请问叫说读及或跟同访赴住卖买等约找见]|"
    "[先女][生士]"
)
_NAME_END = (
    "有限公司|股份公司|公司|集团|大学|学院|医院|银行|研究院|研究所|委员会|协会|基金会|出版社|法院|检察院|统计局|公安局|"
    "教育局|税务局|总局|理事会|联合会|交易所|博物馆|俱乐部"
)
_ORGANISATION = re.compile(f"[\u4e00-\u9fff]{{2,14}}?(?:{_NAME_END})")
_MINISTRY = re.compile(
    "(?:教育|外交|国防|财政|商务|卫生|公安|司法|交通运输|农业|农业农村|科技|水利|生态环境|环境|民政|文化|工信|住建)部"
    "(?!门|分|署|长|位|件|队)"
)
_PLACE = re.compile(
    "[\u4e00-\u9fff]{2,4}?(?:(?<![节本全各外])省|(?<![城超门股上夜都闹黑菜楼早集开收入利])市|(?<![本该各全])县|"
    "(?<![城乡冰古小重])镇|自治区)(?![长场委政民里值面价中内定])"
)
_NO_PREFIX = re.compile(
    "(?:我们|你们|他们|咱们|这家|那家|一家|两家|几家|该|本|分|贵|子|母|总|我|你|他|各|每个?|某|这个?|那个?|小|上|开|所有|"
    "全|家|新)+$|.*分$"
)
_WORDY = re.compile("[\u4e00-\u9fff]")


@cache
def _person() -> re.Pattern[str]:
    surnames = sorted(lexicon("chinese_surnames"), key=len, reverse=True)
    name = f"(?P<name>(?:{'|'.join(surnames)})[{_GIVEN}]{{1,2}})"
    return re.compile(
        f"(?:^|(?<=[{_BEFORE}])|(?<=[日天月年周午点晚期后前末]))"
        f"{name}(?:(?P<title>{_TITLE})|(?=[{_BEHIND}]|$|《))"
    )


@cache
def _listed() -> tuple[re.Pattern[str], dict[str, list[str]], dict[str, str]]:
    """What a listed name begins with, names by their first sign, and what each is."""
    kinds = dict.fromkeys(lexicon("chinese_places"), "place")
    kinds |= dict.fromkeys(lexicon("chinese_organisations"), "organisation")
    by_sign: dict[str, list[str]] = {}
    for name in sorted(kinds, key=len, reverse=True):
        by_sign.setdefault(name[0], []).append(name)
    return re.compile(f"[{''.join(by_sign)}]"), by_sign, kinds


def chinese_guesses(text: str) -> Iterator[Guess]:
    """Guesses; they may lie over one another, the earlier and longer are the better ones."""
    if not _WORDY.search(text):
        return
    yield from _organisations(text)
    yield from _names_of_list(text)
    for match in _person().finditer(text):
        yield match.start("name"), match.end("name"), "person", 0.9 if match["title"] else 0.7
    for match in _PLACE.finditer(text):
        start = _behind_stop(text, match.start(), match.end() - 1)
        if match.end() - start > 2 and not _NO_PREFIX.fullmatch(text[start : match.end() - 1]):
            yield start, match.end(), "place", 0.6


def _organisations(text: str) -> Iterator[Guess]:
    for match in _MINISTRY.finditer(text):
        yield match.start(), match.end(), "organisation", 0.8
    for match in _ORGANISATION.finditer(text):
        ending = re.search(f"(?:{_NAME_END})$", match[0])
        assert ending is not None
        head = match.start() + ending.start()
        start = _behind_stop(text, match.start(), head)
        if head - start >= 2 and not _NO_PREFIX.fullmatch(text[start:head]):
            yield start, match.end(), "organisation", 0.7


def _behind_stop(text: str, start: int, end: int) -> int:
    for match in _STOP.finditer(text, start, end):
        start = match.end()
    return start


def _names_of_list(text: str) -> Iterator[Guess]:
    first, by_sign, kinds = _listed()
    longer = longer_words(frozenset(name for name in kinds if is_short(name)))
    end = 0
    for match in first.finditer(text):
        at = match.start()
        for name in by_sign[match[0]] if at >= end else ():
            if text.startswith(name, at) and not (name in longer and longer[name].hold(text, at)):
                end = at + len(name)
                yield at, end, kinds[name], 0.8
                break
