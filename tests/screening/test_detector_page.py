"""docs/detectors.md and the registry name the same detectors, with the same kinds."""

import re
from pathlib import Path

from headrace import __version__
from headrace.screening.registry import costly_detectors, detectors

PAGE = Path(__file__).parents[2] / "docs" / "detectors.md"
_ROW = re.compile(r"^\| (`[a-z_]+`(?:, `[a-z_]+`)*) \| ([^|]+) \|", re.MULTILINE)


def test_the_page_has_every_detector_with_its_kinds_and_no_other() -> None:
    said: dict[str, set[str]] = {}
    for names, kinds in _ROW.findall(PAGE.read_text("utf-8")):
        for name in re.findall(r"`([^`]+)`", names):
            assert name not in said, f"{name} stands there twice"
            said[name] = set(re.findall(r"`([^`]+)`", kinds))
    own = f"headrace {__version__}"
    installed = {**detectors(), **costly_detectors()}
    assert said == {
        name: set(each.kinds) for name, (each, source) in installed.items() if source == own
    }
