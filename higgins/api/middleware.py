"""What happens to every request around its route: an id, a path in order, who it is, a line in the log. Knows no resource."""

from __future__ import annotations

import logging
import re
import time
import uuid
from typing import Any
from urllib.parse import quote

import falcon

from higgins.api.identity import Identity
from higgins.api.metrics import Metrics
from higgins.api.route import PUBLIC_PATHS

ACCESS = logging.getLogger("higgins.access")
_SLASHES = re.compile("/{2,}")
_UNVERSIONED = ("/v1", "/healthcheck", "/metrics")
_SEARCH = re.compile("/v1/images/(.+)/search")


class RequestId:
    """Gives every request its id, which is also the id of the container action it makes."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Make the id and put it on the reply."""
        req.context.started_at_s = time.perf_counter()
        req.context.request_id = request_id = f"req-{uuid.uuid4()}"
        resp.set_header("X-Openstack-Request-Id", request_id)


class Paths:
    """Takes paths as Zun's clients write them: doubled slashes, a slash at the end, no ``/v1``, image names with slashes."""

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Rewrite the path before it is routed; one with a NUL is nowhere (some databases refuse to look)."""
        if "\0" in req.path:
            raise falcon.HTTPNotFound
        path = _SLASHES.sub("/", req.path).rstrip("/") or "/"
        if path != "/" and not path.startswith(_UNVERSIONED):
            path = "/v1" + path
        if path.endswith("/search"):
            match = _SEARCH.fullmatch(path)
            if match is not None:
                path = f"/v1/images/{quote(match[1], safe='')}/search"
        req.path = path


class Identify:
    """Finds out who calls; only public paths are answered to nobody."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def process_request(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put the caller into ``req.context.caller``, or raise ``Unauthorized``."""
        if req.path not in PUBLIC_PATHS:
            req.context.caller = self._identity.identify(req.env, req.context.request_id)


class Observe:
    """Counts and times each reply by its route, and writes the access log: never a query, which may hold secrets."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def process_response(self, req: falcon.Request, resp: falcon.Response, resource: Any, succeeded: bool) -> None:
        """Note how the request ended."""
        took_s = time.perf_counter() - req.context.started_at_s
        status = resp.status_code
        self._metrics.request(req.uri_template or "unrouted", req.method, status, took_s)
        if ACCESS.isEnabledFor(logging.INFO):
            caller = getattr(req.context, "caller", None)
            who = f"{caller.user_id} {caller.project_id}" if caller is not None else "- -"
            ACCESS.info(
                "%s %s %s %s %d %.1f ms", req.context.request_id, who, req.method, req.path, status, took_s * 1000
            )
