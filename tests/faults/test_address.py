"""A deployment whose name nobody knows, or whose certificate is wrong: said plainly, and no harm."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.conftest import config_of
from tests.faults.load import Load, counted
from tests.faults.server import Upstream
from tests.models.http.certificates import Authority
from tests.running import ServiceProcess, wait_for

NAMES = ("well", "unknown", "expired", "stranger")
"""What each deployment is, in the order of the configuration."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One deployment is well; of the others each is wrong in its way."""
    root: Path = tmp_path_factory.mktemp("address")
    authority = Authority.made(root)
    expired = authority.sign("127.0.0.1", days=(-30, -2))
    (root / "elsewhere").mkdir()
    stranger = Authority.made(root / "elsewhere").sign("127.0.0.1", self_signed=True)
    with ExitStack() as stack:
        servers = [
            Upstream(root / "well.log"),
            Upstream(root / "expired.log", certificate=expired.certificate, key=expired.key),
            Upstream(root / "stranger.log", certificate=stranger.certificate, key=stranger.key),
        ]
        for each in servers:
            stack.callback(each.kill)
        well, *bad = [each.url for each in servers]
        text = config_of([well, "http://no-such-host.invalid:8000/v1", *bad])
        alone = "".join(
            f"  {name}: {{deployments: [{{backend: openai_compatible, model: m,"
            f' base_url: "{url}", api_key: sk-faults}}]}}\n'
            for name, url in zip(NAMES[2:], bad, strict=True)
        )
        (root / "headrace.yaml").write_text(text.replace("pipeline:", f"{alone}pipeline:"))
        environ = {"SSL_CERT_FILE": str(authority.file)}
        running = ServiceProcess.start(root, root / "home", environ=environ)
        stack.callback(running.kill)
        yield running


def test_the_others_answer_under_load(
    service: ServiceProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    with Load(service.url, service.key, 40, name="address ") as load:
        wait_for(lambda: len(load.said) >= 60)
    with capsys.disabled():
        print(f"\nthree of four addresses wrong: {counted(load.said)}")
    assert {each.kind for each in load.said} == {"ok"}, [e for e in load.said if e.kind != "ok"][:3]


@pytest.mark.parametrize(
    ("name", "fault", "says"),
    [
        ("unknown", "dns", "no-such-host.invalid"),
        ("expired", "tls", "expired"),
        ("stranger", "tls", "self-signed"),
    ],
)
def test_a_test_of_the_model_says_what_is_wrong(
    service: ServiceProcess, name: str, fault: str, says: str
) -> None:
    position = str(NAMES.index(name))
    environ = {"SSL_CERT_FILE": str(service.log.parent / "test-authority.pem")}
    found = service.run("models", "test", "chat", "--deployment", position, check=False, **environ)
    assert found.returncode == 1
    assert says in found.stdout + found.stderr
    assert fault in (found.stdout + found.stderr).lower()


def test_a_client_that_needs_it_is_told_of_the_certificate(service: ServiceProcess) -> None:
    with service.client() as client:
        answer = client.post(
            "/v1/chat/completions",
            json={"model": "expired", "messages": [{"role": "user", "content": "Hi"}]},
        )
    assert answer.status_code == 503
    error = answer.json()["error"]
    assert error["code"] == "deployment_misconfigured"
    assert "expired" in error["message"]
