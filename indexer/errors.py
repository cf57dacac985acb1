"""Errors of indexing jobs."""

from __future__ import annotations

from encoders.errors import KindredError


class Refused(KindredError):
    """A guard said no: nothing was changed. The command line answers these with exit code 3."""

    code = "refused"


class LockHeld(Refused):
    """Another ingest or reindex of the same collection is running."""

    code = "lock_held"


class MassDeleteRefused(Refused):
    """A run would remove a large share of what is known, which a missing mount also looks like."""

    code = "mass_delete_refused"


class SourceMissing(KindredError):
    """A path to ingest does not exist."""

    code = "source_missing"


class AttributesError(KindredError):
    """An attribute value, sidecar or attribute file that does not fit the collection's schema."""

    code = "bad_attributes"
