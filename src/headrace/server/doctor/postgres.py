"""The database server, looked at without migrating or writing."""

from collections.abc import Iterator

from sqlalchemy import Connection, make_url, select, text
from sqlalchemy.exc import DBAPIError

from headrace.errors import HeadraceError
from headrace.privacy.master import MASTER_KEY_FILE, MASTER_KEY_VARIABLE, MasterKey
from headrace.privacy.vault import MASTER_KEY_CHECK
from headrace.server.doctor.result import Result, fail, failure, ok, warn
from headrace.server.doctor.site import Site
from headrace.storage.database import HEAD
from headrace.storage.postgres import LEAST_VERSION, open_engine, shown, unusable
from headrace.storage.tables import meta

__all__ = ["check_server"]

_LEAST_PGVECTOR = (0, 8)


def check_server(site: Site, address: str) -> Iterator[Result]:
    """Whether it answers, how old it is, its schema, the master key, pgvector where it is needed."""
    url = make_url(address)
    try:
        engine = open_engine(url)
    except HeadraceError as error:
        yield failure("database", error)
        return
    try:
        with engine.connect() as connection:
            yield from _schema(connection, shown(url))
            yield from _master_key(connection, site)
            if site.config is not None and site.config.knowledge is not None:
                yield _vectors(connection)
    except DBAPIError as error:
        yield failure("database", unusable(url, error))
    finally:
        engine.dispose()


def _schema(connection: Connection, name: str) -> Iterator[Result]:
    version = str(connection.execute(text("SHOW server_version")).scalar_one()).split()[0]
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if number < LEAST_VERSION:
        yield fail(
            "database",
            f"{name} is PostgreSQL {version}",
            hint=f"PostgreSQL {LEAST_VERSION} or newer is needed",
        )
        return
    size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
    about = f"{name}, PostgreSQL {version}, {int(size) / 1e6:.1f} MB"
    revision = _revision(connection)
    if revision == HEAD:
        yield ok("database", f"{about}, schema {revision}")
        return
    may_make = connection.execute(
        text("SELECT has_schema_privilege(current_schema(), 'CREATE')")
    ).scalar()
    if not may_make:
        yield fail(
            "database",
            f"{about}: this user may not make tables in it",
            hint="let the user own the database: ALTER DATABASE NAME OWNER TO USER",
        )
    elif revision is None:
        yield ok("database", f"{about}, empty; its tables are made at the first start")
    else:
        yield warn(
            "database",
            f"{about} has schema {revision}; this version brings {HEAD}",
            hint="the next `headrace up` upgrades it; keep a dump until then (pg_dump)",
        )


def _revision(connection: Connection) -> str | None:
    if not connection.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL")).scalar():
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _master_key(connection: Connection, site: Site) -> Iterator[Result]:
    """Whether the key is the one that this database was written with."""
    if _revision(connection) is None:
        return
    check = connection.execute(select(meta.c.value).where(meta.c.name == MASTER_KEY_CHECK)).scalar()
    path = site.home / MASTER_KEY_FILE
    if check is None:
        return
    try:
        master = MasterKey.given(site.environ) or MasterKey.load(path)
    except HeadraceError as error:
        yield failure("master key", error)
        return
    key = MASTER_KEY_VARIABLE if MASTER_KEY_VARIABLE in site.environ else path
    if master.check == check:
        yield ok("master key", f"{key} fits; keep a copy of it elsewhere")
    else:
        yield fail(
            "master key",
            f"{key} is not the key that this database was written with",
            hint="every gateway on a database has the same key: copy it from the first",
        )


def _vectors(connection: Connection) -> Result:
    found = connection.execute(
        text(
            "SELECT installed_version, default_version FROM pg_available_extensions"
            " WHERE name = 'vector'"
        )
    ).first()
    if found is None:
        return fail(
            "knowledge",
            "the database server has no pgvector, which `knowledge:` needs",
            hint="install it on the server (Debian: apt install postgresql-NN-pgvector)",
        )
    version = str(found[0] or found[1])
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAST_PGVECTOR:
        return fail(
            "knowledge",
            f"the database has pgvector {version}; 0.8 or newer is needed",
            hint="install a newer one, then: ALTER EXTENSION vector UPDATE",
        )
    loaded = "" if found[0] else ", loaded by the first `headrace knowledge`"
    return ok("knowledge", f"pgvector {version}{loaded}")
