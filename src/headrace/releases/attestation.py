"""What a release has proved: a signed statement that it passed a suite, or did not.

Source: in-toto Attestation Framework 1.0 (Statement), its predicate `test-result/v0.1`, and the
envelope of DSSE 1.0.2. Other tools of the field read these; what is ours beside the predicate's own
fields is ignored by them, as the framework asks of every reader.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Literal, Self, TypeAlias

import msgspec

from headrace.releases.errors import ReleaseInvalid

__all__ = ["PAYLOAD_TYPE", "Attestation", "Envelope", "Verdict", "signed_bytes"]

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
Verdict: TypeAlias = Literal["PASSED", "FAILED"]


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """One suite, asked of one release."""

    release: str
    """Digest of the release, as `sha256:…`."""
    suite: str
    suite_digest: str
    """SHA-256 of the suite and its cases, as `sha256:…`."""
    verdict: Verdict
    scores: dict[str, float]
    """The mean of each scorer."""
    breaches: list[str]
    """What of the gate did not hold, in words."""
    cases: int
    run: str
    """The evaluation's run, where it was made."""
    baseline: str
    """Digest of the release that it was compared with; empty: with none."""
    finished_at: float
    """Seconds since 1970, UTC."""

    @property
    def passed(self) -> bool:
        return self.verdict == "PASSED"

    def payload(self) -> bytes:
        """The in-toto statement, as canonical JSON."""
        statement = {
            "_type": _STATEMENT,
            "subject": [{"name": "release", "digest": _digest(self.release)}],
            "predicateType": _PREDICATE,
            "predicate": {
                "result": self.verdict,
                "configuration": [{"name": self.suite, "digest": _digest(self.suite_digest)}],
                "passedTests": [self.suite] if self.passed else [],
                "failedTests": [] if self.passed else [self.suite],
                "headrace": {
                    "scores": self.scores,
                    "breaches": self.breaches,
                    "cases": self.cases,
                    "run": self.run,
                    "baseline": self.baseline,
                    "finishedOn": datetime.fromtimestamp(self.finished_at, UTC).isoformat(),
                },
            },
        }
        return msgspec.json.encode(statement, order="sorted")

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """
        Raises:
            ReleaseInvalid: it is no statement of ours.
        """
        try:
            found = msgspec.json.decode(payload, type=_Statement)
        except msgspec.MsgspecError as error:
            raise ReleaseInvalid(f"an attestation cannot be read: {error}") from error
        if found.predicate_type != _PREDICATE or not found.subject or not found.predicate.tested:
            raise ReleaseInvalid(f"{found.predicate_type!r} is no result of a suite")
        predicate, suite = found.predicate, found.predicate.tested[0]
        ours = predicate.headrace
        return cls(
            release=f"sha256:{found.subject[0].digest.get('sha256', '')}",
            suite=suite.name,
            suite_digest=f"sha256:{suite.digest.get('sha256', '')}",
            verdict=predicate.result,
            scores=ours.scores,
            breaches=ours.breaches,
            cases=ours.cases,
            run=ours.run,
            baseline=ours.baseline,
            finished_at=ours.finished_on.timestamp(),
        )


class _Resource(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Ours(msgspec.Struct, frozen=True, rename={"finished_on": "finishedOn"}):
    scores: dict[str, float]
    breaches: list[str]
    cases: int
    run: str
    baseline: str
    finished_on: datetime


class _Predicate(msgspec.Struct, frozen=True, rename={"tested": "configuration"}):
    result: Verdict
    tested: list[_Resource]
    headrace: _Ours


class _Statement(msgspec.Struct, frozen=True, rename={"predicate_type": "predicateType"}):
    subject: list[_Resource]
    predicate_type: str
    predicate: _Predicate


class _Signature(msgspec.Struct, frozen=True, kw_only=True):
    sig: str
    keyid: str = ""


class Envelope(msgspec.Struct, frozen=True, rename={"payload_type": "payloadType"}):
    """A DSSE envelope: what was signed, and by whom."""

    payload: str
    """Base64."""
    payload_type: str
    signatures: list[_Signature]

    @classmethod
    def seal(cls, payload: bytes, signature: bytes) -> Self:
        return cls(_text(payload), PAYLOAD_TYPE, [_Signature(sig=_text(signature))])

    def opened(self) -> tuple[bytes, list[bytes]]:
        """The payload and its signatures, unchecked.

        Raises:
            ReleaseInvalid: it is not written as an envelope is.
        """
        try:
            payload = base64.b64decode(self.payload, validate=True)
            signatures = [base64.b64decode(each.sig, validate=True) for each in self.signatures]
        except binascii.Error as error:
            raise ReleaseInvalid(f"an attestation's envelope cannot be read: {error}") from error
        if self.payload_type != PAYLOAD_TYPE:
            raise ReleaseInvalid(f"an attestation holds {self.payload_type!r}")
        return payload, signatures


def signed_bytes(payload: bytes) -> bytes:
    """What a signature of the envelope is made over (DSSE's pre-authentication encoding)."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def _digest(text: str) -> dict[str, str]:
    return {"sha256": text.removeprefix("sha256:")}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
