"""The revisions of the database's schema."""

from __future__ import annotations

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every revision in `migrations/versions`, oldest first; a test compares them."""

HEAD = REVISIONS[-1]
