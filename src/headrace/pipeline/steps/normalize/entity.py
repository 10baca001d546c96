"""HTML entities: undone where a text was plainly escaped by accident (`don&#39;t`).

A text that talks about HTML or code keeps them: one with tags in it, with words such as "html",
"escape" or "entity", or with an entity standing alone as if it were shown.
"""

import html
import re

__all__ = ["is_suspect", "unescape_entities"]

# `&amp;lt;` was escaped twice; undoing all layers in one match keeps the work linear.
_ENTITY = (
    r"&(?:(?:amp|#0{0,4}38|#[xX]0{0,4}26);)*(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}"
    r"|#[xX][0-9A-Fa-f]{1,6});"
)
_SUSPECT = re.compile(r"&(?:#[0-9xX]|[A-Za-z][A-Za-z0-9]{1,30};)")
_FIND = re.compile(_ENTITY)
_SHOWN = re.compile(
    rf"(?:^|[\s\"'“‘(])(?!&amp;){_ENTITY}(?=[\s\"'”’),.?!]|$)|[\"'“‘(]{_ENTITY}[\"'”’)]",
    re.MULTILINE,
)
_ABOUT_CODE = re.compile(
    r"</?[a-zA-Z][^<>]{0,200}>|<!|\b(?:x?html5?|xml|svg|jsx?|tsx?|css|php|markup|markdown|entit(?:y|ies)|"
    r"un?escap\w*|encod\w*|decod\w*|charref|ampersands?|regex\w*|javascript|query ?string|parser?|"
    r"template|snippet|source code)\b|转义|实体|编码|エスケープ|エンティティ",
    re.IGNORECASE,
)


def is_suspect(text: str) -> bool:
    """Whether anything looks like an entity."""
    return "&" in text and _SUSPECT.search(text) is not None


def unescape_entities(text: str) -> tuple[str, int]:
    """The text with its entities undone where that is plainly right, and how many those were."""
    if not is_suspect(text) or _ABOUT_CODE.search(text) or _SHOWN.search(text):
        return text, 0
    count = 0

    def plain(match: re.Match[str]) -> str:
        nonlocal count
        entity = match.group()
        inner = "&" + entity.rsplit("&", 1)[-1]
        last = inner.rstrip(";").rsplit(";", 1)[-1]
        plain = html.unescape(f"&{last.lstrip('&')};")
        if plain.endswith(";") and len(plain) > 1:
            return entity
        count += 1
        return plain

    return _FIND.sub(plain, text), count
