"""Passwords and keys on command lines."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import PolicyBlocked
from headrace.screening.answer import AnswerScreen
from headrace.screening.detectors.command_password import CommandPasswordDetector
from headrace.screening.masking import MaskTable
from headrace.screening.rule import Rule, SideRules

DETECTOR = CommandPasswordDetector()


def found(text: str) -> list[str]:
    return [text[span.shown : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "secrets"),
    [
        ("curl -u ann:hunter22 https://ci.example.com/api", ["hunter22"]),
        ("curl --user 'ann:hunter 22' x", []),
        ("curl -sS -X POST --user ann:Tr0ub4dor! https://x.example", ["Tr0ub4dor!"]),
        ("sshpass -p Zx9kfF04 ssh -p 2222 deploy@10.0.0.4", ["Zx9kfF04"]),
        ("mysql -h db -u root -pS3cret99 shop < dump.sql", ["S3cret99"]),
        ("mysqldump -uroot -p'S3cret99' shop", ["S3cret99"]),
        ("mongosh -u app -p S3cret99 --host db", ["S3cret99"]),
        ("用mysql -uroot -pAbc12345 连接数据库失败", ["Abc12345"]),
        ("redis-cli -h cache -a 44fueZ5MRujn ping", ["44fueZ5MRujn"]),
        ("docker login -u bot -p S3cret99 registry.example.com", ["S3cret99"]),
        ("docker login -u bot --password S3cret99 r.example", ["S3cret99"]),
        ("app --db-password=S3cret99 --port 80", ["S3cret99"]),
        ("deploy --auth-token f3A9k2LmQ8x7Zp0Rt5Vw", ["f3A9k2LmQ8x7Zp0Rt5Vw"]),
        ("smbclient //nas/share -U 'ann%S3cret99'", ["S3cret99"]),
        ("ldapsearch -x -D cn=admin -w S3cret99 -b dc=x", ["S3cret99"]),
        ("keytool -storepass x -password Abc12345", ["Abc12345"]),
    ],
)
def test_what_a_command_is_given_is_found(text: str, secrets: list[str]) -> None:
    assert found(text) == secrets


@pytest.mark.parametrize(
    "text",
    [
        "docker run -p 8080:80 -u 1000:1000 nginx:1.27",
        "ssh -p 22022 ann@host && mkdir -p build2026/out",
        "curl -u ann:$TOKEN_2 https://x.example",
        "curl -u ann:password https://x.example",
        "curl -u '<user1>:<password1>' https://x.example",
        "mysql -u root -p shop2024",
        "mysql -P 3306 -u root -p",
        "docker login -u bot --password-stdin registry2.example.com",
        "use --password instead of -p",
        "app --password ${DB_PASSWORD1}",
        "psql --password --host db1.example.com",
        "app --token /run/secrets/token1-of-the-app",
        "sort --key 2,2 --key 1n",
        "etcdctl get --prefix --keys-only service2",
        "tar -p 2024a.tar; mysql -u root",
        "git commit -a -m 2024-release",
        "pass -p 123456 is a flag of nothing",
    ],
)
def test_ordinary_commands_are_left_alone(text: str) -> None:
    assert found(text) == []


@given(st.data())
def test_a_stream_hides_what_the_whole_text_hides(data: st.DataObject) -> None:
    pieces = st.sampled_from(
        [
            "mysql",
            " ",
            " -p",
            "Abc12345",
            "Abc",
            "12345",
            "--password",
            "curl -u ann",
            ":",
            "'",
            "\n",
        ]
    )
    text = "".join(data.draw(st.lists(pieces, max_size=14)))
    hidden = SideRules("output", (DETECTOR,), (), {"secret": (Rule(action="mask"),)}, {})
    whole = AnswerScreen(hidden, MaskTable(), [], lambda: PolicyBlocked("no"))
    expected = whole.push(text) + whole.finish("stop")
    stream = AnswerScreen(hidden, MaskTable(), [], lambda: PolicyBlocked("no"))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    left = [stream.push(text[a:b]) for a, b in pairwise(cuts)]
    assert "".join(left) + stream.finish("stop") == expected
