"""Puts the API together: the chain that every request passes, and the table of routes behind it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import falcon
from oslo_middleware import cors, http_proxy_to_wsgi

from higgins.api import faults
from higgins.api.endpoint import Endpoint
from higgins.api.identity import Identity
from higgins.api.metrics import Metrics
from higgins.api.microversion import HEADER, Microversion
from higgins.api.middleware import Identify, Observe, Paths, RequestId
from higgins.api.route import Route
from higgins.api.routes import ROUTES
from higgins.api.routes.public import public_routes
from higgins.control.service import Control
from higgins.core.defaults import API_THREADS
from higgins.threads.turns import Turns

WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

MAX_LIMIT = 1000
MAX_BODY_BYTES = 128 * 1024 * 1024
_SHOWN_HEADERS = [
    HEADER,
    "OpenStack-API-Minimum-Version",
    "OpenStack-API-Maximum-Version",
    "X-Openstack-Request-Id",
    "Location",
]
_TAKEN_HEADERS = [HEADER, "Authorization", "X-Auth-Token", "Idempotency-Key"]


def make_app(
    control: Control,
    identity: Identity,
    *,
    metrics: Metrics | None = None,
    healthy: Callable[[], None] = lambda: None,
    max_limit: int = MAX_LIMIT,
    threads: int = API_THREADS,
    max_body_bytes: int = MAX_BODY_BYTES,
    proxy_headers: bool = False,
    cors_origins: Sequence[str] = (),
) -> WSGI:
    """The API as a WSGI application, safe in threads.

    ``healthy`` raises what is wrong when the service cannot work (``GET /healthcheck`` is then 503). ``proxy_headers`` believes
    Forwarded and X-Forwarded-*: only behind a proxy that sets them. ``cors_origins`` are the pages' origins that browsers may call from.
    ``threads`` is how many requests the server handles at once: a quarter of them is kept from reading bodies, half from one project's.
    """
    metrics = metrics or Metrics()
    app: falcon.App[Any, Any] = falcon.App(
        middleware=[
            RequestId(),  # first, so that every reply has one
            Observe(metrics),  # around all that follows, so that every reply is counted and logged
            Paths(),  # before anything looks at the path
            Microversion(),  # before identity: a version that is not spoken is refused whoever asks
            Identify(identity),  # last: what comes after it knows its caller
        ]
    )
    app.req_options.strip_url_path_trailing_slash = False
    faults.install(app, identity.challenge)
    by_path: dict[str, list[Route]] = defaultdict(list)
    for route in (*ROUTES, *public_routes(metrics, healthy, ROUTES)):
        by_path[route.path].append(route)
    bodies = Turns.of(threads)
    for path, routes in by_path.items():
        app.add_route(path, Endpoint(routes, control, bodies, max_limit=max_limit, max_body_bytes=max_body_bytes))
    return _behind_proxies(app, proxy_headers, cors_origins)


def _behind_proxies(app: WSGI, proxy_headers: bool, cors_origins: Sequence[str]) -> WSGI:
    """oslo.middleware around the app, each part only where it has something to do: both cost more than the rest of the chain."""
    if not cors_origins and not proxy_headers:
        return app
    wrapped: Any = app
    if cors_origins:
        wrapped = cors.CORS(wrapped)
        wrapped.add_origin(
            allowed_origin=list(cors_origins),
            expose_headers=_SHOWN_HEADERS,
            allow_headers=_TAKEN_HEADERS,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        )
    if proxy_headers:
        wrapped = http_proxy_to_wsgi.HTTPProxyToWSGI(wrapped, {"enable_proxy_headers_parsing": True})

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        answer: Iterable[bytes] = wrapped(environ, start_response)
        return answer

    return application  # a plain function: webob's wrappers have no signature that servers could look at
