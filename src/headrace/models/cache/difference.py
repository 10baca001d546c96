"""What makes two questions different however near their embeddings are.

"Sales in 2024" and "sales in 2025" have almost the same vector and different answers. So before an
answer is given to another question than its own, the words are compared: numbers and dates, names,
quoted text, negations and pairs of opposites must be the same, in the same order; and when most
words are the same, those that are not must be words without a subject of their own ("please",
"what is", "请问"). What this does not catch: a name in lower case, or in Chinese, in a question
that is worded differently throughout. That is left to the threshold.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence

__all__ = ["difference"]

NEARLY_SAME = 0.5
"""Share of words in common from which on a word that differs is taken for another subject."""

_WORD = re.compile(
    r"<[A-Z_]+_\d+>"  # a placeholder
    r"|[A-Za-z0-9_./-]*\d[\w./:%-]*"  # a number, date, version or identifier
    r"|[㐀-䶿一-鿿豈-﫿]"  # Chinese, character by character
    r"|[^\W\d_㐀-䶿一-鿿豈-﫿]+(?:['’][^\W\d_]+)*"
)
_QUOTED = re.compile(
    r"[\"“«「『]([^\"”»」』]{1,200})[\"”»」』]|(?<!\w)['‘]([^'’]{1,200})['’](?!\w)|`([^`]+)`"
)
_SENTENCE_END = re.compile(r"[.!?:;。！？：；\n]\s*\Z")
_NUMBER_WORDS = frozenset(
    [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
        "thirty",
        "forty",
        "fifty",
        "sixty",
        "seventy",
        "eighty",
        "ninety",
        "hundred",
        "thousand",
        "million",
        "billion",
        "half",
        "double",
        "twice",
        "third",
        "quarter",
        "first",
        "second",
        "last",
        "next",
        "previous",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "today",
        "yesterday",
        "tomorrow",
        "tonight",
        "morning",
        "evening",
        "spring",
        "summer",
        "autumn",
        "winter",
        "annual",
        "monthly",
        "weekly",
        "daily",
        "零",
        "一",
        "二",
        "三",
        "四",
        "五",
        "六",
        "七",
        "八",
        "九",
        "十",
        "百",
        "千",
        "万",
        "亿",
        "两",
        "半",
        "年",
        "月",
        "日",
        "今",
        "昨",
        "明",
        "后",
        "前",
        "上",
        "下",
        "早",
        "晚",
    ]
)
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nobody",
        "nothing",
        "neither",
        "nor",
        "without",
        "cannot",
        "cant",
        "dont",
        "doesnt",
        "isnt",
        "arent",
        "wont",
        "wouldnt",
        "shouldnt",
        "couldnt",
        "didnt",
        "wasnt",
        "werent",
        "hasnt",
        "havent",
        "except",
        "unless",
        "non",
        "un",
        "kein",
        "keine",
        "nicht",
        "ohne",
        "ne",
        "pas",
        "sans",
        "jamais",
        "sin",
        "nunca",
        "nao",
        "sem",
        "不",
        "没",
        "沒",
        "无",
        "無",
        "非",
        "未",
        "别",
        "勿",
        "否",
        "莫",
    ]
)
_OPPOSITES = frozenset(
    [
        "before",
        "after",
        "above",
        "below",
        "over",
        "under",
        "more",
        "less",
        "most",
        "least",
        "max",
        "min",
        "maximum",
        "minimum",
        "best",
        "worst",
        "high",
        "low",
        "higher",
        "lower",
        "highest",
        "lowest",
        "big",
        "small",
        "larger",
        "smaller",
        "increase",
        "decrease",
        "raise",
        "reduce",
        "up",
        "down",
        "left",
        "right",
        "in",
        "out",
        "on",
        "off",
        "to",
        "from",
        "into",
        "buy",
        "sell",
        "open",
        "close",
        "start",
        "stop",
        "enable",
        "disable",
        "allow",
        "deny",
        "add",
        "remove",
        "delete",
        "create",
        "install",
        "uninstall",
        "encrypt",
        "decrypt",
        "encode",
        "decode",
        "import",
        "export",
        "upload",
        "download",
        "lend",
        "borrow",
        "give",
        "take",
        "win",
        "lose",
        "old",
        "new",
        "young",
        "fast",
        "slow",
        "hot",
        "cold",
        "true",
        "false",
        "yes",
        "pro",
        "con",
        "pros",
        "cons",
        "advantage",
        "disadvantage",
        "advantages",
        "disadvantages",
        "cause",
        "effect",
        "with",
        "his",
        "her",
        "he",
        "she",
        "my",
        "your",
        "our",
        "their",
        "大",
        "小",
        "多",
        "少",
        "高",
        "低",
        "长",
        "短",
        "快",
        "慢",
        "新",
        "旧",
        "好",
        "坏",
        "买",
        "卖",
        "开",
        "关",
        "进",
        "出",
        "左",
        "右",
        "男",
        "女",
        "他",
        "她",
        "我",
        "你",
        "增",
        "减",
        "升",
        "降",
        "优",
        "缺",
        "有",
    ]
)
_EMPTY = frozenset(
    [
        "a",
        "an",
        "the",
        "of",
        "for",
        "and",
        "or",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "am",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "can",
        "could",
        "would",
        "will",
        "shall",
        "should",
        "may",
        "might",
        "must",
        "please",
        "tell",
        "me",
        "us",
        "you",
        "i",
        "we",
        "it",
        "its",
        "this",
        "that",
        "these",
        "those",
        "what",
        "whats",
        "which",
        "who",
        "whom",
        "how",
        "when",
        "where",
        "why",
        "there",
        "here",
        "about",
        "at",
        "by",
        "as",
        "so",
        "just",
        "really",
        "actually",
        "also",
        "then",
        "than",
        "if",
        "hi",
        "hello",
        "hey",
        "thanks",
        "thank",
        "know",
        "want",
        "need",
        "like",
        "give",
        "show",
        "explain",
        "say",
        "describe",
        "briefly",
        "exactly",
        "kindly",
        "help",
        "find",
        "let",
        "lets",
        "get",
        "got",
        "question",
        "answer",
        "的",
        "了",
        "吗",
        "呢",
        "啊",
        "吧",
        "呀",
        "么",
        "嘛",
        "请",
        "問",
        "问",
        "是",
        "在",
        "和",
        "与",
        "跟",
        "把",
        "被",
        "给",
        "告",
        "诉",
        "说",
        "讲",
        "一下",
        "什",
        "怎",
        "样",
        "如",
        "何",
        "哪",
        "谁",
        "为",
        "个",
        "些",
        "这",
        "那",
        "之",
        "也",
        "都",
        "就",
        "还",
        "能",
        "可",
        "以",
        "想",
        "要",
        "帮",
        "知",
        "道",
        "解",
        "释",
        "介",
        "绍",
        "您",
        "们",
    ]
)


def difference(one: str, other: str) -> str | None:
    """Why an answer to `other` must not be given to `one`, in a word; None: nothing speaks against it."""
    one, other = (unicodedata.normalize("NFKC", each) for each in (one, other))
    if _quoted(one) != _quoted(other):
        return "quoted"
    first, second = _words(one), _words(other)
    if _numbers(first) != _numbers(second):
        return "number"
    lower, other_lower = [each.lower() for each in first], [each.lower() for each in second]
    if _in(lower, _NEGATIONS) != _in(other_lower, _NEGATIONS):
        return "negation"
    if _in(lower, _OPPOSITES) != _in(other_lower, _OPPOSITES):
        return "opposite"
    names = _names(one) | _names(other)
    if [each for each in lower if each in names] != [each for each in other_lower if each in names]:
        return "name"
    return _subject(lower, other_lower)


def _words(text: str) -> list[str]:
    return [match[0].rstrip(".,:/-") for match in _WORD.finditer(text)]


def _quoted(text: str) -> list[str]:
    found = ((match[1] or match[2] or match[3]).strip().lower() for match in _QUOTED.finditer(text))
    return list(found)


def _numbers(words: Sequence[str]) -> list[str]:
    """Everything with a digit, and words for numbers and times, in order."""
    found = []
    for word in words:
        lowered = word.lower()
        if any(each.isdigit() for each in word):
            found.append(lowered.replace(",", "").lstrip("0") or "0")
        elif lowered in _NUMBER_WORDS:
            found.append(lowered)
    return found


def _in(words: Sequence[str], known: frozenset[str]) -> list[str]:
    """Those of the words that are known; a contraction with `n't` is the negation of its verb."""
    found = []
    for word in words:
        plain = word.replace("'", "").replace("’", "")
        if plain in known:
            found.append("not" if plain.endswith("nt") and known is _NEGATIONS else plain)
    return found


def _names(text: str) -> set[str]:
    """Words written with a capital within a sentence, or in capitals; in lower case."""
    found: set[str] = set()
    for match in _WORD.finditer(text):
        word = match[0]
        if len(word) > 1 and word.isupper():
            found.add(word.lower())
        elif word[0].isupper() and word.lower() != "i":
            before = text[: match.start()]
            if before.strip() and not _SENTENCE_END.search(before):
                found.add(word.lower())
    return found


def _subject(one: Sequence[str], other: Sequence[str]) -> str | None:
    """`subject` where nearly all words are the same and the rest is not empty talk."""
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.ratio() < NEARLY_SAME:
        return None
    here: list[str] = []
    there: list[str] = []
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag != "equal":
            here += [each for each in one[a:b] if _plain(each) not in _EMPTY]
            there += [each for each in other[c:d] if _plain(each) not in _EMPTY]
    if len(here) != len(there):
        return "subject"
    same = all(_is_form_of(a, b) for a, b in zip(sorted(here), sorted(there), strict=True))
    return None if same else "subject"


def _plain(word: str) -> str:
    return word.replace("'", "").replace("’", "")


def _is_form_of(one: str, other: str) -> bool:
    """Whether two words are one in another form (`price`, `prices`) or spelling (`colour`, `color`)."""
    if one == other:
        return True
    shorter = min(len(one), len(other))
    if shorter < 4:
        return False
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shorter)
    return common >= 4 and max(len(one), len(other)) - common <= 3
