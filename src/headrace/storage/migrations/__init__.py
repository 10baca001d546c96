"""Migrations of the database's schema, oldest first in `versions/`. See `upgrade.py`."""
