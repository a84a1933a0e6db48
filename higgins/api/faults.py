"""Every error as Zun's clients read it: one body, one place. The only ``except Exception`` of the API is the handler registered here."""

from __future__ import annotations

import http
import logging
from typing import Any

import falcon
import msgspec

from higgins.api.schema.table import MAX_VERSION, MIN_VERSION, dotted
from higgins.core import errors

LOG = logging.getLogger(__name__)


def body(status: int, code: str, title: str, detail: str, **more: str) -> bytes:
    """The error body of Zun: a list of one error whose ``request_id`` is always empty."""
    error = {
        "request_id": "",
        "code": f"container.{code}",
        "status": status,
        "title": title,
        "detail": detail,
        "links": [],
    }
    return msgspec.json.encode({"errors": [{**error, **more}]})


def install(app: falcon.App[Any, Any], challenge: str | None) -> None:
    """Make the app answer every error with the body above; ``challenge`` is the WWW-Authenticate of a 401."""

    def known(_request: Any, response: falcon.Response, error: errors.HigginsError, _params: Any) -> None:
        status = error.http_status
        if status >= 500:
            LOG.warning("Request failed with %d: %s", status, error.message)
        if status == 401 and challenge is not None:
            response.set_header("WWW-Authenticate", challenge)
        if isinstance(error, errors.NotAcceptable):
            _not_acceptable(response, error)
            return
        title = error.message or http.HTTPStatus(status).phrase
        _send(response, status, body(status, error.code, title, title))

    def routing(_request: Any, response: falcon.Response, error: falcon.HTTPError, _params: Any) -> None:
        if error.headers is not None:
            response.set_headers(error.headers)
        status = error.status_code
        if status in (404, 405):
            _send(response, status, body(status, "", "", ""))
        else:
            title = error.description or error.title or ""
            _send(response, status, body(status, "invalid-value", title, title))

    def unknown(request: falcon.Request, response: falcon.Response, error: Exception, _params: Any) -> None:
        request_id = getattr(request.context, "request_id", "")
        LOG.error("%s %s failed", request.method, request.path, exc_info=error)
        reason = http.HTTPStatus(500).phrase
        detail = f"Something went wrong inside Higgins. Tell its operator this id: {request_id}."
        _send(response, 500, body(500, "", reason, detail))

    app.add_error_handler(Exception, unknown)
    app.add_error_handler(falcon.HTTPError, routing)
    app.add_error_handler(errors.HigginsError, known)


def _not_acceptable(response: falcon.Response, error: errors.NotAcceptable) -> None:
    """Of a method that is not in this version nothing is said; of a version that is not spoken, which ones are."""
    if not error.message:
        _send(response, 406, body(406, "", "", ""))
        return
    spoken = {"min_version": dotted(MIN_VERSION), "max_version": dotted(MAX_VERSION)}
    _send(response, 406, body(406, "microversion-unsupported", error.message, error.message, **spoken))


def _send(response: falcon.Response, status: int, data: bytes) -> None:
    response.status = status
    response.data = data
    response.content_type = "application/json"
