"""Characters that nobody sees: removed, unless a script or an emoji is written with them.

What stays: joiners between letters of scripts that need them and inside emoji, one variation
selector after a character that has variants, word breaks of Thai, Lao, Khmer and Burmese, the
flags of England, Scotland and Wales (written with tag characters).
"""

import re

__all__ = ["is_suspect", "remove_invisible"]

# Never wanted: controls but tab, newline, carriage return; soft hyphen; bidi marks, embeddings,
# overrides and isolates; fillers; word joiner and invisible operators; byte order mark;
# interlinear and object marks; musical and shorthand controls; non-characters; half surrogates.
_ALWAYS = (
    r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e"
    r"\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffc\ufdd0-\ufdef\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\ud800-\udfff"
)
_SOMETIMES = r"\u200b-\u200d\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0000-\U000e0fff"
_HIDDEN = _ALWAYS + _SOMETIMES

_EMOJI = (
    r"\u00a9\u00ae\u203c\u2049\u2122\u2139\u2190-\u21ff\u2300-\u27bf\u2900-\u297f\u2b00-\u2bff"
    r"\u3030\u303d\u3297\u3299\U0001f000-\U0001faff#*0-9"
)
# Scripts in which joiners choose letter forms: Arabic, Syriac, N'Ko, the Indic family, Khmer,
# Mongolian and others of theirs.
_JOINING = (
    r"\u0600-\u0840\u0860-\u109f\u1700-\u18af\u1900-\u1cff\ua800-\uabff\u0900-\u0fff"
    r"\ufb50-\ufdff\ufe70-\ufefc"
)
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_IDEOGRAPH = r"\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_VARIED = rf"{_EMOJI}{_IDEOGRAPH}\u1000-\u109f\u2200-\u22ff\uaa60-\uaa7f\ua840-\ua877"
_FLAG = "\U0001f3f4\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)\U000e007f"

_KEPT = re.compile(
    rf"(?P<kept>{_FLAG}"
    rf"|(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])"
    rf"|(?<=[{_EMOJI}\ufe0f\u20e3])\u200d(?=[{_EMOJI}])"
    rf"|(?<=[{_UNSPACED}])\u200b(?=[{_UNSPACED}])"
    rf"|(?<=[{_VARIED}])[\ufe00-\ufe0f\U000e0100-\U000e01ef]"
    rf"|(?<=[\u1820-\u18aa])[\u180b-\u180d\u180f])"
    rf"|[{_HIDDEN}]+?"
)
_ANY = re.compile(f"[{_HIDDEN}]")


def is_suspect(text: str) -> bool:
    """Whether there is any character that `remove_invisible` may remove."""
    return _ANY.search(text) is not None


def remove_invisible(text: str) -> tuple[str, int]:
    """The text without invisible characters, and how many were removed."""
    if not is_suspect(text):
        return text, 0
    cleaned = _KEPT.sub(_keep, text)
    return cleaned, len(text) - len(cleaned)


def _keep(match: re.Match[str]) -> str:
    return match.group("kept") or ""
