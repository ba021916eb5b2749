"""Proof that the migrations build what the models say, and can be undone; it changes nothing else.

Run as `python -m local.drift`: it starts a throwaway PostgreSQL of its own.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command
from alembic.util import CommandError

from local.migrate import configuration
from local.postgres import running_postgres


def main() -> None:
    """Up, compare, down, up again; exits 1 with the difference."""
    with (
        tempfile.TemporaryDirectory(prefix="durabill-drift-") as folder,
        running_postgres(Path(folder)) as url,
    ):
        config = configuration(url)
        command.upgrade(config, "head")
        try:
            command.check(config)
        except CommandError as difference:
            sys.exit(f"The migrations differ from the models: {difference}")
        command.downgrade(config, "base")
        command.upgrade(config, "head")


if __name__ == "__main__":
    main()
