"""The recorder: a turn's trace goes from memory into the journal, on the request path.

Both calls cost some tens of microseconds (encode, seal, memory copy) and wait for nothing. After
`record` returns, the trace survives a crash.
"""

import logging

import msgspec

from headrace.ids import new_id
from headrace.storage.journal import CAPACITY_BYTES
from headrace.storage.writer import RecordWriter
from headrace.telemetry.escalation import REVIEW, Escalation, ReviewRecord
from headrace.telemetry.metrics import Metrics
from headrace.telemetry.record import TraceBegin, TraceEnd
from headrace.telemetry.seal import Sealer
from headrace.telemetry.trace import Trace

__all__ = ["TRACE_BEGIN", "TRACE_END", "TraceRecorder"]

TRACE_BEGIN = "trace.start"
TRACE_END = "trace.end"

TEXT_LIMIT_BYTES = CAPACITY_BYTES // 8
"""Longer texts are not kept: half of what the journal takes as one record."""

_REVIEW_CHARS = 100_000
"""A person reads no more of one text."""

_log = logging.getLogger(__name__)
_encode = msgspec.msgpack.Encoder().encode


class TraceRecorder:
    """Hands traces to the writer and their figures to the metrics."""

    def __init__(
        self, writer: RecordWriter, vault: Sealer, metrics: Metrics, *, content: bool = True
    ) -> None:
        """
        Args:
            content: whether the texts are kept (encrypted); `traces.content` in headrace.yaml.
        """
        self._writer = writer
        self._vault = vault
        self._metrics = metrics
        self.content = content
        self.boot = new_id()
        """Tells the turns of this process from those an earlier one left unfinished."""
        self._begun: set[str] = set()
        """Turns whose beginning is noted and whose end is not."""

    def started(self, trace: Trace) -> None:
        """Note that a turn has begun: if the process dies, it is found as `interrupted`."""
        self.began()
        self.note(trace)

    def began(self) -> None:
        """Count a turn that begins; whoever calls this has to `note` it if it lasts."""
        self._metrics.turn_started()

    def note(self, trace: Trace) -> None:
        """Write down that a turn has begun; once is enough."""
        if trace.id in self._begun:
            # Passed on: noted twice, the second might be written after the end of the first.
            return
        self._begun.add(trace.id)
        begun = msgspec.structs.replace(
            trace, subject=self._vault.subject_id(trace.subject), input="", output="", spans=[]
        )
        self._writer.append(TRACE_BEGIN, _encode(TraceBegin(trace.id, self.boot, begun)))

    def can_keep(self, subject: str) -> bool:
        """Whether texts about a subject could be kept now: nothing would have to be waited for."""
        return not self.content or self._vault.is_unlocked(subject)

    def passed_on(self) -> None:
        """A turn that `started` was told of begins anew, under the same id."""
        self._metrics.turn_restarted()

    def record(self, trace: Trace) -> None:
        """Keep a finished turn. Call it once, after `started`."""
        self._metrics.observe_turn(trace)
        self._begun.discard(trace.id)
        input_sealed = output_sealed = None
        if self.content:
            input_sealed = self._vault.seal_if_unlocked(trace.subject, trace.input)
            output_sealed = self._vault.seal_if_unlocked(trace.subject, trace.output)
            if len(input_sealed or b"") + len(output_sealed or b"") > TEXT_LIMIT_BYTES:
                input_sealed = output_sealed = None
                _log.warning("trace %s is kept without its texts: they are too long", trace.id)
            elif input_sealed is None:
                # The turn failed before its subject's key could be had (the database was down).
                # A text is never stored in clear, so this trace goes without.
                _log.warning("trace %s is kept without its texts: no key", trace.id)
        bare = msgspec.structs.replace(
            trace, subject=self._vault.subject_id(trace.subject), input="", output=""
        )
        self._writer.append(TRACE_END, _encode(TraceEnd(bare, input_sealed, output_sealed)))

    def record_last(self, trace: Trace) -> None:
        """`record` by whoever has no more use for the trace: it need not be copied."""
        if self.content:
            self.record(trace)
            return
        self._metrics.observe_turn(trace)
        was_noted = trace.id in self._begun
        if was_noted:
            self._begun.remove(trace.id)
        trace.subject = self._vault.subject_id(trace.subject)
        trace.input = trace.output = ""
        self._writer.append(TRACE_END, _encode(TraceEnd(trace, None, None, was_noted)))

    def escalate(self, trace: Trace, entry: Escalation) -> None:
        """Put something of a turn into the review queue. Its text is kept as those of traces are."""
        sealed = None
        if self.content:
            sealed = self._vault.seal_if_unlocked(trace.subject, entry.text[:_REVIEW_CHARS])
        bare = msgspec.structs.replace(
            trace,
            subject=self._vault.subject_id(trace.subject),
            input="",
            output="",
            spans=[],
        )
        entry = msgspec.structs.replace(entry, text="")
        if not self._writer.append(REVIEW, _encode(ReviewRecord(new_id(), bare, entry, sealed))):
            _log.error("an entry of the review queue was lost: the journal is full (%s)", trace.id)
