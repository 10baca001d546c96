"""A run as JUnit XML: one test a case and scorer, and one for each thing that the gate asks."""

import re
from xml.sax.saxutils import escape, quoteattr

from headrace.evaluation.report import Report
from headrace.evaluation.run import Result, Run
from headrace.evaluation.suite import Gate

__all__ = ["junit_xml"]

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(run: Run, report: Report, gate: Gate) -> str:
    """The document. A case fails below the gate's floor of its scorer, and is an error where the
    model failed or nothing was scored; means, times and costs fail in the test `gate`."""
    tests: list[str] = []
    failures = errors = 0
    for each in run.results:
        for name in run.scorers:
            found = _test(each, name, gate.floors.get(name))
            failures += "<failure" in found
            errors += "<error" in found
            tests.append(found)
    said = "\n".join(report.breaches)
    failures += bool(said)
    failed = (
        f"<failure message={_attribute(report.breaches[0])}>{_text(said)}</failure>" if said else ""
    )
    tests.append(
        f'<testcase classname={_attribute(run.suite)} name="gate" time="0">{failed}</testcase>'
    )
    seconds = sum(each.answer.total_s for each in run.results if each.answer is not None)
    head = (
        f'<testsuite name={_attribute(run.suite)} tests="{len(tests)}" '
        f'failures="{failures}" errors="{errors}" time="{seconds:.3f}">'
    )
    listed = "\n".join(tests)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n{head}\n{listed}\n</testsuite>\n</testsuites>\n'


def _test(result: Result, scorer: str, floor: float | None) -> str:
    name = f"{result.case} [{result.repeat}] {scorer}"
    took = result.answer.total_s if result.answer is not None else 0.0
    score = result.scores.get(scorer)
    body = ""
    if result.error or score is None:
        why = result.error or result.unscored.get(scorer, "not scored")
        body = f"<error message={_attribute(why)}/>"
    elif floor is not None and score < floor:
        text = result.answer.text if result.answer is not None else ""
        why = f"{score:.3f} is below the floor of {floor:g}"
        body = f"<failure message={_attribute(why)}>{_text(text)}</failure>"
    else:
        note = result.notes.get(scorer, "")
        body = f"<system-out>{_text(f'{score:.3f} {note}'.strip())}</system-out>"
    classname = _attribute(f"{scorer}")
    return f'<testcase classname={classname} name={_attribute(name)} time="{took:.3f}">{body}</testcase>'


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("\ufffd", text))


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("\ufffd", text))
