"""Running the migrations in this process; the migrations themselves lie in migrations/."""

import os
from pathlib import Path

from alembic import command
from alembic.config import Config

_ROOT = Path(__file__).resolve().parent.parent


def configuration(database_url: str) -> Config:
    """The configuration of alembic, found by the project's place rather than the working folder.

    migrations/env.py reads the address from the environment, as every entry point does.
    """
    os.environ["DURABILL_DATABASE_URL"] = database_url
    ini = _ROOT / "alembic.ini"
    config = Config(ini if ini.exists() else None)
    config.set_main_option("script_location", str(_ROOT / "migrations"))
    return config


def upgrade(database_url: str) -> None:
    """Brings the tables to the newest revision."""
    command.upgrade(configuration(database_url), "head")
