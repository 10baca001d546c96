"""What texts made to be slow cost: every detector, `normalize`, and the filters over an answer.

    python bench/hostile.py [--kilobytes 1024] [--only NAME]

For each part: the worst of all hostile texts at a quarter of the size and at the whole size, in
milliseconds of CPU, and the ratio of both. Linear work has a ratio near 4; quadratic work near 16.
Parts that run over a stream get the text in pieces of 4 characters, as a model's tokens come.
"""

import argparse
import time
from collections.abc import Callable, Iterator

from headrace.access.principal import Principal
from headrace.errors import PolicyBlocked
from headrace.pipeline.steps.normalize.language import identify, load_profiles
from headrace.pipeline.steps.normalize.passage import prose
from headrace.pipeline.steps.normalize.text import normalize_text
from headrace.pipeline.steps.refine import RefineSettings, RefineStep
from headrace.pipeline.turn import Turn
from headrace.screening.answer import AnswerScreen
from headrace.screening.arguments import ArgumentsScreen
from headrace.screening.detectors.term import TermDetector
from headrace.screening.finding import Detector, Finding
from headrace.screening.masking import MaskTable
from headrace.screening.prompt import screen_prompt
from headrace.screening.registry import detectors
from headrace.screening.rule import Rule, SideRules

UNITS = [
    "a", "1", " ", ".", "-", "@", ":", "/", "<", "\n", "坏", "é", "İ", "\t", "\r", "&", "`", "~", "*", '"', "'",
    "a@", "a.", "a@a.", "a@b.c ", "@a", "1 ", "1-", "1.", "12 34 ", "1234 ", "(0", "+1", "+", "00", " .", " \n",
    "1.1.", "1:", "a:", "::", "fe80:", "AB", "AB1", "DE89 ", "AB 12 ", "ssn ", "eyJ", "eyJa.", "eyJeyJ.",
    "sk-", "sk-a", "ghp_", "AKIA", "SG.a.", "://", "a://", "a://b:", "a://b:c", "http://a:", "password=",
    "password ", "secret: ", "密码", "密码是", 'api_key="', "-----BEGIN ", "-----BEGIN PRIVATE KEY-----\n",
    "-----END", "A: b\n", "AAAAAAAAAAAAAAAAAAAAAAAA\n", "a a ", "aaaa_", "moonshot", "moon ", "dark ",
    "ignore ", "ignore all ", "ignore previous ", "show ", "tell me ", "you are ", "act as no ", "from now on ",
    "decode ", "decode base64 ", "do not ", "system", "\nsystem ", "# system ", "[system", "<|", "[inst",
    "pesel 1", "1 A ", "A1 ", "1A-", "12345 ", "passport ", "护照1", "京A", "京A1", "plate A1 ", "born 1/", "1 May ", "1年", "12 Elm ", "1 A, ",
    "John ", "J. ", "Mc", "van ", "O'", "王", "王小", "路1号", "路", "key a1", "token ", "a1", "aa:", "aa-",
    "忽略", "忽略之前", "显示", "提示词", "扮演", "你现在是", "进入", "解码", "without any ", "<EMAIL", "<EMAIL_1", "&lt;", "\\",
    "&amp;", "&amp;amp;", "&#38;", "&#", "&a", "`a", "``a`", "```\n", "~~~", "> ", "- ", "1. ", "www.", "http://", "<a ", "</",
    "Ã", "Ã©", "â€™", "РЎ", "浣犲", "ÄãºÃ", "\u200b", "a\u0301", "\u0301", "ｆ", "，", "𝐚 ", "𝐚", "аa", "а", "\ufe0f", "👍\u200d",
    "the the ", "the ", "one two three four ", "a b ", "| a |\n", "- yes\n", "?", "a. ", "。", "…", "<s>", "<s", "[IN", "\\u0061",
]  # fmt: skip
TERM = TermDetector({"words": ["moonshot", "a a a a b", "dark horse", "坏人坏事", "aaaaaaaaaaaab"]})
ALL: tuple[Detector, ...] = (*(each for each, _ in detectors().values()), TERM)
RULES = {kind: (Rule(action="mask"),) for each in ALL for kind in each.kinds}
STREAMED = SideRules(
    "output", tuple(each for each in ALL if each.window is not None), (), RULES, {}
)
HELD = SideRules("output", ALL, (), RULES, {})
PROMPT = SideRules("input", ALL, (), RULES, {})
PIECE = 4

Work = Callable[[str], object]


def main() -> None:
    options = arguments()
    size = options.kilobytes * 1024
    load_profiles()
    print(f"{'part':<24}{size // 4096:>8} KiB{size // 1024:>8} KiB   ratio  worst text")
    for name, work in parts():
        if options.only and options.only not in name:
            continue
        show(name, work, size)


def show(name: str, work: Work, size: int) -> None:
    """One line: the unit that costs most at a quarter of the size, then at both sizes."""
    slowest = sorted(
        ((cpu_s(work, text_of(unit, size // 32)), unit) for unit in UNITS), reverse=True
    )
    worst = max((cpu_s(work, text_of(unit, size // 4)), unit) for _, unit in slowest[:6])
    whole = cpu_s(work, text_of(worst[1], size))
    print(
        f"{name:<24}{worst[0] * 1e3:>9.1f} ms{whole * 1e3:>9.1f} ms{whole / worst[0]:>8.1f}  {worst[1]!r}",
        flush=True,
    )


def text_of(unit: str, size: int) -> str:
    return "x " + unit * (size // len(unit)) + "!"


def cpu_s(work: Work, text: str) -> float:
    began = time.process_time()
    work(text)
    return max(time.process_time() - began, 1e-6)


def parts() -> Iterator[tuple[str, Work]]:
    for each in ALL:
        yield each.name, lambda text, each=each: list(each.detect(text))  # type: ignore[misc]
    yield "prompt, all detectors", lambda text: screen_prompt(text, PROMPT, MaskTable(), [])
    yield "reserve placeholders", lambda text: MaskTable().reserve([text])
    yield "normalize", normalize_text
    yield "language", lambda text: identify(prose(text))
    yield "screen, streamed", lambda text: streamed(screen(STREAMED), text)
    yield "screen, whole", lambda text: whole(screen(STREAMED), text)
    yield "screen, held to the end", lambda text: streamed(screen(HELD), text)
    yield "arguments", lambda text: streamed(arguments_screen(), text)
    yield "arguments, one string", lambda text: streamed(arguments_screen(), '"' + text)
    for option in ("plain", "typography", "drop_unfinished"):
        yield f"refine, {option}", lambda text, o=option: streamed(refine(o), text)  # type: ignore[misc]
        yield f"refine whole, {option}", lambda text, o=option: whole(refine(o), text)  # type: ignore[misc]


class Filter:
    """What any of the filters can do."""

    def __init__(self, push: Callable[[str], str], finish: Callable[[str], str]) -> None:
        self.push, self.finish = push, finish


def streamed(each: Filter, text: str) -> None:
    for at in range(0, len(text), PIECE):
        each.push(text[at : at + PIECE])
    each.finish("stop")


def whole(each: Filter, text: str) -> None:
    each.push(text)
    each.finish("stop")


def screen(rules: SideRules) -> Filter:
    masks = MaskTable()
    masks.placeholder("email", "kim@example.org")
    found: list[Finding] = []
    made = AnswerScreen(rules, masks, found, lambda: PolicyBlocked("no"))
    return Filter(made.push, made.finish)


def arguments_screen() -> Filter:
    def screened(text: str, *, wrap: Callable[[str], str]) -> str:
        made = AnswerScreen(STREAMED, MaskTable(), [], lambda: PolicyBlocked("no"), wrap=wrap)
        return made.push(text) + made.finish("stop")

    made = ArgumentsScreen(screened)
    return Filter(made.push, made.finish)


def refine(option: str) -> Filter:
    settings = RefineSettings(
        max_repeats=10**9,
        typography="auto" if option == "typography" else "off",
        drop_unfinished=option == "drop_unfinished",
    )
    turn = Turn(
        principal=Principal(key_id="bench", name="bench", role="user"), messages=[], language="en"
    )
    made = RefineStep(settings).filter(turn, "text", 0)
    assert made is not None
    return Filter(made.push, made.finish)  # type: ignore[arg-type]  # any reason will do


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kilobytes", type=int, default=1024)
    parser.add_argument("--only", default="")
    return parser.parse_args()


if __name__ == "__main__":
    main()
