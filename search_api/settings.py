"""Settings of the server: from the environment, overridden by arguments, handed to the workers."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from encoders.errors import ConfigError
from encoders.models.folder import ModelFolder
from indexer.config import DEFAULT_COLLECTION
from indexer.data_dir import DataDir

METRICS_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where the workers of a server keep their metrics; prometheus_client reads it when imported."""

ALLOW_ANONYMOUS_VARIABLE = "KINDRED_ALLOW_ANONYMOUS"

Positive = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


# Where msgspec's messages say which field they are about.
_FIELD = re.compile(r" - at `\$\.(\w+)`$")


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a server can be told. Each field is also the variable ``KINDRED_<FIELD>``."""

    data_dir: str
    models_dir: str

    collection: str = DEFAULT_COLLECTION
    """Name or YAML path of the collection that is served."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8080
    """0: any free one."""

    workers: Positive = 2

    allow_anonymous: bool = False
    """Listen beyond loopback without API keys although anybody who reaches the port may search."""

    max_upload_bytes: Positive = 200_000_000
    """Largest file that ``POST /v1/search/media`` takes."""

    index_device: str = "cpu"
    """Where FAISS searches: ``cpu``, or ``cuda:N``, where every worker keeps a copy of the indexes.
    """

    index_float16: bool = False
    """On a GPU, flat vectors as float16: half the memory, rounded scores."""

    search_threads: Positive = 2
    """Threads per worker for index search and catalog reads."""

    max_waiting_searches: Positive = 128
    """Requests per worker that may wait for those threads; more are answered 429."""

    max_waiting_encodes: Positive = 256
    """Requests that may wait for the encoders; more are answered 429."""

    write_threads: Positive = 2
    """Threads per worker that store items."""

    max_waiting_writes: Annotated[int, msgspec.Meta(ge=0)] = 16
    """Writes per worker that may wait for those threads; more are answered 429."""

    fetch_urls: bool = False
    """Take items that are given as URLs. Only the public internet is asked, see `url_fetch`."""

    fetch_ports: Annotated[str, msgspec.Meta(pattern=r"^\d{1,5}(,\d{1,5})*$")] = "80,443"
    """Ports that URLs may name."""

    fetch_seconds: Seconds = 60.0
    """How long fetching one file may take in all; it may be as large as an upload."""

    write_seconds: Seconds = 60.0
    """How long the encoders may take for one write."""

    max_sync_media_seconds: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    """Sounds and videos up to this length are stored while the request waits; longer ones become
    jobs.
    """

    max_sync_operations: Positive = 32
    """Batches of more operations become jobs."""

    max_open_jobs: Positive = 1000
    """Jobs that may wait or run; more are answered 429."""

    job_lease_seconds: Seconds = 15.0
    """A job whose worker gives no sign of life for this long is taken up by another."""

    job_write_seconds: Seconds = 4 * 3600.0
    """How long the encoders may take for one step of a job."""

    max_delta_segments: Positive = 50_000
    """Vectors searched beside the snapshot, after which they are folded into a new one."""

    max_delta_share: Annotated[float, msgspec.Meta(gt=0)] = 0.2
    """The same as a share of the snapshot's vectors, for more than 1000 of them."""

    encoder_threads: Positive = 1
    """Threads that the models may use for one batch."""

    encoder_device: str = "cpu"
    """``cpu``, ``cuda:N``, or ``auto`` for the first CUDA device if there is one."""

    encoder_batch_size: Positive = 32
    """Most texts, pictures or sounds that the models take at once."""

    encoder_batch_wait_ms: Annotated[float, msgspec.Meta(ge=0, le=1000)] = 0.0
    """How long a question that finds the models idle waits for company."""

    remembered_text_bytes: Annotated[int, msgspec.Meta(ge=0)] = 16_000_000
    """Memory per worker for how the latest questions in words were encoded, some thousands of them;
    0: none.
    """

    text_seconds: Seconds = 10.0
    """How long a question in words may take in the encoder process."""

    file_seconds: Seconds = 60.0
    """How long an uploaded file may take to be decoded and encoded."""

    drain_seconds: Seconds = 120.0
    """How long the encoder process of before goes on after another model's took over: longer than
    any request, and than a worker needs to open a large snapshot.
    """

    refresh_seconds: Seconds = 0.2
    """How often a worker looks for new writes and snapshots."""

    recall_sample_every: Annotated[int, msgspec.Meta(ge=0)] = 100
    """On average one of so many searches is also answered exactly, in the background, so that
    ``/metrics`` tells the recall; 0: none.
    """

    encoder_sockets: str | None = None
    """Folder of the sockets that encoder processes listen at; filled by the supervisor."""

    uploads_dir: str | None = None
    """Where uploaded files lie while they are searched with; filled by the supervisor with a folder
    that the next server clears away if this one is killed.
    """

    @classmethod
    def from_environment(cls, **arguments: object) -> Settings:
        """Return the settings; arguments that are not ``None`` win over the environment.

        Raises:
            ConfigError: naming the variable or argument that does not fit.
        """
        values: dict[str, Any] = {
            "data_dir": str(DataDir.from_environment().root),
            "models_dir": str(ModelFolder.from_environment().root),
        }
        for name in cls.__struct_fields__:
            text = os.environ.get(f"KINDRED_{name.upper()}")
            if text and name not in values:
                values[name] = text
        values.update({name: value for name, value in arguments.items() if value is not None})
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError as error:
            field = _FIELD.search(str(error))
            named = f"{field[1]} (KINDRED_{field[1].upper()}): " if field else ""
            raise ConfigError(f"settings: {named}{_FIELD.sub('', str(error))}") from error

    @property
    def data(self) -> DataDir:
        """The data folder."""
        return DataDir(Path(self.data_dir))

    @property
    def models(self) -> ModelFolder:
        """The model folder."""
        return ModelFolder(Path(self.models_dir))

    @property
    def uploads(self) -> Path:
        """Where uploaded files lie for the length of a request."""
        return Path(self.uploads_dir) if self.uploads_dir else self.data.run / "uploads"

    @property
    def url(self) -> str:
        """Where the server is found."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def replace(self, **changes: object) -> Settings:
        """Return the settings with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    @property
    def has_keys(self) -> bool:
        """Whether API keys were made, so that nobody gets in without."""
        return self.data.keys.exists()

    def check_exposure(self) -> None:
        """Refuse to listen beyond this machine while anybody may ask.

        Raises:
            ConfigError: saying how to allow it.
        """
        if is_loopback(self.host) or self.allow_anonymous or self.has_keys:
            return
        raise ConfigError(
            f"{self.host} can be reached from other machines and the API has no keys: make one "
            "with `kindred keys create`, listen on 127.0.0.1, or set "
            f"{ALLOW_ANONYMOUS_VARIABLE}=1 to let everybody in who reaches it",
            host=self.host,
            variable=ALLOW_ANONYMOUS_VARIABLE,
        )


def is_loopback(host: str) -> bool:
    """Tell whether ``host`` is an address that only this machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


SETTINGS_VARIABLE = "KINDRED_SERVER_SETTINGS"
"""Path of the settings file that the supervisor writes for its workers."""


def load_worker_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that the supervisor wrote for this worker."""
    return msgspec.json.decode(Path(environment[SETTINGS_VARIABLE]).read_bytes(), type=Settings)
