"""How a failure looks: two lines on stderr, or one of JSON; the traceback only with `--debug`."""

import sys
import traceback

import click

from headrace.cli.command import Options
from headrace.errors import HeadraceError

__all__ = ["report"]

FAILED = 1


def report(error: Exception, options: Options) -> int:
    """Say what went wrong and what to do; gives the exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if options.debug:
        traceback.print_exception(error, file=sys.stderr)
    message, hint = _told(error)
    if options.as_json:
        _print_json(_code(error), message, hint)
    else:
        click.echo(f"error: {message}", err=True)
        if hint:
            click.echo(f"hint: {hint}", err=True)
    return error.exit_code if isinstance(error, click.ClickException) else FAILED


def _print_json(code: str, message: str, hint: str) -> None:
    # Imported where it is needed: `--help` stays fast without it.
    import msgspec

    told = {"error": {"code": code, "message": message, "hint": hint}}
    click.echo(msgspec.json.encode(told), err=True)


def _code(error: Exception) -> str:
    if isinstance(error, HeadraceError):
        # A service at an address says by its own code what went wrong there.
        return getattr(error, "service_code", None) or error.code
    if isinstance(error, click.ClickException):
        return "invalid_usage"
    return "system_error" if isinstance(error, OSError) and error.strerror else "internal_error"


def _told(error: Exception) -> tuple[str, str]:
    if isinstance(error, HeadraceError):
        return error.message, error.hint
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}", "check the path, its permissions and the disk's space"
    return (
        f"unexpected {type(error).__name__}: {error}",
        "this is a fault in Headrace; run the command again with --debug and report what it says",
    )


def _usage(error: click.ClickException) -> tuple[str, str]:
    message = " ".join(error.format_message().split())
    message = message[:1].lower() + message[1:].rstrip(".")
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return message, ""
    # click puts its nearest name behind the message.
    what, found, near = message.partition(" Did you mean ")
    hint = f"did you mean {near}" if found else f"see `{error.ctx.command_path} --help`"
    return what.rstrip("."), hint
