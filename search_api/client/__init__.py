"""The Python client of the HTTP API.

::

    from search_api.client import KindredClient

    with KindredClient("http://127.0.0.1:8080") as kindred:
        for hit in kindred.search("a red flower", limit=5).hits:
            print(hit.item_id, hit.score)

`AsyncKindredClient` has the same methods, to be awaited. What they return are the structs of
`search_api.schemas`; what the server refuses is an `ApiError`.
"""

from search_api.client.async_client import AsyncKindredClient
from search_api.client.errors import ApiError, JobFailed, Unreachable
from search_api.client.retrying import Retries
from search_api.client.sync_client import KindredClient

__all__ = [
    "ApiError",
    "AsyncKindredClient",
    "JobFailed",
    "KindredClient",
    "Retries",
    "Unreachable",
]
