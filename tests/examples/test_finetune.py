"""The example of fine-tuning is one that can be trained; that it learns, tests/workflows/tuning shows."""

import ast
from pathlib import Path

from headrace.config.load import load_service
from headrace.datasets.parse import parse_row
from headrace.workflows.tuning.settings import read_tuning

EXAMPLE = Path(__file__).parents[2] / "examples" / "finetune"


def test_its_service_loads_and_its_rows_are_examples() -> None:
    service = load_service(EXAMPLE, {})
    assert read_tuning(service.fine_tuning).at_once == 1
    rows = [parse_row(line) for line in (EXAMPLE / "facts.jsonl").read_bytes().splitlines()]
    assert {each.kind for each in rows} == {"chat"}
    asked = {each.messages[0].text() for each in rows}
    text = ast.parse((EXAMPLE / "tune.py").read_text("utf-8"))
    (question,) = [
        node.value.value
        for node in text.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    ]
    assert question in asked
