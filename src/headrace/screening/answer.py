"""Screening an answer as it streams.

What may leave is decided from the left: `_at` is how far the text has left, and the earliest
place where some detector still waits is how far it may leave now. The result is the same for
every way of cutting the text into pieces.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter

from headrace.errors import PolicyBlocked
from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.screening.match import RAISED, Match, fault, find_matches, merge
from headrace.screening.placeholder import (
    Written,
    find_placeholders,
    pending_placeholder,
    placeholder_name,
)
from headrace.screening.plain import has_number
from headrace.screening.rule import Asked, SideRules

__all__ = ["AnswerScreen"]

_NOTE_EVERY = 2048
"""Characters after which detectors that only flag have a look; they hold nothing back."""


class AnswerScreen:
    """Masks, blocks and notes what the rules say, and puts masked values of the prompt back.

    A placeholder of this turn is opaque: nothing is found in it, and its value is never screened.
    What is masked here is gone for good: the user sees `[CARD]`. A block stops the text just
    before the match. What keeps a whole answer back is not decided here.
    """

    def __init__(
        self,
        rules: SideRules,
        masks: MaskTable,
        findings: list[Finding],
        blocked: Callable[[], PolicyBlocked],
        *,
        restore: bool = True,
        wrap: Callable[[str], str] = str,
    ) -> None:
        self._rules = rules
        self._masks = masks
        self._names = masks.names if masks else ()
        self._findings = findings
        self._blocked = blocked
        self._restore = restore
        self._wrap = wrap
        self._waits = any(each.window is None for each in rules.acting)
        """Whether nothing may leave before the end."""
        self.disclaimed: list[str] = []
        """Kinds found so far that want a disclaimer."""
        self._parts: list[str] = []
        """What came meanwhile."""
        self._whole: list[str] = []
        """All that came, for the detectors that judge the whole."""
        self._text = ""
        """What has not left yet, and some context before it."""
        self._base = 0
        """Characters of the whole answer that came before `_text`."""
        self._at = 0
        self._noted = 0
        self._stop: PolicyBlocked | None = None
        self._is_calm = False
        """Whether all has left, and plain text may leave with one look (see plain.py)."""
        self._is_alert = self._waits
        """Whether detectors that give alerts must see the text (see plain.py)."""
        self._alert_upto = 0
        """Up to where in the whole answer, at the least."""

    def push(self, text: str) -> str:
        """What may leave now. Raises PolicyBlocked once the text before a block has left."""
        if self._stop is not None:
            # Met while plain text left with one look.
            self._is_calm = False
        rules = self._rules
        if self._waits:
            return self._push(text)
        whole = self._text + text
        begin = len(self._text)
        if rules.alerts:
            self._heed(whole, begin)
        plain = rules.plain
        if plain is None or self._is_alert or rules.judging or not plain.fullmatch(whole, begin):
            self._is_calm = False
            return self._push(text)
        if not self._is_calm:
            left = self._push(text)
            self._is_calm = self._stop is None and (
                self._at == len(self._text) and any(map(str.isalpha, text))
            )
            return left
        self._text = whole
        self._at = len(whole)
        if self._at - self._noted > _NOTE_EVERY:
            self._note()
            self._forget()
        return text

    def _heed(self, whole: str, begin: int) -> None:
        """Ask those that give alerts about a new piece."""
        if self._is_alert and self._at < begin:
            # What is held back may be theirs: they see the text until it has left.
            self._alert_upto = self._base + len(whole)
        for alert in self._rules.alerts:
            try:
                is_alert = alert(whole, begin)
            except Exception:  # noqa: BLE001  looked at the slow way, where failing is said
                is_alert = True
            if is_alert:
                self._alert_upto = self._base + len(whole) + self._rules.reach
        self._is_alert = self._base + len(whole) <= self._alert_upto

    def _push(self, text: str) -> str:
        self._refuse()
        if self._rules.judging:
            self._whole.append(text)
        if self._waits:
            self._parts.append(text)
            return ""
        self._text += text
        upto = len(self._text)
        at = self._at
        asked = self._asked()
        try:
            for pending in asked.pending:
                upto = min(upto, pending(self._text, at))
        except Exception as error:  # noqa: BLE001  a detector may be anybody's; never a silent pass
            upto = self._failed(error, asked)
        if self._names:
            upto = min(upto, pending_placeholder(self._text, at, self._names))
        left = self._release(upto) if upto > at else ""
        if not left:
            self._refuse()
        if len(self._text) - self._noted > _NOTE_EVERY:
            self._note()
            self._forget()
        return left

    def finish(self, reason: str | None) -> str:
        """The rest. A stream that broke off (None) loses it: it may be half of something."""
        self._refuse()
        self._text += "".join(self._parts)
        self._parts.clear()
        if reason is None:
            self._cut()
        left = self._release(len(self._text))
        self._refuse()
        self._note(final=True)
        self._refuse()
        return left

    def _refuse(self) -> None:
        """Raise what ends the answer, if a block was met."""
        if self._stop is not None:
            raise self._stop

    def _release(self, upto: int) -> str:
        """Let the text up to `upto` go, or less where a match lies across it."""
        text, at = self._text, self._at
        rules = self._rules
        found = find_matches(text, at, self._asked().detectors, rules)
        written = self._written() if self._names else []
        if not found and not written:
            self._at = upto
            return text[at:upto]
        found = [match for match in found if not any(_within(match, each) for each in written)]
        merged = merge(found)
        upto = _before((*found, *merged, *written), upto)
        block = next(
            (each for each in merged if each.action == "block" and each.start < upto), None
        )
        if block is not None:
            upto = block.start
        flags = [match for match in found if match.is_noted]
        for match in sorted((*flags, *merged), key=attrgetter("start", "end", "kind")):
            if match.start < upto:
                self._report(match)
        left = self._rewritten(merged, written, upto)
        self._at = upto
        self._drop_failed(flags)
        if block is not None:
            self._report(block)
            self._halt()
        return left

    def _asked(self) -> Asked:
        """Who must see what has not left yet."""
        is_numeric = has_number(self._text, self._at) is not None
        return self._rules.asked[is_numeric, self._is_alert]

    def _written(self) -> list[Written]:
        """This turn's placeholders in what has not left yet."""
        value = self._masks.value
        return [
            each
            for each in find_placeholders(self._text, self._at)
            if value(each.placeholder) is not None
        ]

    def _rewritten(self, masked: list[Match], written: list[Written], upto: int) -> str:
        """The text from `_at` to `upto`, masks and placeholders filled in."""
        edits: list[tuple[int, int, str]] = []
        for match in masked:
            begin = match.start
            for each in written:
                if begin <= each.start and each.end <= match.end:
                    edits.append((begin, each.start, _put(match)))
                    begin = each.end
            edits.append((begin, match.end, _put(match)))
        if self._restore:
            restored = self._masks.value
            edits += ((each.start, each.end, restored(each.placeholder) or "") for each in written)
        pieces: list[str] = []
        at = self._at
        for start, end, value in sorted(edits):
            if start < end and start < upto:
                pieces += (self._text[at:start], self._wrap(value))
                at = end
        return "".join((*pieces, self._text[at:upto]))

    def _report(self, match: Match) -> None:
        self._findings.append(match.finding("output", offset=self._base))
        if match.action == "disclaimer":
            self.disclaimed.append(match.kind)

    def _halt(self) -> None:
        """A block: what comes now or later never leaves."""
        self._cut()
        self._note(final=True)
        self._stop = self._blocked()

    def _cut(self) -> None:
        """Take what has not left for not said."""
        self._text = self._text[: self._at]
        self._whole = ["".join(self._whole)[: self._base + self._at]]

    def _note(self, *, final: bool = False) -> None:
        """Look for what is only flagged."""
        text, at = self._text, self._noted
        upto = len(text)
        found = find_matches(text, at, self._rules.watching, self._rules)
        if not final:
            upto = min((upto, *(self._watched(text, at))))
            upto = _before(found, upto)
        for match in found:
            if match.is_noted and match.start < upto:
                self._report(match)
            elif match.kind == RAISED:
                self._refuse_from_here(match)
        self._drop_failed(found)
        self._noted = upto
        if final:
            self._judge()

    def _judge(self) -> None:
        """Look for what is only flagged, and takes the whole text to tell."""
        if not self._rules.judging:
            return
        for match in find_matches("".join(self._whole), 0, self._rules.judging, self._rules):
            if match.kind == RAISED and match.acts:
                self._refuse_from_here(match)
            if match.is_noted:
                self._findings.append(match.finding("output"))
                if match.action == "disclaimer":
                    self.disclaimed.append(match.kind)

    def _failed(self, error: Exception, asked: Asked) -> int:
        """A detector cannot say what it waits for: how far the text may leave.

        Where the policy fails closed nothing more leaves: at the end this is a block. Which one it
        was is found by asking each.
        """
        rules, text, at = self._rules, self._text, self._at
        for each, pending in zip(*asked, strict=True):
            try:
                pending(text, at)
            except Exception as again:  # noqa: BLE001  the same, once more
                found = fault(rules, each.name, at, len(text), again)
                self._report(found)
                self._rules = rules.without(each.name)
                if found.action == "block":
                    self._halt()
                return at
        raise error

    def _watched(self, text: str, at: int) -> list[int]:
        """Up to where each detector that only notes has seen all there is to see."""
        try:
            return [pending(text, at) for pending in self._rules.watch_pending]
        except Exception:  # noqa: BLE001  looked at once more at the end, where failing is said
            return [at]

    def _refuse_from_here(self, failed: Match) -> None:
        """A detector that only notes has failed, and the policy fails closed."""
        self._report(failed)
        self._stop = self._stop or self._blocked()

    def _drop_failed(self, found: Iterable[Match]) -> None:
        """Ask those no more that have failed where the policy fails open: said once is enough."""
        for match in found:
            if match.kind == RAISED:
                self._rules = self._rules.without(match.detector)

    def _forget(self) -> None:
        """Drop the text that no detector can look back to."""
        cut = min(self._at, self._noted) - self._rules.context
        if cut > 0:
            self._text = self._text[cut:]
            self._base += cut
            self._at -= cut
            self._noted -= cut


def _put(match: Match) -> str:
    """What stands in the place of a match."""
    if match.action == "rewrite" and match.rule is not None:
        return match.rule.replacement or ""
    return f"[{placeholder_name(match.kind)}]"


def _within(match: Match, written: Written) -> bool:
    return written.start <= match.start and match.end <= written.end


def _before(items: Iterable[Match | Written], upto: int) -> int:
    """The last place up to `upto` that no item lies across."""
    items = tuple(items)
    while True:
        across = min((each.start for each in items if each.start < upto < each.end), default=upto)
        if across == upto:
            return upto
        upto = across
