"""Figures as people read them. Each keeps two or three digits that matter."""

from datetime import UTC, datetime

__all__ = ["as_moment", "as_percent", "as_seconds", "as_usd"]


def as_seconds(seconds: float) -> str:
    """`0.05 ms`, `12 ms`, `1.24 s`, `3 min 20 s`."""
    if seconds >= 99.95:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    if seconds >= 0.9995:
        return f"{seconds:.3g} s"
    ms = seconds * 1000
    return f"{ms:.0f} ms" if ms >= 9.95 else f"{ms:.1f} ms" if ms >= 0.095 else f"{ms:.2f} ms"


def as_usd(usd: float) -> str:
    """`$0`, `$0.000042`, `$1.25`."""
    if usd == 0:
        return "$0"
    return f"${usd:.2f}" if usd >= 0.995 else f"${usd:.2g}" if usd >= 1e-4 else f"${usd:.7f}"


def as_moment(then: float) -> str:
    """`2026-11-24 17:03:21 UTC`."""
    return datetime.fromtimestamp(then, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def as_percent(part: float) -> str:
    """`12.5%`."""
    return f"{part:.2f}%"
