"""Errors of indexing jobs."""

from __future__ import annotations

from encoders.errors import KindredError, SpaceMismatch


class Refused(KindredError):
    """A guard said no: nothing was changed. The command line answers these with exit code 3."""

    code = "refused"


class LockHeld(Refused):
    """Another ingest or reindex of the same collection is running."""

    code = "lock_held"


class WriterLeaseLost(Refused):
    """Another writer has begun since this one did, so what this one built is not published."""

    code = "writer_lease_lost"


class MassDeleteRefused(Refused):
    """A run would remove a large share of what is known, which a missing mount also looks like."""

    code = "mass_delete_refused"


class SourceMissing(KindredError):
    """A path to ingest does not exist."""

    code = "source_missing"


class BadVectors(KindredError):
    """Vectors given with an item that its channel cannot hold."""

    code = "bad_vectors"


class VectorSpaceMismatch(SpaceMismatch):
    """Vectors given with an item are of another space than its channel."""


class KeyReused(KindredError):
    """An idempotency key that came with another request before."""

    code = "idempotency_key_reused"


class KeyInUse(KindredError):
    """A request whose idempotency key another attempt works on."""

    code = "idempotency_key_in_use"


class LeaseLost(KindredError):
    """A job that somebody else has taken up."""

    code = "lease_lost"


class TooManyJobs(KindredError):
    """More jobs wait than a server keeps."""

    code = "too_many_jobs"


class NoChannelForItem(KindredError):
    """An item that nothing in the collection could find."""

    code = "no_channel_for_item"


class AttributesError(KindredError):
    """An attribute value, sidecar or attribute file that does not fit the collection's schema."""

    code = "bad_attributes"
