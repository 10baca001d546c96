"""`{{ … }}`: what it can say, and that it can do nothing."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.workflows.expression import Expression, ExpressionError, rendered

VALUES: dict[str, object] = {
    "vars": {"n": 3, "name": "小明", "on": True},
    "steps": {"train": {"loss": 0.5, "status": "succeeded", "files": ["a", "b"]}},
    "matrix": {"lr": 1e-4},
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("vars.n + 1", 4),
        ("vars['name']", "小明"),
        ("steps.train.loss < 0.6 and vars.on", True),
        ("not vars.on or steps.train.status == 'failed'", False),
        ("steps.train.files[1]", "b"),
        ("len(steps.train.files)", 2),
        ("'a' in steps.train.files", True),
        ("'low' if steps.train.loss < 1 else 'high'", "low"),
        ("1 < vars.n <= 3", True),
        ("null", None),
        ("[1, true]", [1, True]),
        ("-vars.n", -3),
    ],
)
def test_an_expression_has_a_value(text: str, value: object) -> None:
    assert Expression(text).value(VALUES) == value


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "vars.__class__", "(lambda: 1)()", "[x for x in vars]", "2 ** 9",
        "'a' * 1000000000", "open('/etc/passwd')", "vars.n.real", "f'{vars}'", "x := 1", "", "1 +",
        "vars.nothing", "nobody", "vars.name < 3", "1 / 0", "steps.train.files[9]",
    ],
)  # fmt: skip
def test_what_is_no_expression_says_so(text: str) -> None:
    with pytest.raises(ExpressionError):
        Expression(text).value(VALUES)


def test_alone_an_expression_keeps_its_type_and_in_text_it_is_written_out() -> None:
    found = rendered({"a": ["{{ vars.n }}", "n={{ vars.n }}, {{ vars.on }}"], "b": 7}, VALUES)
    assert found == {"a": [3, "n=3, true"], "b": 7}


def test_references_name_the_whole_way() -> None:
    found = set(Expression("steps.a.b[0] + len(vars.c) + (matrix.d if true else 1)").references)
    assert found == {("steps", "a", "b", 0), ("vars", "c"), ("matrix", "d")}


@given(text=st.text(max_size=60))
def test_no_text_breaks_it(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        Expression(text).value(VALUES)
