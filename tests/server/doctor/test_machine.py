"""What the machine must have: each check fails for its own reason."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from headrace.models.store import ModelStore
from headrace.server.doctor.disk import check_disk
from headrace.server.doctor.interpreter import check_interpreter
from headrace.server.doctor.memory import check_memory
from headrace.server.doctor.processor import NEEDED, check_processor
from headrace.server.doctor.result import Result
from headrace.server.doctor.site import Site

Look = Callable[[], Site]


def only(results: Iterable[Result]) -> Result:
    (result,) = results
    return result


def test_this_interpreter_is_good_enough() -> None:
    assert only(check_interpreter()).status == "ok"


def test_an_interpreter_that_is_too_old_fails() -> None:
    assert only(check_interpreter((3, 10))).status == "fail"


def test_an_interpreter_or_system_that_nobody_tested_warns() -> None:
    assert only(check_interpreter((3, 99))).status == "warn"
    assert only(check_interpreter((3, 12), "darwin")).status == "warn"


def test_a_processor_without_the_runtimes_instructions_fails(site: Look, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu sse4_2 avx f16c\n")
    result = only(check_processor(site(), cpuinfo=cpuinfo, machine="x86_64"))
    assert result.status == "fail"
    assert "avx2, bmi2, fma" in result.message


def test_a_container_with_half_a_core_warns(site: Look, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(f"flags : {' '.join(NEEDED)}\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    result = only(check_processor(site(), cpuinfo=tmp_path / "cpuinfo", cgroup=tmp_path))
    assert result.status == "warn"
    assert "only 0.5 of them" in result.message


def test_weights_larger_than_memory_fail(site: Look, root: Path, tmp_path: Path) -> None:
    ModelStore(root / ".headrace" / "models", root=root).fetch("file:small.gguf", None)
    (tmp_path / "meminfo").write_text("MemTotal: 200000 kB\nMemAvailable: 150000 kB\n")
    result = only(check_memory(site(), meminfo=tmp_path / "meminfo"))
    assert result.status == "fail"
    assert "0.3 GB" in result.message


def test_a_containers_limit_counts_and_not_the_machines(
    site: Look, root: Path, tmp_path: Path
) -> None:
    ModelStore(root / ".headrace" / "models", root=root).fetch("file:small.gguf", None)
    (tmp_path / "memory.max").write_text("1000000000\n")
    (tmp_path / "memory.current").write_text("900000000\n")
    result = only(check_memory(site(), cgroup=tmp_path))
    assert result.status == "warn"
    assert result.message.startswith("0.1 GB of 1.0 GB available")


def test_a_file_system_without_room_fails(site: Look) -> None:
    # /proc is a real file system with no free space at all.
    result = only(check_disk(replace(site(), home=Path("/proc/headrace"))))
    assert result.status == "fail"
    assert "0.0 GB free" in result.message
