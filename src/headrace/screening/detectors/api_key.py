"""Keys of cloud and software services, by the prefixes their makers gave them."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["ApiKeyDetector"]

_KEYS: tuple[tuple[str, str], ...] = (
    (r"A(?:KIA|SIA|IDA|ROA|GPA|NPA)", r"[A-Z2-7]{16}(?![A-Za-z0-9])"),  # AWS
    (r"AIza", r"[A-Za-z0-9_\-]{35}"),  # Google
    (r"GOCSPX-", r"[A-Za-z0-9_\-]{28}"),  # Google OAuth client
    (r"ya29\.", r"[A-Za-z0-9_\-]{30,512}+"),  # Google access token
    (r"gh[pousr]_", r"[A-Za-z0-9]{36,255}+"),  # GitHub
    (r"github_pat_", r"[A-Za-z0-9_]{60,255}+"),
    (r"gl(?:pat|dt|ptt|rt|ft|soat|cbt|agent)-", r"[A-Za-z0-9_\-]{20,255}+"),  # GitLab
    (r"xox[abeoprs]-", r"[A-Za-z0-9\-]{20,255}+"),  # Slack
    (r"xapp-", r"[A-Za-z0-9\-]{20,255}+"),
    (r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/", r"[A-Za-z0-9]{24}"),
    # Discord bot: its number of 17 to 19 digits in base64, the time, the signature.
    (
        r"(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){5}[MNO][DTjz][AEIMQUYcgk](?:[w-z0-5](?:[MNO][AQgw])?)?\.",
        r"[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,38}+",
    ),
    (r"sk-", r"[A-Za-z0-9_\-]{20,512}+"),  # OpenAI, Anthropic, DeepSeek, OpenRouter …
    (r"[sr]k_(?:live|test)_", r"[A-Za-z0-9]{16,255}+"),  # Stripe
    (r"whsec_", r"[A-Za-z0-9]{24,255}+"),
    (r"hr-", r"[A-Za-z0-9_\-]{20,255}+"),  # Headrace
    (r"hf_", r"[A-Za-z0-9]{30,255}+"),  # Hugging Face
    (r"npm_", r"[A-Za-z0-9]{36}"),
    (r"pypi-", r"[A-Za-z0-9_\-]{50,512}+"),
    (r"SG\.", r"[A-Za-z0-9_\-]{20,64}+\.[A-Za-z0-9_\-]{20,128}+"),  # SendGrid
    (r"do[oprt]_v1_", r"[a-f0-9]{64}"),  # DigitalOcean
    (r"shp(?:at|ca|pa|ss)_", r"[A-Fa-f0-9]{32}"),  # Shopify
    (r"gsk_", r"[A-Za-z0-9]{40,64}+"),  # Groq
    (r"xai-", r"[A-Za-z0-9]{60,128}+"),
    (r"pplx-", r"[A-Za-z0-9]{40,64}+"),  # Perplexity
    (r"dapi", r"[a-f0-9]{32}"),  # Databricks
    (r"LTAI", r"[A-Za-z0-9]{16,24}+"),  # Alibaba Cloud
    (r"AKID", r"[A-Za-z0-9]{32}"),  # Tencent Cloud
    (r"AKLT", r"[A-Za-z0-9]{40,64}+"),  # Volcengine
    (r"ALTAK-", r"[A-Za-z0-9]{16,40}+"),  # Baidu
    (r"AKCp[0-9]", r"[A-Za-z0-9]{60,80}+"),  # JFrog
    (r"EAAA", r"[A-Za-z0-9_\-]{60,64}+"),  # Square
    (r"sq0(?:atp|csp|idp)-", r"[A-Za-z0-9_\-]{22,64}+"),
    (r"SK", r"[a-f0-9]{32}(?![A-Za-z0-9])"),  # Twilio
    (r"(?<=[0-9]{8}:)AA", r"[A-Za-z0-9_\-]{33}"),  # Telegram
    (r"key-", r"[a-f0-9]{32}(?![A-Za-z0-9])"),  # Mailgun
    (r"xkeysib-", r"[a-f0-9]{64}-[A-Za-z0-9]{16}"),  # Brevo
    (r"sntry[su]_", r"[A-Za-z0-9_\-]{32,512}+"),  # Sentry
    (r"glsa_", r"[A-Za-z0-9]{32}_[a-f0-9]{8}"),  # Grafana
    (r"NRAK-", r"[A-Z0-9]{27}"),  # New Relic
    (r"hv[sbr]\.", r"[A-Za-z0-9_\-]{24,255}+"),  # HashiCorp Vault
    (r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"[A-Za-z0-9]{40,44}+"),  # Doppler
    (r"pul-", r"[a-f0-9]{40}"),  # Pulumi
    (r"ops_", r"[A-Za-z0-9_\-]{200,512}+"),  # 1Password
    (r"AGE-SECRET-KEY-1", r"[A-Z0-9]{58}"),  # age
    (r"lin_api_", r"[A-Za-z0-9]{32,64}+"),  # Linear
    (r"ntn_", r"[A-Za-z0-9]{40,64}+"),  # Notion
    (r"figd_", r"[A-Za-z0-9_\-]{30,64}+"),  # Figma
    (r"PMAK-", r"[A-Za-z0-9\-]{50,64}+"),  # Postman
    (r"ATATT3", r"[A-Za-z0-9_\-]{60,255}+"),  # Atlassian
    (r"CFPAT-", r"[A-Za-z0-9_\-]{43}"),  # Contentful
    (r"sk\.", r"eyJ[A-Za-z0-9_\-]{20,255}+\.[A-Za-z0-9_\-]{20,64}+"),  # Mapbox
    (r"pscale_(?:tkn|pw|oauth)_", r"[A-Za-z0-9_\-]{32,64}+"),  # PlanetScale
    (r"sbp_", r"[a-f0-9]{40}"),  # Supabase
    (r"nfp_", r"[A-Za-z0-9]{36,60}+"),  # Netlify
    (r"HRKU-", r"[A-Za-z0-9_\-]{36,64}+"),  # Heroku
    (r"dckr_[po]at_", r"[A-Za-z0-9_\-]{27,64}+"),  # Docker Hub
    (r"rubygems_", r"[a-f0-9]{48}"),  # RubyGems
    (r"ph[cx]_", r"[A-Za-z0-9]{40,60}+"),  # PostHog
    (r"r8_", r"[A-Za-z0-9]{37,40}+"),  # Replicate
    (r"tgp_v1_", r"[A-Za-z0-9_\-]{40,60}+"),  # Together
    (r"fw_", r"[A-Za-z0-9]{20,40}+"),  # Fireworks
    (r"dt0[a-z][0-9]{2}\.", r"[A-Z2-7]{24}\.[A-Z2-7]{64}"),  # Dynatrace
    (r"FLWSECK(?:_TEST)?-", r"[A-Za-z0-9]{32}(?:-X)?"),  # Flutterwave
    (r"pn[ub]_", r"[A-Za-z0-9]{36}"),  # Prefect
    (r"lsv2_(?:pt|sk)_", r"[A-Za-z0-9_]{32,64}+"),  # LangSmith
)
"""Well-known prefix, and the secret behind it, as the makers' documentation shows them."""

_BOUNDARY = r"(?<![A-Za-z0-9])"
_KEY = re.compile(_BOUNDARY + "(?:" + "|".join(f"({head}){body}" for head, body in _KEYS) + ")")
_OPEN = re.compile(
    _BOUNDARY + "(?:" + "|".join(head for head, _ in _KEYS) + r")(?P<body>[\w.\-]{0,512}+)\Z",
    re.ASCII,
)
_BODY = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_LONG = re.compile(r"[A-Za-z0-9_\-]{20}")
"""Every key has at least this, and prose has not: one cheap look before the long pattern."""
_DIGIT = re.compile(r"[0-9]")
_LONGEST_HEAD = 64
"""Of Slack's address, with what names the workspace; most have a few letters."""
_WINDOW = 512 + _LONGEST_HEAD + 1


class ApiKeyDetector:
    """Finds keys of AWS, Google, GitHub, Slack, OpenAI, Anthropic, Stripe and some fifty others.

    The prefix is public, so it stays: it says which key to revoke. Does not catch: keys without
    a prefix of their own (AWS secret keys, Azure, plain hex; see `assigned_secret`), keys broken
    over lines, dummies such as `sk-xxxxxxxxxxxxxxxxxxxxxxxx`.
    """

    name = "api_key"
    kinds = ("secret",)
    languages = ("any",)
    cost_us = 11
    window = _WINDOW
    wakes = (
        ("A(?:KI|SI|ID|RO|GP|NP)", "A"),
        ("AIz", "a"),
        ("dap", "i"),
        ("LTA", "I"),
        ("AKI", "D"),
        ("SG", "."),
        ("AKL", "T"),
        ("EAA", "A"),
        (":A", "A"),
        ("S", "K"),
        ("hv[sbr]", "."),
        ("(?:dp|sk)", "."),
        ("(?:[AEIMQUYcgk][w-z0-5]|[MNO][AQgw]|[DTjz][AEIMQUYcgk])", "."),  # Discord
        (r"dp\.(?:pt|st|ct|sa)", "."),
        ("dt0[a-z][0-9][0-9]", "."),
        (r"dp\.scim", "."),
        (r"dp\.audit", "."),
        ("[A-Za-z0-9]", "-"),
    )
    """Prefixes that are plain."""

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        at = max(0, start - _LONGEST_HEAD)
        if _LONG.search(text, at) is None:
            return
        for match in _KEY.finditer(text, at):
            public = len(match[match.lastindex or 0])
            secret = match[0][public:]
            if match.start() + public >= start and _is_random(match[0], secret):
                yield Span("secret", match.start(), match.end(), public=public)

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not size or text[-1] not in _BODY:
            return size
        tail = text[-_WINDOW:]
        # A head may have other signs in it than a body, so the last run of those is not enough.
        at = max(size - len(tail) + len(tail.rstrip(_BODY)), start) - _LONGEST_HEAD
        at = max(at, 0)
        while match := _OPEN.search(text, at):
            if match.start("body") >= start:
                return match.start("body")
            at = match.start() + 1
        return size


def _is_random(key: str, secret: str) -> bool:
    """Not a word or a row of x: prefixes that may begin a word need a digit behind them."""
    if len(set(secret)) < 6:
        return False
    return key[2:3] != "-" or _DIGIT.search(secret) is not None
