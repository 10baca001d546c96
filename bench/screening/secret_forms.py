"""Forms of keys as their makers show them, and the lines they stand in, for secret.py.

A form is text with `[letters]{count}` in it; values are random, so none is anybody's. The two parts,
`development` and `held out`, share the forms and have seeds and contexts of their own; `UNSEEN` are
forms that only `held out` has. Nothing here is a real key or looks like one to a scanner of files.
"""

import base64
import json
import random
import re
from dataclasses import dataclass

__all__ = ["CONTEXTS", "FORMS", "UNSEEN", "Form", "fill", "filled"]

_PIECE = re.compile(r"\[([^\]]+)\]\{(\d+)(?:,(\d+))?\}")
_WORDS = ("Summer", "Orchid", "Lantern", "Falcon", "Maple", "Harbor", "Copper", "Tiger", "Winter", "Violet")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    kind: str
    shape: str
    """`@discord`, `@human`, `@jwt` and `@pem` are made by the functions below."""
    name: str = "api_key"
    """What a program calls it."""
    spoken: str = "API key"
    contexts: tuple[str, ...] = ()
    """Lines of its own, where it has no other: the same for both parts."""


def fill(shape: str, chance: random.Random) -> str:
    def piece(match: re.Match[str]) -> str:
        letters = re.sub(
            r"(.)-(.)",
            lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))),
            match[1],
        )
        count = chance.randint(int(match[2]), int(match[3] or match[2]))
        return "".join(chance.choice(letters) for _ in range(count))

    return _PIECE.sub(piece, shape)


def filled(form: Form, chance: random.Random) -> str:
    made = {"@discord": discord, "@human": human_password, "@jwt": jwt, "@pem": pem}.get(form.shape)
    return made(chance) if made else fill(form.shape, chance)


def discord(chance: random.Random) -> str:
    """The number of the bot in base64, the time, and 27 random letters."""
    number = base64.b64encode(str(chance.randrange(10**17, 10**18)).encode()).decode()
    return fill(f"{number}.[A-Za-z0-9_-]{{6}}.[A-Za-z0-9_-]{{27}}", chance)


def human_password(chance: random.Random) -> str:
    word = chance.choice(_WORDS)
    sign = chance.choice("!#$%&*?")
    if chance.random() < 0.5:
        return f"{word}{chance.randint(1950, 2026)}{sign}"
    return word.replace("e", "3").replace("a", "@").lower() + str(chance.randint(10, 999)) + sign


def jwt(chance: random.Random) -> str:
    head = {"alg": "HS256", "typ": "JWT"}
    body = {"sub": str(chance.randrange(10**10)), "iat": chance.randrange(10**9, 2 * 10**9)}
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in (head, body)]
    return ".".join(part.rstrip("=") for part in parts) + "." + fill("[A-Za-z0-9_]{43}", chance)


def pem(chance: random.Random) -> str:
    kind = chance.choice(("RSA ", "EC ", "OPENSSH ", ""))
    lines = [fill("[A-Za-z0-9+/]{64}", chance) for _ in range(chance.randint(3, 12))]
    edge = "-" * 5
    return "\n".join(
        (f"{edge}BEGIN {kind}PRIVATE KEY{edge}", *lines, f"{edge}END {kind}PRIVATE KEY{edge}")
    )


CONTEXTS = {
    "development": (
        "{N}={v}",
        'export {N}="{v}"',
        '  "{n}": "{v}",',
        "{n} = '{v}'  # TODO: move to the vault",
        "Why does it say 401? My {s} is {v} and it worked yesterday.",
        "我的{s}是{v}，为什么报错？",
        'config.set("{n}", "{v}")',
        "deployed {hex40} with {N}={v}",
        "request {uuid}: rejected {s} {v} (status 403)",
    ),
    "held out": (
        "{n}: {v}",
        "ENV {N} {v}",
        'const {n} = "{v}";',
        "client = Client(base_url, {n}='{v}', retries=3)",
        "Here you go: {v} is the {s}, please check the quota.",
        "请用这个{s}：{v} 重新部署",
        '- {{name: {N}, value: "{v}"}}',
        "https://api.example.com/v1/items?{n}={v}&limit=10",
        "trace {hex32} user {uuid} sent {s} {v}",
    ),
}

_LOWER = "[a-z0-9]"
_ALL = "[A-Za-z0-9]"
_URL = "[A-Za-z0-9_-]"
FORMS = (
    Form("aws access key", "AKIA[A-Z2-7]{16}", "aws_access_key_id", "AWS access key"),
    Form("aws secret key", "[A-Za-z0-9+/]{40}", "aws_secret_access_key", "AWS secret access key"),
    Form("anthropic", f"sk-ant-api03-{_URL}{{93}}AA", "anthropic_api_key", "Anthropic API key"),
    Form("artifactory", "AKCp8[A-Za-z0-9]{68}", "artifactory_api_key", "Artifactory key"),
    Form(
        "azure storage",
        "[A-Za-z0-9+/]{86}==",
        contexts=(
            "DefaultEndpointsProtocol=https;AccountName=store1;AccountKey={v};EndpointSuffix=core.windows.net",
            'AZURE="AccountName=logs;AccountKey={v}"',
        ),
    ),
    Form(
        "azure client",
        f"{_ALL}{{3}}8Q~[A-Za-z0-9_.~-]{{34}}",
        "azure_client_secret",
        "client secret",
    ),
    Form(
        "basic auth url",
        f"{_ALL}{{8,16}}",
        contexts=(
            "DATABASE_URL=postgresql://app:{v}@db.internal:5432/orders",
            "git clone https://ann:{v}@git.example.com/team/repo.git fails for me",
            "连接串是 mysql://root:{v}@10.0.0.7/shop，连不上",
        ),
    ),
    Form("discord bot", "@discord", "discord_token", "bot token"),
    Form("github", "ghp_[A-Za-z0-9]{36}", "github_token", "GitHub token"),
    Form("gitlab", f"glpat-{_URL}{{20}}", "gitlab_token", "GitLab token"),
    Form("google", f"AIza{_URL}{{35}}", "google_api_key", "Google API key"),
    Form("hugging face", "hf_[A-Za-z]{34}", "hf_token", "Hugging Face token"),
    Form("ibm cloud", f"{_URL}{{44}}", "ibm_cloud_api_key", "IBM Cloud API key"),
    Form("jwt", "@jwt", "access_token", "access token"),
    Form("mailchimp", "[a-f0-9]{32}-us[1-9]{1}", "mailchimp_api_key", "Mailchimp API key"),
    Form(
        "npm",
        "npm_[A-Za-z0-9]{36}",
        contexts=("//registry.npmjs.org/:_authToken={v}", "npm 403, my token is {v}"),
    ),
    Form("openai", f"sk-{_ALL}{{20}}T3BlbkFJ{_ALL}{{20}}", "openai_api_key", "OpenAI key"),
    Form("private key", "@pem", contexts=("{v}", "My key:\n{v}\nWhy is it refused?")),
    Form("pypi", f"pypi-AgEIcHlwaS5vcmc{_URL}{{120}}", "pypi_token", "PyPI token"),
    Form("sendgrid", f"SG.{_URL}{{22}}.{_URL}{{43}}", "sendgrid_api_key", "SendGrid key"),
    Form("slack token", f"xoxb-[0-9]{{12}}-[0-9]{{12}}-{_ALL}{{24}}", "slack_token", "Slack token"),
    Form(
        "slack webhook",
        "T[A-Z0-9]{8}/B[A-Z0-9]{8}/[A-Za-z0-9]{24}",
        contexts=(
            "SLACK_URL=https://hooks.slack.com/services/{v}",
            'post("https://hooks.slack.com/services/{v}", {{"text": "hi"}})',
            "我用 https://hooks.slack.com/services/{v} 发不出消息",
        ),
    ),
    Form("square", f"sq0csp-{_URL}{{43}}", "square_secret", "Square secret"),
    Form("stripe", "sk_live_[A-Za-z0-9]{24}", "stripe_key", "Stripe key"),
    Form("telegram bot", f"[1-9]{{1}}[0-9]{{8}}:AA{_URL}{{33}}", "telegram_token", "bot token"),
    Form("twilio", "SK[a-f0-9]{32}", "twilio_api_key", "Twilio key"),
    Form("hex key", "[a-f0-9]{32}", "signing_key", "signing key"),
    Form("base64 key", "[A-Za-z0-9+/]{43}=", "encryption_key", "encryption key"),
    Form("random password", "[A-Za-z0-9!#%^*_+]{12,18}", "db_password", "password"),
    Form("human password", "@human", "password", "password"),
    Form(
        "command line",
        f"{_ALL}{{10,16}}",
        contexts=(
            "curl -u admin:{v} https://ci.example.com/api",
            "sshpass -p {v} ssh deploy@10.0.0.4",
            "mysql -h db -u root -p{v} shop < dump.sql",
            "redis-cli -h cache -a {v} ping",
            "docker login -u bot --password {v} registry.example.com",
        ),
    ),
)
UNSEEN = (
    Form("airtable", f"pat{_ALL}{{14}}.[a-f0-9]{{64}}", "airtable_token", "Airtable token"),
    Form("dropbox", f"sl.{_URL}{{138}}", "dropbox_token", "Dropbox token"),
    Form("dynatrace", "dt0c01.[A-Z2-7]{24}.[A-Z2-7]{64}", "dynatrace_token", "Dynatrace token"),
    Form("facebook", f"EAACEdEose0cBA{_ALL}{{60,90}}", "facebook_token", "Facebook token"),
    Form("flutterwave", "FLWSECK-[a-f0-9]{32}-X", "flutterwave_key", "Flutterwave key"),
    Form("planetscale", f"pscale_tkn_{_URL}{{43}}", "planetscale_token", "PlanetScale token"),
    Form("prefect", f"pnu_{_LOWER}{{36}}", "prefect_key", "Prefect key"),
    Form("shopify", "shpat_[a-f0-9]{32}", "shopify_token", "Shopify token"),
    Form("typeform", f"tfp_{_URL}{{59}}", "typeform_token", "Typeform token"),
    Form("azure sas", f"{_ALL}{{41}}%2B%3D", contexts=(
        "https://store1.blob.core.windows.net/a?sv=2024-11-04&se=2026-12-01&sp=r&sig={v}",
    )),
)  # fmt: skip
