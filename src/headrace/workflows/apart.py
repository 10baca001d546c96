"""A step's operation in a process of its own, which can be ended, and which ends with its parent.

The child reads what to do from its standard input, then watches it: when the parent dies, however
it dies, the pipe closes, and the child ends its whole process group. So a run that is taken over
after `kill -9` finds nothing of the earlier attempt still at work.
"""

import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

import msgspec

from headrace.workflows.errors import StepFailed, StepStopped
from headrace.workflows.operation import Context, operation_type

if TYPE_CHECKING:
    from headrace.storage.database import Database

__all__ = ["run_apart"]

LOOK_EVERY_S = 0.05
GRACE_S = 5.0
"""Between asking a process to end and ending it."""
_LAST_LINES = 5


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is to do."""

    operation: str
    settings: dict[str, object]
    root: str
    home: str
    database: str
    run_id: str
    workflow: str
    step: str
    attempt: int
    folder: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    who: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a child's."""

    note: str = ""
    values: dict[str, object] | None = None
    error: str = ""
    hint: str = ""


Tell: TypeAlias = Callable[[Said], None]


def run_apart(
    operation: str,
    settings: Mapping[str, object],
    context: Context,
    *,
    log: Path,
    timeout_s: float | None,
    stopping: threading.Event,
    lost: threading.Event,
) -> dict[str, object]:
    """Run an operation in a process of its own, and wait for it.

    Args:
        stopping: set when it has to end.
        lost: set before `stopping` when another does the same by now, or will: its process is
            killed, and not asked to end, because it would end what both have begun elsewhere, a
            fine-tune say.

    Raises:
        StepFailed: it failed, or its process died.
        StepStopped: it was ended: the run was cancelled, or the time was up.
    """
    reading, writing = os.pipe()
    with log.open("ab") as output, os.fdopen(reading, "rb") as messages:
        process = subprocess.Popen(  # noqa: S603 - this module, run by this interpreter
            [sys.executable, "-m", "headrace.workflows.apart", str(writing)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=context.root,
            env=dict(context.environ),
            pass_fds=(writing,),
            start_new_session=True,
        )
        os.close(writing)
        assert process.stdin is not None
        heard = _Heard(messages, context)
        try:
            with contextlib.suppress(BrokenPipeError):  # it died at once: its exit status says so
                process.stdin.write(msgspec.json.encode(_order(operation, settings, context)))
                process.stdin.write(b"\n")
                process.stdin.flush()
            why = _waited(process, timeout_s, stopping)
        finally:
            if lost.is_set():
                process.kill()
            _end(process)
            heard.join()
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
    if why:
        raise StepStopped(f"{context.step}: {why}")
    last = heard.last
    if last is not None and last.values is not None:
        return last.values
    if last is not None and last.error:
        raise StepFailed(last.error, hint=last.hint)
    raise StepFailed(
        f"{context.step}: its process ended with {_shown(process.returncode)}{_tail(log)}",
        hint=f"its output is in {log}",
    )


class _Heard:
    """What a child says, read as it comes."""

    def __init__(self, messages: IO[bytes], context: Context) -> None:
        self.last: Said | None = None
        self._messages = messages
        self._context = context
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def join(self) -> None:
        self._thread.join()

    def _read(self) -> None:
        for line in self._messages:
            with contextlib.suppress(msgspec.DecodeError):  # cut off by its end
                said = msgspec.json.decode(line, type=Said)
                if said.note:
                    self._context.say(said.note)
                else:
                    self.last = said


def _waited(
    process: "subprocess.Popen[bytes]", timeout_s: float | None, stopping: threading.Event
) -> str:
    """Wait for its end; gives why it has to be ended before."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    pause_s = 0.002
    while True:
        try:
            process.wait(pause_s)
        except subprocess.TimeoutExpired:
            pause_s = min(pause_s * 1.5, LOOK_EVERY_S)
        else:
            return ""
        if stopping.is_set():
            return "the run was cancelled"
        if until is not None and time.monotonic() > until:
            return f"not done after {timeout_s:g} s"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it with everything that it started."""
    for how, grace_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, how)
        except ProcessLookupError:
            break
        if process.poll() is not None:
            continue  # it is gone; what it started gets no grace
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    process.wait()


def _order(operation: str, settings: Mapping[str, object], context: Context) -> Order:
    return Order(
        operation=operation,
        settings=dict(settings),
        root=str(context.root),
        home=str(context.home),
        database=context.database().engine.url.render_as_string(hide_password=False),
        run_id=context.run_id,
        workflow=context.workflow,
        step=context.step,
        attempt=context.attempt,
        folder=str(context.folder),
        inputs={name: str(path) for name, path in context.inputs.items()},
        outputs={name: str(path) for name, path in context.outputs.items()},
        who=context.who,
    )


def _shown(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _tail(log: Path) -> str:
    """The last lines of its output, for people."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()[-_LAST_LINES:]
    return f":\n{chr(10).join(lines)}" if lines else ""


# ---- the child


def main(channel: int) -> None:
    """Do what the line on standard input says; say on `channel` what came of it."""
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    watching = threading.Thread(target=_end_with_parent, daemon=True)
    watching.start()
    # As an exception, so that an operation can end what it has begun elsewhere.
    signal.signal(signal.SIGTERM, _stop)
    with os.fdopen(channel, "wb") as messages, contextlib.ExitStack() as stack:
        lock = threading.Lock()

        def tell(said: Said) -> None:
            with lock:
                messages.write(msgspec.json.encode(said) + b"\n")
                messages.flush()

        tell(_done(order, tell, stack))


def _done(order: Order, tell: Tell, stack: contextlib.ExitStack) -> Said:
    from headrace.errors import HeadraceError

    operation = operation_type(order.operation)()
    context = _context(order, tell, stack)
    try:
        settings = msgspec.convert(order.settings, operation.Settings)
        values = dict(operation.run(settings, context))
    except HeadraceError as error:
        return Said(error=error.message or error.code, hint=error.hint)
    except Exception as error:  # noqa: BLE001 - an operation is anybody's code; its log has the rest
        import traceback

        traceback.print_exc()
        return Said(error=f"{type(error).__name__}: {error}")
    return Said(values=values)


def _context(order: Order, tell: Tell, stack: contextlib.ExitStack) -> Context:
    @functools.cache
    def database() -> "Database":
        from headrace.storage.database import Database

        opened = Database.open(order.database)
        stack.callback(opened.close)
        return opened

    return Context(
        root=Path(order.root),
        home=Path(order.home),
        environ=os.environ,
        run_id=order.run_id,
        workflow=order.workflow,
        step=order.step,
        attempt=order.attempt,
        folder=Path(order.folder),
        inputs={name: Path(path) for name, path in order.inputs.items()},
        outputs={name: Path(path) for name, path in order.outputs.items()},
        who=order.who,
        say=lambda note: tell(Said(note=note)),
        database=database,
    )


def _stop(number: int, frame: object) -> None:
    del number, frame
    raise StepStopped("it was ended")


def _end_with_parent() -> None:
    # Not by `sys.stdin`: the interpreter could not end while a thread holds it.
    while os.read(0, 1024):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]))
