"""`headrace doctor` as it is printed. What it checks: tests/server/doctor."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.conftest import Call

SERVICE = """\
server: {port: 0}
models:
  small:
    deployments: [{backend: embedded, weights: "file:small.gguf"}]
pipeline: [generate]
"""


def test_what_is_to_be_mended_is_printed_with_what_to_do(call: "Call", folder: Path) -> None:
    (folder / "headrace.yaml").write_text(SERVICE)
    result = call("doctor")
    assert result.status == 1
    lines = result.out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("fail weights"))
    assert "there is no file" in lines[at]
    assert lines[at + 1].strip() == "check the path in `weights:`"
    assert lines[-1].startswith("1 to mend")


def test_nothing_to_mend_exits_with_0(call: "Call", folder: Path) -> None:
    (folder / "headrace.yaml").write_text(SERVICE)
    (folder / "small.gguf").write_bytes(b"weights")
    result = call("doctor", "--json")
    found = json.loads(result.out)
    assert result.status == 0
    assert found["status"] in ("ok", "warn")
    checks = {each["check"] for each in found["checks"]}
    assert checks >= {"python", "plugins", "files", "processor", "memory", "disk", "home"}
    assert checks >= {"database", "weights", "port", "service"}
