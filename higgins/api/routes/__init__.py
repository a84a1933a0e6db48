"""Handlers, a file a resource: each reads typed arguments, calls one use case and gives back a view. The table of all routes is here."""

from __future__ import annotations

from higgins.api.route import Route
from higgins.api.routes import containers, history, images, live, operators, quotas, registries, wishes

ROUTES: tuple[Route, ...] = (
    *containers.ROUTES,
    *wishes.ROUTES,
    *live.ROUTES,
    *history.ROUTES,
    *images.ROUTES,
    *operators.ROUTES,
    *quotas.ROUTES,
    *registries.ROUTES,
)
