"""Whether the models that a write was prepared with are still those that are asked.

What is stored with the vectors of a model that another has taken over from is found by nobody. The
question is put inside the transaction that would store it: a new model takes over while no such
transaction is open, see `reindex`.
"""

from __future__ import annotations

from collections.abc import Mapping

from encoders.encoder import EncoderIdentity
from encoders.errors import KindredError
from indexer.data_dir import DataDir
from indexer.manifest import SnapshotCorrupt, SnapshotUnreadable, read_manifest
from indexer.publish import PointerStamp, live_snapshot_path, pointer_stamp
from indexer.served_collection import IdentitiesOf, is_made_by, own_collection


class ModelSwitched(KindredError):
    """Another model took over since a write was prepared; nothing was stored."""

    code = "model_switched"


class ModelGuard:
    """Compares the encoders of writes with those of the live snapshot.

    Args:
        data_dir: where snapshots lie.
        collection: whose.
        identities_of: gives the encoders of a collection, if this server has them.
    """

    def __init__(self, data_dir: DataDir, collection: str, identities_of: IdentitiesOf) -> None:
        self._data_dir = data_dir
        self._collection = collection
        self._identities_of = identities_of
        self._agreed: tuple[PointerStamp | None, frozenset[str]] | None = None
        """Pointer and encoders that were compared last and fit together."""

    def require_current(self, identities: Mapping[str, EncoderIdentity]) -> None:
        """Refuse what was made by encoders that the live snapshot was not made by.

        A live snapshot whose encoders this server does not have, or that cannot be read, is one it
        does not go over to; it goes on as it is.

        Args:
            identities: the encoder of each channel that a write was prepared with.

        Raises:
            ModelSwitched: another model is, or is about to be, asked.
        """
        asked = (
            pointer_stamp(self._data_dir, self._collection),
            frozenset(identity.encoder_id for identity in identities.values()),
        )
        if asked == self._agreed:
            return
        try:
            path = live_snapshot_path(self._data_dir, self._collection)
            switched = (
                path is not None
                and not is_made_by(read_manifest(path), identities)
                and own_collection(path, self._identities_of) is not None
            )
        except (SnapshotCorrupt, SnapshotUnreadable):
            switched = False
        if switched:
            raise ModelSwitched(
                f"collection {self._collection}: another model took over; this worker is about to "
                "take it up, and nothing was stored; try again",
                collection=self._collection,
            )
        self._agreed = asked
