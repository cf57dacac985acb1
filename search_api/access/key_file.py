"""The file of API keys in the data folder, and what a server remembers of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from filelock import FileLock

from encoders.errors import KindredError
from indexer.durable_files import replace_durably
from search_api.access.api_key import ApiKey

FORMAT = 1


class KeysUnreadable(KindredError):
    """The file of API keys is damaged or closed to this process, so nobody is let in."""

    code = "keys_unreadable"


class UnknownKey(KindredError):
    """There is no API key of this id."""

    code = "unknown_key"


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    keys: list[ApiKey]


class KeyFile:
    """The API keys of a data folder.

    Args:
        path: of the file; there need be none yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[ApiKey]:
        """Return all keys, oldest first, revoked and expired ones too.

        Raises:
            KeysUnreadable: there is a file, but not one of this format.
        """
        try:
            content = msgspec.json.decode(self.path.read_bytes(), type=_Content)
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise KeysUnreadable(
                f"the API keys ({self.path.name}) cannot be read: {reason}", path=str(self.path)
            ) from error
        if content.format != FORMAT:
            raise KeysUnreadable(
                f"the API keys ({self.path.name}) have format {content.format}, this version reads "
                f"{FORMAT}",
                path=str(self.path),
            )
        return content.keys

    def add(self, key: ApiKey) -> None:
        """Keep a new key; servers accept it from their next request on."""
        with self._locked():
            self._write([*self.read(), key])

    def revoke(self, key_id: str) -> ApiKey:
        """Refuse a key from now on; servers do so from their next request on.

        Raises:
            UnknownKey: there is none of this id.
        """
        with self._locked():
            keys = self.read()
            for at, key in enumerate(keys):
                if key.key_id == key_id:
                    now = datetime.now(UTC).replace(microsecond=0)
                    revoked = msgspec.structs.replace(key, revoked_at=key.revoked_at or now)
                    self._write([*keys[:at], revoked, *keys[at + 1 :]])
                    return revoked
        known = ", ".join(key.key_id for key in keys) or "none"
        raise UnknownKey(f"there is no API key {key_id!r}; there are: {known}", key=key_id)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path.with_name(f".{self.path.name}.lock")):
            yield

    def _write(self, keys: list[ApiKey]) -> None:
        content = msgspec.json.format(msgspec.json.encode(_Content(FORMAT, keys)), indent=1)
        replace_durably(self.path, content)


class KeyRing:
    """The keys as they are now; the file is read again whenever it was replaced.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._stamp: tuple[int, int, int] | None = None
        self._keys: Mapping[str, ApiKey] = {}

    def current(self) -> Mapping[str, ApiKey]:
        """Return the keys by id; none at all means that none were ever made.

        Raises:
            KeysUnreadable: there is a file that cannot be read.
        """
        try:
            stat = self._file.path.stat()
        except FileNotFoundError:
            stamp = None
        except OSError as error:
            raise KeysUnreadable(
                f"the API keys ({self._file.path.name}) cannot be read: {error.strerror}",
                path=str(self._file.path),
            ) from error
        else:
            stamp = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if stamp != self._stamp:
            self._keys = {key.key_id: key for key in self._file.read()}
            self._stamp = stamp
        return self._keys
