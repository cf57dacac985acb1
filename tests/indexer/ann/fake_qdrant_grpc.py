"""A Qdrant server on this machine that is asked over gRPC: the client's local mode behind it.

It says that requests can be sent, read and answered in that form; it is no evidence about a real
server.
"""

# ruff: noqa: N802  (methods are called as the service calls them)

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as messages
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc.collections_service_pb2_grpc import (
    CollectionsServicer,
    add_CollectionsServicer_to_server,
)
from qdrant_client.grpc.points_service_pb2_grpc import (
    PointsServicer,
    add_PointsServicer_to_server,
)
from qdrant_client.grpc.qdrant_pb2_grpc import QdrantServicer, add_QdrantServicer_to_server

from indexer.ann.qdrant_generation import Generation
from indexer.ann.qdrant_server import Patience, QdrantServer

_DONE = messages.PointsOperationResponse(
    result=messages.UpdateResult(operation_id=0, status=messages.UpdateStatus.Completed)
)


class FakeGrpc:
    """Listens on a free port of the loopback address until it is stopped."""

    def __init__(self) -> None:
        self.local = QdrantClient(":memory:")
        self.fault: grpc.StatusCode | None = None
        self.requests: list[Any] = []
        self._server = grpc.server(ThreadPoolExecutor(1), interceptors=[_Faults(self)])
        add_CollectionsServicer_to_server(_Collections(self), self._server)
        add_PointsServicer_to_server(_Points(self), self._server)
        add_QdrantServicer_to_server(_Root(), self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def asked(self, patience: Patience) -> QdrantServer:
        """Return it as what indexes are written to and searched in."""
        url = "http://127.0.0.1:6333"
        generation = Generation(url, "words__text__1", "words__text")
        client = QdrantClient(
            url=url,
            grpc_port=self.port,
            prefer_grpc=True,
            timeout=patience.request_seconds,
            check_compatibility=False,
        )
        return QdrantServer(generation, patience, client)


class _Faults(grpc.ServerInterceptor):  # type: ignore[misc]
    def __init__(self, fake: FakeGrpc) -> None:
        self._fake = fake

    def intercept_service(self, continuation: Any, details: Any) -> Any:
        code = self._fake.fault
        if code is None:
            return continuation(details)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: context.abort(code, "made to fail")
        )


class _Root(QdrantServicer):  # type: ignore[misc]
    def HealthCheck(self, request: Any, context: Any) -> Any:
        return messages.HealthCheckReply(title="qdrant", version="1.15.0")


class _Collections(CollectionsServicer):  # type: ignore[misc]
    def __init__(self, fake: FakeGrpc) -> None:
        self._fake, self._local = fake, fake.local

    def CollectionExists(self, request: Any, context: Any) -> Any:
        exists = self._local.collection_exists(request.collection_name)
        return messages.CollectionExistsResponse(result=messages.CollectionExists(exists=exists))

    def Create(self, request: Any, context: Any) -> Any:
        self._fake.requests.append(request)
        vectors = GrpcToRest.convert_vectors_config(request.vectors_config)
        self._local.create_collection(request.collection_name, vectors_config=vectors)
        return messages.CollectionOperationResponse(result=True)

    def Update(self, request: Any, context: Any) -> Any:
        self._fake.requests.append(request)
        return messages.CollectionOperationResponse(result=True)

    def Get(self, request: Any, context: Any) -> Any:
        info = self._local.get_collection(request.collection_name)
        return messages.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    def Delete(self, request: Any, context: Any) -> Any:
        self._local.delete_collection(request.collection_name)
        return messages.CollectionOperationResponse(result=True)

    def UpdateAliases(self, request: Any, context: Any) -> Any:
        actions = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        self._local.update_collection_aliases(actions)
        return messages.CollectionOperationResponse(result=True)


class _Points(PointsServicer):  # type: ignore[misc]
    def __init__(self, fake: FakeGrpc) -> None:
        self._fake, self._local = fake, fake.local

    def Upsert(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self._local.upsert(request.collection_name, points)
        return _DONE

    def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        self._fake.requests.append(request)
        return _DONE

    def Count(self, request: Any, context: Any) -> Any:
        count = self._local.count(request.collection_name).count
        return messages.CountResponse(result=messages.CountResult(count=count))

    def QueryBatch(self, request: Any, context: Any) -> Any:
        queries = [GrpcToRest.convert_query_points(query) for query in request.query_points]
        for query in queries:
            query.params = None  # local mode compares every row
        answers: list[models.QueryResponse] = self._local.query_batch_points(
            request.collection_name, queries
        )
        return messages.QueryBatchResponse(
            result=[
                messages.BatchResult(
                    result=[RestToGrpc.convert_scored_point(point) for point in answer.points]
                )
                for answer in answers
            ]
        )
