"""Content: what a text is about, and how far it goes, sentence by sentence, in English and Chinese.

Read kind.py (what is told apart), unit.py (what is judged), feature.py and classifier.py (the small
model), sign.py (the rules beside it), detector.py (both as a detector) and floor.py (what no policy
can switch off). The weights come from `tools/train_content.py`; how good they are is measured by
`bench/screening/content.py`.
"""

from headrace.screening.content.classifier import ContentClassifier
from headrace.screening.content.detector import ContentDetector
from headrace.screening.content.kind import LEVELS, Level, level_of

__all__ = ["LEVELS", "ContentClassifier", "ContentDetector", "Level", "level_of"]
