"""What a run is said to be: slices, agreement, regressions, JUnit XML."""

import xml.etree.ElementTree as ET

import pytest

from headrace.evaluation.ask import Answer
from headrace.evaluation.gate import breaches
from headrace.evaluation.junit import junit_xml
from headrace.evaluation.page import html_page
from headrace.evaluation.report import make_report
from headrace.evaluation.run import Result, Run
from headrace.evaluation.statistic import cohen_kappa
from headrace.evaluation.suite import Gate


def a_run(*scores: float, text: str = "said") -> Run:
    results = [
        Result(
            case=f"c{at}",
            repeat=0,
            answer=Answer(text=f"{text} {at} <b>\x00&", total_s=1.0),
            scores={"judge": score},
            tags=["even" if at % 2 == 0 else "odd"],
            labels={"judge": float(at < 2)},
        )
        for at, score in enumerate(scores)
    ]
    lost = Result(case="lost", repeat=0, answer=None, scores={}, error="down")
    return Run(suite="a", release="sha256:1", results=[*results, lost])


def test_means_are_given_by_tag_too() -> None:
    lines = {line.tag: line.estimate for line in make_report(a_run(1, 0, 1, 1), []).lines}
    assert {tag: each.mean for tag, each in lines.items()} == {None: 0.75, "even": 1, "odd": 0.5}


def test_agreement_with_people_is_reported() -> None:
    (line, *_) = make_report(a_run(1, 1, 0, 1), []).lines
    assert line.agreement is not None
    assert (line.agreement.cases, line.agreement.same) == (4, 0.75)
    assert line.agreement.kappa == pytest.approx(0.5)


def test_kappa_by_hand() -> None:
    # Cohen's own kind of table: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no.
    one = [True] * 25 + [False] * 25
    two = [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15
    assert cohen_kappa(one, two) == pytest.approx(0.4)
    assert cohen_kappa([True, True], [True, True]) is None
    assert cohen_kappa([], []) is None


def test_regressions_come_with_both_answers_the_worst_first() -> None:
    old, new = a_run(1, 1, 0, text="old"), a_run(0.5, 0, 1, text="new")
    found = make_report(new, [], old).regressions
    assert [(each.case, each.before, each.after) for each in found] == [
        ("c1", 1, 0),
        ("c0", 1, 0.5),
    ]
    assert found[0].old.startswith("old 1")
    assert found[0].new.startswith("new 1")


def test_junit_xml_can_be_read_and_counts_right() -> None:
    gate = Gate(scores={"judge": 0.9}, floors={"judge": 0.5})
    run = a_run(1, 0)
    report = make_report(run, breaches(run, gate))
    suite = ET.fromstring(junit_xml(run, report, gate)).find("testsuite")
    assert suite is not None
    assert {k: suite.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": "4", "failures": "2", "errors": "1",
    }  # fmt: skip
    assert len(suite.findall("testcase")) == 4
    failure = suite.findall("testcase")[1].find("failure")
    assert failure is not None
    assert failure.get("message") == "0.000 is below the floor of 0.5"
    assert failure.text == "said 1 <b>\ufffd&"


def test_the_page_fetches_nothing_runs_nothing_and_escapes_answers() -> None:
    run = a_run(1, 0, text="<script>alert(1)</script>")
    page = html_page(run, make_report(run, ["a < b"], a_run(1, 1)), run_id="run-1", made="today")
    for never in ("<script", "http://", "https://", "url(", "@import", "<b>"):
        assert never not in page
    assert "&lt;script&gt;" in page
    assert "gate failed" in page
    assert page.count("<svg") == 3
