"""Lines without a secret that look as if they had one, for secret.py: one list for each kind.

`code` and `lock files` are real: modules of Python's library that deal with keys and tokens, the
checksums that installed packages list, and the lock file of our own tests. The rest is made up
with random values, or written by hand (`program text`). The parts share neither modules nor
packages nor seeds nor hand-written lines.
"""

import base64
import importlib.util
import random
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path

from secret_forms import fill  # type: ignore[import-not-found]  # beside this script

__all__ = ["benign"]

ROOT = Path(__file__).parents[2]
HARMLESS = Path(__file__).parent / "data" / "harmless.txt"
_MODULES = {
    "development": ("hmac", "getpass", "ssl", "smtplib", "tokenize", "ftplib", "urllib.request"),
    "held out": ("hashlib", "secrets", "imaplib", "netrc", "token", "http.client", "poplib", "uuid",
                 "base64", "urllib.parse", "shlex", "email.message", "logging.handlers"),
}  # fmt: skip
_PACKAGES = {"development": ("pytest", "ruff"), "held out": ("mypy", "hypothesis", "httpx")}
_HASHES = {
    "development": (
        "[a-f0-9]{64}  dist/app-2.[0-9]{1}.tar.gz",
        "commit [a-f0-9]{40}",
        '"md5": "[a-f0-9]{32}",',
        'image: registry.example.com/app@sha256:[a-f0-9]{64}',
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA[A-Za-z0-9+/]{43} ann@example.com",
        'ETag: "[a-f0-9]{32}"',
    ),
    "held out": (
        "[a-f0-9]{7} Merge branch 'token-refresh' ([a-f0-9]{40})",
        "MD5 (password-policy.pdf) = [a-f0-9]{32}",
        '<script src="a.js" integrity="sha384-[A-Za-z0-9+/]{64}" crossorigin></script>',
        "    --hash=sha256:[a-f0-9]{64} \\",
        "The host key has the fingerprint SHA256:[A-Za-z0-9+/]{43}.",
        "index [a-f0-9]{10}..[a-f0-9]{10} 100644",
        'checksum = "[a-f0-9]{64}"',
        "digest: sha256:[a-f0-9]{64} size: 1994",
        "文件的 SHA-1 校验和是 [a-f0-9]{40}",
    ),
}  # fmt: skip
_UUID = "[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-a[a-f0-9]{3}-[a-f0-9]{12}"
_IDS = {
    "development": (
        f"user_id={_UUID}",
        f'{{"id": "{_UUID}", "status": "active"}}',
        "x-request-id: [a-f0-9]{32}",
        "customer cus_[A-Za-z0-9]{14} bought price_[A-Za-z0-9]{24}",
        "arn:aws:iam::[0-9]{12}:role/token-reader",
        "pod/api-[a-f0-9]{10}-[a-z0-9]{5} Running",
    ),
    "held out": (
        f"GET /v1/keys/{_UUID} 200",
        f"主键：{_UUID}",
        f"primary key of the row: {_UUID}",
        "traceparent: 00-[a-f0-9]{32}-[a-f0-9]{16}-01",
        'trackingId: "01[A-Z0-9]{24}"',
        '{"_id": {"$oid": "[a-f0-9]{24}"}, "token_count": [0-9]{3}}',
        "payment pi_[A-Za-z0-9]{24} refunded, see evt_[A-Za-z0-9]{24}",
        "https://docs.example.com/d/[A-Za-z0-9_-]{44}/edit",
        "https://video.example.com/watch?v=[A-Za-z0-9_-]{11}",
        "[0-9]{12}-[a-z0-9]{32}.apps.googleusercontent.com",
        "stripe.publishableKey = 'pk_live_[A-Za-z0-9]{24}'",
    ),
}
_PROGRAM = {
    "development": """
password = os.environ["DB_PASSWORD"]
api_key: str | None = None
token = request.headers.get("Authorization")
DB_PASSWORD=${DB_PASSWORD}
password: "{{ vault_password }}"
if password != confirm_password:
const apiKey = process.env.OPENAI_API_KEY;
passwordField = document.getElementById("password-input-1")
secret_name = "projects/example/secrets/main-db"
def check_password(password: str, hashed: bytes) -> bool:
max_tokens: 4096
OPENAI_API_KEY=sk-...
export API_KEY=<your-api-key>
PASSWORD_RESET_TIMEOUT_DAYS = 3
"passwordConfirm": "The passwords do not match",
token_type = "bearer"
SECRET_KEY = config("SECRET_KEY")
private key file: /etc/ssl/private/server.key
How long should an API key be? Is 32 characters enough?
My password manager says the password is weak.
""",
    "held out": """
password = getpass.getpass("Password: ")
api_key = settings.api_key.get_secret_value()
token = secrets.token_urlsafe(32)
password: ${{ secrets.REGISTRY_PASSWORD }}
POSTGRES_PASSWORD=changeme
const token = localStorage.getItem("access_token_v2");
access_key = aws_iam_access_key.deploy2024.id
credentials = load_credentials_from_file("~/.aws/credentials")
password_hash = bcrypt.hashpw(password.encode(), bcrypt.gensalt(12))
auth_token = await oauth2_client.fetch_access_token(scope)
secretKeyRef: {name: db-credentials, key: password}
assert response.json()["token"] == expected_token
-p, --password PASSWORD  the password to log in with
Authorization: Bearer <token>
Authorization: Bearer $ACCESS_TOKEN
sk-your-key-here
api_key = "YOUR_API_KEY_HERE"
"api_key": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
password = "********"
private_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SELECT password_changed_at FROM users WHERE token_version = 3;
eos_token_id = 151645, pad_token = "<|endoftext|>"
signing_key_path = "/run/secrets/jwt_signing_key_2026"
token: process.env.CI_JOB_TOKEN_V4,
What does the error "invalid API key format: expected 51 characters" mean?
The secret of success is 99% perspiration.
忘记密码怎么办？验证码收不到。
密码至少要8位，包含数字和字母。
请解释公钥和私钥的区别，以及token的有效期为什么是3600秒。
class PasswordResetTokenGenerator:
public_key = "ssh-rsa-sha2-256@openssh.com"
keyboard_layout = "us-intl-with-dead-keys-2"
""",
}
_RANDOM_LINES = 400


def benign(part: str, seed: int) -> dict[str, list[str]]:
    """Lines of each kind; blank ones are left out."""
    chance = random.Random(seed)

    def made(shapes: tuple[str, ...]) -> list[str]:
        return [fill(chance.choice(shapes), chance) for _ in range(_RANDOM_LINES)]

    lines = {
        "hashes": made(_HASHES[part]),
        "UUIDs and ids": made(_IDS[part]),
        "base64 images": _images(chance),
        "lock files": _locks(part),
        "code": _code(part),
        "program text": _PROGRAM[part].splitlines(),
    }
    if part == "held out":
        lines["questions"] = HARMLESS.read_text("utf-8").splitlines()
    return {kind: [line for line in each if line.strip()] for kind, each in lines.items()}


def _images(chance: random.Random) -> list[str]:
    """Images in HTML, Markdown and CSS, and as e-mail carries them: 76 letters a line."""
    heads: tuple[Callable[[str], list[str]], ...] = (
        lambda data: [f'<img src="data:image/png;base64,{data}" alt="logo">'],
        lambda data: [f"![chart](data:image/jpeg;base64,{data})"],
        lambda data: [f"  background: url('data:image/gif;base64,{data}');"],
        lambda data: [data[at : at + 76] for at in range(0, len(data), 76)],
    )
    lines: list[str] = []
    for number in range(_RANDOM_LINES // 8):
        head = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
        data = base64.b64encode(head + chance.randbytes(chance.randint(80, 900))).decode()
        lines += heads[number % len(heads)](data)
    return lines


def _code(part: str) -> list[str]:
    lines: list[str] = []
    for name in _MODULES[part]:
        found = importlib.util.find_spec(name)
        if found is not None and found.origin is not None:
            lines += Path(found.origin).read_text("utf-8").splitlines()
    return lines


def _locks(part: str) -> list[str]:
    lines: list[str] = []
    for package in _PACKAGES[part]:
        records = [each for each in files(package) or () if each.name == "RECORD"]
        lines += [line for each in records for line in each.read_text("utf-8").splitlines()[:300]]
    if part == "held out":
        lock = ROOT / "tests" / "gateway" / "node" / "package-lock.json"
        lines += lock.read_text("utf-8").splitlines()[:400]
    return lines
