"""What a release has proved: signed, newest first to count, nothing believed that strangers say."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.releases.attestation import Attestation, Envelope, signed_bytes
from headrace.releases.deploy import Suites
from headrace.releases.errors import ReleaseInvalid
from headrace.releases.layout import export, read_layout
from headrace.releases.store import Release, ReleaseStore
from tests.releases.conftest import add

SUITE = f"sha256:{'5' * 64}"


def proof(release: Release, **changes: object) -> Attestation:
    made = Attestation(
        release=release.digest,
        suite="quality",
        suite_digest=SUITE,
        verdict="PASSED",
        scores={"exact": 0.75},
        breaches=[],
        cases=8,
        run="run-1",
        baseline="",
        finished_at=1_000.0,
    )
    return msgspec.structs.replace(made, **changes)


@given(
    scores=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    breaches=st.lists(st.text()),
    cases=st.integers(0, 10**9),
    at=st.integers(0, 4_000_000_000),
)
def test_what_is_written_is_read_again(
    scores: dict[str, float], breaches: list[str], cases: int, at: int
) -> None:
    made = Attestation(
        release=f"sha256:{'a' * 64}", suite="测试", suite_digest=SUITE, verdict="FAILED",
        scores=scores, breaches=breaches, cases=cases, run="r", baseline="", finished_at=float(at),
    )  # fmt: skip
    assert Attestation.parse(made.payload()) == made


def test_the_statement_is_in_totos(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    written = msgspec.json.decode(proof(release).payload())
    assert written["_type"] == "https://in-toto.io/Statement/v1"
    assert written["subject"][0]["digest"] == {"sha256": release.digest.removeprefix("sha256:")}
    assert written["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert written["predicate"]["result"] == "PASSED"
    assert written["predicate"]["passedTests"] == ["quality"]


def test_the_newest_result_counts(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    store.attest(proof(release, finished_at=2_000.0, verdict="FAILED", breaches=["exact: low"]))
    store.attest(proof(release, finished_at=1_000.0))
    (found,) = store.attestations(release)
    assert not found.passed
    suites = Suites(names=["quality", "safety"], digests={"quality": SUITE})
    assert suites.unproved(release, store) == [
        "quality: exact: low",
        "safety: it was never asked",
    ]
    store.attest(proof(release, finished_at=3_000.0))
    assert Suites(names=["quality"], digests={}).unproved(release, store) == []


def test_a_changed_suite_proves_nothing(store: ReleaseStore, root: Path) -> None:
    release = add(store, root)
    store.attest(proof(release))
    changed = Suites(names=["quality"], digests={"quality": f"sha256:{'6' * 64}"})
    assert changed.unproved(release, store) == ["quality: the suite has changed since it was asked"]


def test_what_a_stranger_or_nobody_signed_is_not_believed(
    store: ReleaseStore,
    elsewhere: ReleaseStore,
    root: Path,
) -> None:
    release = add(store, root)
    payload = proof(release).payload()
    store.keep_envelope(Envelope.seal(payload, elsewhere.signer.sign(signed_bytes(payload))))
    store.keep_envelope(Envelope.seal(payload, b"nonsense"))
    # A signature over the bare payload is none: the envelope's kind is signed too.
    store.keep_envelope(Envelope.seal(payload, store.signer.sign(payload)))
    assert store.attestations(release) == []
    assert len(store.envelopes(release)) == 3


def test_what_holds_no_result_is_refused(store: ReleaseStore) -> None:
    for payload in (b"{}", b"not json", b'{"_type":"x","subject":[],"predicateType":"y"}'):
        with pytest.raises(ReleaseInvalid):
            store.keep_envelope(Envelope.seal(payload, b""))
    with pytest.raises(ReleaseInvalid):
        store.keep_envelope(Envelope("&", "application/vnd.in-toto+json", []))


def test_it_travels_with_the_release_once(
    store: ReleaseStore,
    elsewhere: ReleaseStore,
    root: Path,
    tmp_path: Path,
) -> None:
    release = add(store, root)
    store.attest(proof(release))
    folder = tmp_path / "layout"
    export(release, store, folder)
    trusted = elsewhere.folder.parent / "trusted-releases"
    trusted.mkdir()
    for _ in range(2):
        taken, _ = read_layout(folder, elsewhere)
    assert elsewhere.attestations(taken) == []
    (trusted / "builder.pub").write_bytes((store.folder.parent / "release.pub").read_bytes())
    assert elsewhere.attestations(taken) == [proof(release)]
    assert len(elsewhere.envelopes(taken)) == 1
