"""MCP servers, real ones: over stdio and over HTTP, well and ill."""

import asyncio
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.pipeline.tools.errors import ToolFailed, ToolUnavailable
from headrace.pipeline.tools.mcp.server import McpServer
from headrace.pipeline.tools.mcp.stdio import StdioConnection
from headrace.pipeline.tools.settings import McpSettings, ToolSettings
from tests.pipeline.tools.rig import called, opened
from tests.running import wait_for
from tests.upstreams.said import Said

MILL = str(Path(__file__).with_name("mill.py"))
NAMES = ["die", "environment", "fail", "flood", "hang", "stock"]
ANSWER = Said(("Done.",))


def over_stdio(**more: object) -> ToolSettings:
    return ToolSettings(mcp=McpSettings(command=[sys.executable, MILL], **more))  # type: ignore[arg-type]


def script(text: str, **more: object) -> ToolSettings:
    """A server that is a few lines of Python."""
    return ToolSettings(mcp=McpSettings(command=[sys.executable, "-c", text], **more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The mill's server over HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, MILL, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def is_up() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(is_up)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def started(settings: ToolSettings, root: Path) -> McpServer:
    server = McpServer("mill", settings, root)
    await server.start()
    return server


async def test_over_stdio_it_lists_calls_and_goes_on_after_what_fails_or_hangs(
    tmp_path: Path,
) -> None:
    mill = await started(over_stdio(env={"MILL_KEY": "k"}), tmp_path)
    try:
        assert mill.problem == ""
        assert sorted(each.name for each in mill.functions()) == [f"mill_{n}" for n in NAMES]
        assert (await mill.call("stock", {"item": "oats"})).text == "The mill has 12 of oats."
        failed = await mill.call("fail", {})
        assert failed.is_error
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await mill.call("hang", {})
        assert (await mill.call("stock", {"item": "rye"})).text == "The mill has 12 of rye."
    finally:
        await mill.close()


async def test_a_server_sees_nothing_of_this_process_s_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADRACE_MASTER_KEY", "secret")
    mill = await started(over_stdio(env={"MILL_KEY": "k"}), tmp_path)
    try:
        seen = (await mill.call("environment", {})).text.split()
    finally:
        await mill.close()
    assert "MILL_KEY" in seen
    assert "PATH" in seen
    assert "HEADRACE_MASTER_KEY" not in seen


@pytest.mark.parametrize(("tool", "said"), [("die", "has ended"), ("flood", "sent more than")])
async def test_a_server_that_dies_or_floods_offers_nothing_until_it_is_back(
    tmp_path: Path, tool: str, said: str
) -> None:
    mill = await started(over_stdio(), tmp_path)
    try:
        with pytest.raises(ToolUnavailable, match=said):
            await mill.call(tool, {})
        assert mill.functions() == ()
        async with asyncio.timeout(30):
            while not mill.functions():
                await asyncio.sleep(0.02)
        assert (await mill.call("stock", {"item": "oats"})).text == "The mill has 12 of oats."
    finally:
        await mill.close()


async def test_over_http_it_is_the_same(tmp_path: Path, address: str) -> None:
    settings = McpSettings(url=address, allow=["127.0.0.1"], only=["stock", "fail", "flood"])
    mill = await started(ToolSettings(mcp=settings), tmp_path)
    try:
        assert mill.problem == ""
        assert [each.name for each in mill.functions()] == ["mill_stock", "mill_fail", "mill_flood"]
        assert (await mill.call("stock", {"item": "oats"})).text == "The mill has 12 of oats."
        assert (await mill.call("fail", {})).is_error
        with pytest.raises(ToolFailed, match="sent more than"):
            await mill.call("flood", {})
        assert (await mill.call("stock", {"item": "rye"})).text == "The mill has 12 of rye."
    finally:
        await mill.close()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            ToolSettings(mcp=McpSettings(command=["no-such-server"])),
            "the command 'no-such-server' cannot be started: No such file or directory",
        ),
        (script("print('hello')", start_timeout_s=30), "does not speak MCP"),
        (script("import sys; sys.exit(1)", start_timeout_s=30), "the tool's server has ended"),
        (script("import time; time.sleep(60)", start_timeout_s=0.3), "no answer within 0.3 s"),
        (
            ToolSettings(mcp=McpSettings(url="http://127.0.0.1:9/mcp")),
            "127.0.0.1 is a private address, which this tool may not reach",
        ),
        (
            ToolSettings(mcp=McpSettings(url="http://127.0.0.1:9/mcp", allow=["127.0.0.1"])),
            "no server answers at 127.0.0.1:9",
        ),
    ],
    ids=["no command", "another language", "ends", "silent", "private", "nobody"],
)
async def test_a_server_that_is_not_there_says_why_and_offers_nothing(
    tmp_path: Path, settings: ToolSettings, problem: str
) -> None:
    server = await started(settings, tmp_path)
    try:
        assert problem in server.problem
        assert server.functions() == ()
    finally:
        await server.close()


async def test_a_turn_calls_a_server_and_a_service_starts_without_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tools = (
        f"  mill:\n    mcp: {{command: [{shlex.quote(sys.executable)}, {MILL}], only: [stock]}}\n"
        "  away:\n    mcp: {command: [no-such-server]}\n"
    )
    rounds = [called("mill_stock", '{"item": "oats"}'), ANSWER]
    async with opened(tmp_path, rounds, tools=tools, generate=": {tools: [mill, away]}") as rig:
        turn = await rig.ask()
        assert rig.platform is not None
        toolbox = rig.platform.service.tools
        assert toolbox is not None
        connection = toolbox._servers["mill"]._connection
        assert isinstance(connection, StdioConnection)
    assert connection._process.returncode is not None, "the service has ended, its server has not"
    offered = [each["function"]["name"] for each in rig.asked(0)["tools"]]  # type: ignore[attr-defined]
    assert offered == ["mill_stock"]
    assert "The mill has 12 of oats." in rig.result()
    assert turn.choices[0].text == "Done."
    assert "the tool away is not available" in caplog.text


async def test_a_server_that_dies_under_a_call_is_told_to_the_model(tmp_path: Path) -> None:
    tools = f"  mill:\n    mcp: {{command: [{shlex.quote(sys.executable)}, {MILL}]}}\n"
    rounds = [called("mill_die"), ANSWER]
    async with opened(tmp_path, rounds, tools=tools, generate=": {tools: [mill]}") as rig:
        turn = await rig.ask()
    assert rig.result().startswith("Error: ")
    assert "the tool's server has ended" in rig.result()
    assert [each.error for each in rig.spans(turn)] == ["tool_unavailable"]
    assert turn.choices[0].text == "Done."
