"""Actions and events in JSON."""

from __future__ import annotations

from typing import Any

from higgins.api.view import times
from higgins.store.actions import Action
from higgins.store.records.events import Event


def action(row: Action) -> dict[str, Any]:
    """One action, under Zun's names, whose message of a failure says no more than that; ``reason`` is our own."""
    return {
        "action": row.action,
        "container_uuid": row.pod_uuid,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "start_time": times.iso(row.started_at),
        "finish_time": times.iso(row.finished_at),
        "message": row.message,
        "reason": row.reason,
    }


def action_event(step: Event) -> dict[str, Any]:
    """One step of an action, under Zun's names."""
    return {
        "event": step.verb,
        "start_time": times.iso(step.started_at),
        "finish_time": times.iso(step.finished_at),
        "result": step.result or None,
        "traceback": (step.detail or None) if step.result == "Error" else None,
    }


def event(step: Event) -> dict[str, Any]:
    """One step, in our own words."""
    return {
        "key": step.key,
        "request_id": step.request_id,
        "verb": step.verb,
        "target": step.target,
        "why": step.why,
        "started_at": times.iso(step.started_at),
        "finished_at": times.iso(step.finished_at),
        "result": step.result,
        "detail": step.detail,
    }
