"""The page's words, one catalogue a language (`languages/*.json`), and which one a reader gets."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

__all__ = ["DEFAULT_LANGUAGE", "Catalogue", "choose", "load_catalogues"]

DEFAULT_LANGUAGE = "en"
_FOLDER = Path(__file__).parent / "languages"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All words of the page in one language. Called with a key, it gives the text."""

    code: str
    """BCP 47, as in the file's name and in `<html lang>`."""
    texts: dict[str, str]

    def __call__(self, key: str, **values: object) -> str:
        """The text, with `{name}` filled in from the values.

        Raises:
            KeyError: no such text; a defect of the page.
        """
        return self.texts[key].format_map(values)

    def get(self, key: str, fallback: str) -> str:
        """The text without values, or the fallback: for names that a service may add to."""
        return self.texts.get(key, fallback)


def load_catalogues() -> dict[str, Catalogue]:
    """Every language the page speaks, by code."""
    return {
        path.stem: Catalogue(path.stem, msgspec.json.decode(path.read_bytes(), type=dict[str, str]))
        for path in sorted(_FOLDER.glob("*.json"))
    }


def choose(catalogues: dict[str, Catalogue], *, chosen: str, accept: str) -> Catalogue:
    """The catalogue for a reader.

    Args:
        chosen: the code that the reader picked on the page; empty for none.
        accept: the browser's `Accept-Language` header.
    """
    if chosen in catalogues:
        return catalogues[chosen]
    for code in _by_preference(accept):
        if code in catalogues:
            return catalogues[code]
    return catalogues[DEFAULT_LANGUAGE]


def _by_preference(accept: str) -> list[str]:
    """Primary language codes of `zh-CN,zh;q=0.9,en;q=0.8`, best first."""
    ranked: list[tuple[float, str]] = []
    for entry in accept.split(","):
        tag, _, weight = entry.partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if quality > 0:
            ranked.append((quality, tag.strip().partition("-")[0].lower()))
    return [code for _, code in sorted(ranked, key=lambda each: -each[0])]
