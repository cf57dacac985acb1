"""The ASGI application."""

from __future__ import annotations

from functools import partial
from importlib import metadata

from litestar import Litestar, Router
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types import Message, Scope

from encoders.logs import configure_logs
from search_api.access.guard import ACCESS, authorize
from search_api.access.key_file import KeyFile, KeyRing
from search_api.access.principal import Authenticator
from search_api.lifespan import serving
from search_api.metrics import Metrics, metrics_middleware
from search_api.problems import EXCEPTION_HANDLERS
from search_api.routes.embeddings import embeddings_router
from search_api.routes.health import health_router
from search_api.routes.item_writes import items_router, jobs_router
from search_api.routes.operations import operations_router
from search_api.routes.search import search_router
from search_api.routes.takedowns import takedowns_router
from search_api.routes.transcripts import transcripts_router
from search_api.service import MakeEncoder, SearchService, remote_encoder
from search_api.settings import Settings, load_worker_settings
from search_api.web.error_pages import on_unrouted
from search_api.web.login import login_router
from search_api.web.pages import web_router

MULTIPART_OVERHEAD_BYTES = 1_000_000
"""What the form around an uploaded file may take."""

MAX_FORM_PARTS = 8


def create_app(settings: Settings, *, make_encoder: MakeEncoder = remote_encoder) -> Litestar:
    """Return the application.

    Args:
        settings: what it serves.
        make_encoder: gives the encoder of questions; the encoder process's client by default.
    """
    metrics = Metrics()
    keys = KeyRing(KeyFile(settings.data.keys))
    return Litestar(
        route_handlers=[
            search_router,
            embeddings_router,
            items_router,
            jobs_router,
            transcripts_router,
            operations_router,
            takedowns_router,
            health_router,
            login_router,
            web_router,
        ],
        lifespan=[partial(serving, settings=settings, make_encoder=make_encoder, metrics=metrics)],
        dependencies={"service": Provide(provide_service, sync_to_thread=False)},
        middleware=[metrics_middleware(metrics)],
        exception_handlers={**EXCEPTION_HANDLERS, HTTPException: on_unrouted},
        before_send=[add_security_headers],
        guards=[authorize],
        state=State({"authenticator": Authenticator(settings, keys)}),
        request_max_body_size=settings.max_upload_bytes + MULTIPART_OVERHEAD_BYTES,
        multipart_form_part_limit=MAX_FORM_PARTS,
        openapi_config=OpenAPIConfig(
            title="Kindred",
            version=metadata.version("kindred-search"),
            path="/schema",
            openapi_router=Router(
                path="/schema", route_handlers=[], opt={ACCESS: "open"}, include_in_schema=False
            ),
            security=[{"key": []}, {}],
            components=Components(
                security_schemes={
                    "key": SecurityScheme(
                        type="http", scheme="bearer", description="From `kindred keys create`."
                    )
                }
            ),
            render_plugins=[
                JsonRenderPlugin(path=["/", "/openapi.json"]),
                YamlRenderPlugin(path="/openapi.yaml"),
            ],
        ),
        logging_config=None,
    )


def create_worker_app() -> Litestar:
    """Return the application of a worker that the supervisor started."""
    configure_logs()
    return create_app(load_worker_settings())


def provide_service(state: State) -> SearchService:
    """Return the service that the lifespan opened."""
    service: SearchService = state.service
    return service


async def add_security_headers(message: Message, _scope: Scope) -> None:
    """Keep browsers from guessing types, whatever is answered."""
    if message["type"] == "http.response.start":
        MutableScopeHeaders(message)["X-Content-Type-Options"] = "nosniff"
