"""The history of the catalog's schema, as Alembic revisions shipped with the package.

A new revision: add ``versions/NNNN_what.py`` by hand after the last one, change `schema.py` to
match, and set ``HEAD_REVISION`` in `database.py`.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Bring the database behind ``connection`` to a revision, the newest, in its transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def known_revisions() -> frozenset[str]:
    """Return every revision this version of the program can upgrade from, the newest included."""
    scripts = ScriptDirectory.from_config(_config())
    return frozenset(script.revision for script in scripts.walk_revisions())


def _config() -> Config:
    config = Config()
    # Percent signs are doubled because Alembic interpolates its options.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
