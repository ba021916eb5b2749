"""Whether a database's tables are up to date, asked cheaply; bringing them there is migrate's work.

alembic can tell as well, but needs two seconds to be imported; a start that has nothing to do
should not wait for it.
"""

import re
from pathlib import Path

import psycopg

_VERSIONS = Path(__file__).resolve().parent.parent / "migrations" / "versions"
_REVISION = re.compile(r"^revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)
_DOWN_REVISION = re.compile(r"^down_revision\b[^=\n]*=\s*[\"'](\w+)[\"']", re.MULTILINE)


def is_current(database_url: str) -> bool:
    """True only when the database stands at the newest revision; in doubt False."""
    return _heads() == _stamped(database_url) != set()


def _heads() -> set[str]:
    sources = [path.read_text() for path in _VERSIONS.glob("*.py")]
    revisions = {found for source in sources for found in _REVISION.findall(source)}
    return revisions - {found for source in sources for found in _DOWN_REVISION.findall(source)}


def _stamped(database_url: str) -> set[str]:
    try:
        with psycopg.connect(database_url) as connection:
            rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except psycopg.Error:
        return set()
    return {row[0] for row in rows}
