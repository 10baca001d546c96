"""PostgreSQL as the database: connections that come back by themselves, and errors that say why.

Text is kept as it is but for what PostgreSQL cannot hold: U+0000 becomes U+FFFD, and half of a
surrogate pair `?`. Columns of text are `TEXT COLLATE "C"`, whatever length a migration gives them, so
that they are ordered by code point and take what SQLite takes.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import URL, Connection, Engine, String, Table, create_engine, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import TypeCompiler

from headrace.storage.errors import StateUnusable

if TYPE_CHECKING:
    import psycopg

__all__ = [
    "CONNECTING",
    "LEAST_VERSION",
    "begin_alone",
    "copy_or_ignore",
    "driver",
    "forget_deleted",
    "keep_any_text",
    "libpq_address",
    "open_engine",
    "shown",
    "unusable",
    "version_problem",
]

LEAST_VERSION = 14
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 5.0
"""As long as SQLite's writers wait for each other."""
CONNECTING: dict[str, str | int] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "headrace",
    # A server that vanished without a word is given up after some 20 s, not two hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
}
_COPIED: dict[type, str] = {
    str: "text",
    float: "float8",
    # Wider than the column, so that the server refuses what does not fit: COPY would cut it off.
    int: "int8",
    bool: "bool",
    bytes: "bytea",
}
_ALONE = 0x48656164
"""Who may change what others count on: the advisory lock of `Database.write`."""
_MOST_CONNECTIONS = 15
_CURES = (
    ("password authentication failed", "check the user and the password in `database:`"),
    ("no password supplied", "give the password: `postgresql://USER:${DB_PASSWORD}@HOST/NAME`"),
    ("no pg_hba.conf entry", "the server's pg_hba.conf must let this user in from this address"),
    ('role "', "make the user on the server: `createuser NAME`"),
    ("does not exist", "make the database on the server: `createdb NAME`"),
    ("too many clients", "raise `max_connections` of the server, or run fewer workers"),
    ("remaining connection slots", "raise `max_connections` of the server, or run fewer workers"),
    ("starting up", "wait a moment: the server is starting"),
    ("permission denied", "the user must own the database: `ALTER DATABASE NAME OWNER TO USER`"),
    ("SSL", "see `sslmode` in https://www.postgresql.org/docs/current/libpq-ssl.html"),
    ("", "check that the server runs and that the address in `database:` is right"),
)
"""What a message of the server has, and what to do then; the first that fits."""


def driver() -> None:
    """Make sure that the driver is there.

    Raises:
        StateUnusable: it is not installed.
    """
    try:
        import psycopg  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise StateUnusable(
            f"the driver of PostgreSQL cannot be loaded: {error}",
            hint='install it: pip install "headrace[postgres]"',
        ) from error


def open_engine(url: URL) -> Engine:
    """An engine of connections that are looked at before they are used, so a restart is not felt.

    Raises:
        StateUnusable: the driver is not installed.
    """
    driver()
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=CONNECTING,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=5,
        max_overflow=_MOST_CONNECTIONS - 5,
        pool_timeout=CONNECT_TIMEOUT_S,
    )
    event.listen(engine, "connect", _configure)
    return engine


def _configure(dbapi: "psycopg.Connection[Any]", entry: ConnectionPoolEntry) -> None:
    del entry
    keep_any_text(dbapi)
    dbapi.execute(
        f"SET lock_timeout = '{LOCK_TIMEOUT_S:g}s'; "
        # Who hangs in the middle of writing must not keep all others waiting.
        "SET idle_in_transaction_session_timeout = '60s'; "
        # The journal forgets what was committed, so a commit must outlive a crash of the server, even
        # where it is set up to answer earlier. What is stricter stays.
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    dbapi.commit()


def keep_any_text(connection: "psycopg.Connection[Any]") -> None:
    """Let the connection write any `str`, as SQLite does."""
    from psycopg.types.string import StrBinaryDumper, StrDumper

    class AnyText(StrDumper):
        def dump(self, obj: str) -> bytes:
            return obj.replace("\0", "\ufffd").encode("utf-8", "replace")

    class AnyBinaryText(StrBinaryDumper):
        def dump(self, obj: str) -> bytes:
            return obj.replace("\0", "\ufffd").encode("utf-8", "replace")

    connection.adapters.register_dumper(str, AnyBinaryText)
    connection.adapters.register_dumper(str, AnyText)


def copy_or_ignore(
    connection: Connection, table: Table, names: Sequence[str], rows: Sequence[Sequence[object]]
) -> None:
    """Insert many rows; a row with the same primary key stays as it is.

    COPY knows no conflicts, so it fills a table of the session first. Measured with 512 rows of
    3 KB a transaction: as fast as COPY alone, at a fifth of the processor time of an INSERT.

    Args:
        names: the columns, in the order of the values.
    """
    import psycopg

    columns = ", ".join(f'"{name}"' for name in names)
    incoming = f"incoming_{table.name}"
    # The names are the schema's own.
    kinds = [_COPIED[table.c[name].type.python_type] for name in names]
    typed = ", ".join(f'"{name}" {kind}' for name, kind in zip(names, kinds, strict=True))
    make = f"CREATE TEMP TABLE IF NOT EXISTS {incoming} ({typed}) ON COMMIT DELETE ROWS"
    copy_in = f"COPY {incoming} ({columns}) FROM STDIN (FORMAT BINARY)"
    move = (
        f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {incoming}"  # noqa: S608
        " ON CONFLICT DO NOTHING"
    )
    raw = cast("psycopg.Connection[Any]", connection.connection.dbapi_connection)
    try:
        with raw.cursor() as cursor:
            cursor.execute(make)
            with cursor.copy(copy_in) as copy:
                copy.set_types(kinds)
                for row in rows:
                    copy.write_row(row)
            cursor.execute(move)
    except psycopg.Error as error:
        # As SQLAlchemy would, so that it is known whose fault it is.
        raise DBAPIError.instance(
            move, None, error, psycopg.Error, hide_parameters=True, dialect=connection.dialect
        ) from error


def begin_alone(connection: Connection) -> None:
    """Wait until nobody else writes what depends on what is there; until the transaction's end.

    Raises:
        OperationalError: another did not end within 5 s.
    """
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ALONE})


def forget_deleted(engine: Engine) -> None:
    """Take what was deleted out of the table of keys; what WAL archives hold, they hold."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM subject_keys"))


def version_problem(engine: Engine) -> StateUnusable | None:
    """What is wrong with the server's age, if anything."""
    with engine.connect() as connection:
        number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    if number // 10_000 >= LEAST_VERSION:
        return None
    return StateUnusable(
        f"the server is PostgreSQL {number // 10_000}",
        hint=f"PostgreSQL {LEAST_VERSION} or newer is needed",
    )


def unusable(url: URL, error: DBAPIError) -> StateUnusable:
    """What a failure means to whoever runs the service; the password is never in it."""
    said = str(error.orig).strip()
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    message = lines[0] if lines else type(error.orig).__name__
    cure = next(cure for sign, cure in _CURES if sign in said)
    return StateUnusable(f"the database {shown(url)} cannot be used: {message}", hint=cure)


def shown(url: URL) -> str:
    """The address without its password, nor what may hold one."""
    return url.set(query={}, drivername="postgresql").render_as_string(hide_password=True)


def libpq_address(url: URL) -> str:
    """The address as the driver itself takes it."""
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


@compiles(String, "postgresql")
def _text(kind: String, compiler: TypeCompiler, **where: object) -> str:
    """A column's type; in an expression, such as a cast, the collation is the column's own."""
    del kind, compiler
    return 'TEXT COLLATE "C"' if where.get("type_expression") is not None else "TEXT"
