"""The outcome of tests as JUnit XML, which every CI reads."""

from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET  # written here, never parsed

from headrace.cli.terminal import printable
from headrace.pipeline.trial import Trial

__all__ = ["junit_xml"]


def junit_xml(trials: Sequence[Trial]) -> bytes:
    """One suite a template, one case a test."""
    root = ET.Element("testsuites", {"name": "headrace prompts test", **_counts(trials)})
    for template, group in groupby(trials, key=lambda each: each.template):
        own = list(group)
        suite = ET.SubElement(root, "testsuite", {"name": template, **_counts(own)})
        for trial in own:
            case = ET.SubElement(
                suite,
                "testcase",
                name=printable(trial.name),
                classname=template,
                time=f"{trial.seconds:.3f}",
            )
            _outcome(case, trial)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _outcome(case: ET.Element, trial: Trial) -> None:
    message = printable("; ".join(trial.reasons))
    if trial.outcome == "skipped":
        ET.SubElement(case, "skipped", message=message)
    elif trial.outcome in ("failed", "error"):
        kind = "failure" if trial.outcome == "failed" else "error"
        ET.SubElement(case, kind, message=message).text = printable(trial.answer, lines=True)
    elif trial.answer:
        ET.SubElement(case, "system-out").text = printable(trial.answer, lines=True)


def _counts(trials: Sequence[Trial]) -> dict[str, str]:
    def count(outcome: str) -> str:
        return str(sum(each.outcome == outcome for each in trials))

    return {
        "tests": str(len(trials)),
        "failures": count("failed"),
        "errors": count("error"),
        "skipped": count("skipped"),
        "time": f"{sum(each.seconds for each in trials):.3f}",
    }
