"""The verbs that tell what was done for a container and why: events and why."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import click

from higgins.cli import output
from higgins.cli.advice import next_steps, waiting_for
from higgins.cli.session import Session, json_option, pass_session

if TYPE_CHECKING:
    from higgins.cli.client.api import Json

_HEADERS = ("TIME", "STEP", "RESULT", "WHY")
_EVERY_S = 0.5
_NOT_OURS = "This service is Zun, which tells only its actions; Higgins tells each step and its reason."


@click.command("events")
@click.argument("name")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on until Ctrl-C.")
@json_option
@pass_session
def events_verb(session: Session, name: str, following: bool, as_json: bool) -> None:
    """List what was done for a container, oldest first, each step with its reason."""
    container = session.api.container(name)
    events = session.api.events(container)
    if as_json:
        output.print_json(events.items)
        return
    if not events.complete:
        click.echo(_NOT_OURS, err=True)
    if not following:
        output.print_table(_HEADERS, [_row(event, container) for event in events.items])
        return
    try:
        _follow(session, container, events.items)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(130) from None


def _follow(session: Session, container: Json, events: list[Json]) -> None:
    told: dict[str, Json] = {}
    while True:
        for event in events:
            if told.get(str(event.get("key"))) != event:
                told[str(event.get("key"))] = event
                click.echo("  ".join(str(cell) for cell in _row(event, container)))
        time.sleep(_EVERY_S)
        events = session.api.events(container).items


def _row(event: Json, container: Json) -> list[str]:
    time_of_day = output.clock(event.get("started_at"))
    return [time_of_day, output.step(event, container), result(event), output.clean(event.get("why"))]


def result(event: Json) -> str:
    """How it went, with its detail when it failed or still goes on."""
    detail = output.clean(event.get("detail"))
    word = {"Success": "done", "Error": "failed"}.get(str(event.get("result") or ""), "going on")
    return f"{word}: {detail}" if detail and word != "done" else word


@dataclasses.dataclass(frozen=True, slots=True)
class _Story:
    """All that why has to tell."""

    container: Json
    action: Json | None
    events: list[Json]
    complete: bool

    @property
    def waiting(self) -> str:
        return waiting_for(self.container, self.action, self.events)

    @property
    def next(self) -> list[str]:
        return next_steps(self.container, self.events)


@click.command("why")
@click.argument("name")
@json_option
@pass_session
def why_verb(session: Session, name: str, as_json: bool) -> None:
    """Explain where a container is and why, what is waited for, what was done last, and what to do next."""
    container = session.api.container(name)
    actions = session.api.actions(container)
    events = session.api.events(container)
    story = _Story(container, actions[0] if actions else None, events.items, events.complete)
    if as_json:
        output.print_json(_as_json(story))
    else:
        _tell(story)


def _as_json(story: _Story) -> dict[str, Any]:
    return {
        "uuid": story.container["uuid"],
        "name": story.container["name"],
        "status": story.container.get("status"),
        "reason": story.container.get("status_reason"),
        "host": story.container.get("host"),
        "asked": story.action,
        "waiting_for": story.waiting or None,
        "events": story.events[-10:],
        "next": story.next,
    }


def _tell(story: _Story) -> None:
    click.echo(f"{story.container['name']} ({story.container['uuid']})")
    for word, text in _facts(story):
        if text:
            click.echo(f"  {word:<11} {output.clean(text)}")
    if story.events:
        click.echo("\nLast steps:")
        output.print_table(_HEADERS, [_row(event, story.container) for event in story.events[-8:]])
    if not story.complete:
        click.echo(_NOT_OURS, err=True)
    click.echo("\nWhat to do next:")
    for sentence in story.next:
        click.echo(f"  {sentence}")


def _facts(story: _Story) -> list[tuple[str, object]]:
    container, action = story.container, story.action
    status_tells_why = container.get("status") in {"Error", "Unknown"}
    digest = container.get("image_digest")
    return [
        ("is", output.status(container)),
        ("because", "" if status_tells_why or story.waiting else container.get("status_reason")),
        ("image", f"{container.get('image')} ({digest})" if digest else container.get("image")),
        ("on host", container.get("host")),
        ("at", ", ".join(output.addresses(container))),
        ("exit code", "" if container.get("exit_code") is None else str(container["exit_code"])),
        ("last asked", f"{action.get('action')}, {output.ago(action.get('start_time'))}" if action else ""),
        ("waits for", story.waiting),
    ]
