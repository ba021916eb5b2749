"""Running the migrations in this process; the migrations themselves lie in migrations/."""

from pathlib import Path

from alembic import command
from alembic.config import Config

_ROOT = Path(__file__).resolve().parent.parent


def configuration(database_url: str) -> Config:
    """The configuration of alembic, found by the project's place, not by the working folder."""
    config = Config()
    config.set_main_option("script_location", str(_ROOT / "migrations").replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", database_url.replace("%", "%%"))
    return config


def upgrade(database_url: str) -> None:
    """Brings the tables to the newest revision."""
    command.upgrade(configuration(database_url), "head")
