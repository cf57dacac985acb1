"""Errors of search requests."""

from __future__ import annotations

from encoders.errors import KindredError


class UnknownCollection(KindredError):
    """The request names a collection that is not served."""

    code = "unknown_collection"


class UnknownModality(KindredError):
    """The request names a medium that Kindred does not know."""

    code = "unknown_modality"


class ItemNotFound(KindredError):
    """There is no such item in the collection."""

    code = "item_not_found"


class JobNotFound(KindredError):
    """There is no such job, or it ended long ago."""

    code = "job_not_found"


class NoChannel(KindredError):
    """None of the selected channels can answer this question."""

    code = "no_channel"


class NotReady(KindredError):
    """The server cannot answer yet."""

    code = "not_ready"


class MediaGone(KindredError):
    """The file of an item is gone, or is no longer the one that was taken in."""

    code = "media_gone"


class NoThumbnail(KindredError):
    """An item that has no picture."""

    code = "no_thumbnail"


class QuestionGone(KindredError):
    """An uploaded file that asked and is not kept any more."""

    code = "question_gone"


class NotPlayable(KindredError):
    """An item of a medium that nothing plays."""

    code = "not_playable"


class NoTranscript(KindredError):
    """An item in which nobody listened for speech."""

    code = "no_transcript"


class UploadTooLarge(KindredError):
    """An uploaded file beyond the limit."""

    code = "upload_too_large"


class InvalidRequest(KindredError):
    """A request whose parts do not fit what is documented."""

    code = "invalid_request"


class Superseded(KindredError):
    """An operation of a job that a later write of the same item made pointless."""

    code = "superseded"


class UrlNotTaken(KindredError):
    """An item given as a URL, which this server does not fetch."""

    code = "url_not_taken"


class WrongMediaType(KindredError):
    """A body of a type that the route does not take."""

    code = "wrong_media_type"


class RollbackRefused(KindredError):
    """A snapshot that cannot be served, so the live one stays."""

    code = "rollback_refused"


class NotAuthenticated(KindredError):
    """A request without an API key, or with one that is not accepted."""

    code = "not_authenticated"


class NotAllowed(KindredError):
    """A request that whoever sends it may not make."""

    code = "not_allowed"


WRONG_USAGE = frozenset(
    {
        "bad_filter",
        InvalidRequest.code,
        NoChannel.code,
        UnknownModality.code,
        "unknown_channel",
    }
)
"""Codes of errors that whoever asked can mend by asking otherwise."""
