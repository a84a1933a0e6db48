"""What the command line tells a person when something does not work. It must not know any verb.

Every error carries a sentence that says what is wrong and, where there is something to do, a second one that says what.
An answer of the service becomes an error in ``refusal`` alone.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import IO, TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN_FAILURE = 125
"""What ``run`` and ``exec`` end with when Higgins itself failed, so that it is not taken for the command's own code."""


class CliError(click.ClickException):
    """A failure with a message for the user and a hint of what to do next; ends the command with 1.

    ``run_code`` is what ``run`` and ``exec`` end with instead.
    """

    def __init__(self, message: str, hint: str = "", *, run_code: int = OWN_FAILURE) -> None:
        super().__init__(message)
        self.hint = hint
        self.run_code = run_code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, and the hint below it, on standard error."""
        click.echo(f"higgins: {self.message}", file=file, err=file is None)
        if self.hint:
            click.echo(f"  {self.hint}", file=file, err=file is None)


class Unreachable(CliError):
    """Nobody answered, or what answered broke off."""


class ApiError(CliError):
    """The service refused a request; ``code`` is the last word of its error code, such as ``over-quota``."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code


@contextlib.contextmanager
def own_failures() -> Iterator[None]:
    """Within it an error ends the command with its ``run_code``, which is 125 for Higgins' own."""
    try:
        yield
    except CliError as error:
        error.show()
        raise click.exceptions.Exit(error.run_code) from error


def refusal(status: int, body: bytes, *, about: str = "NAME", who: str = "", request_id: str = "") -> ApiError:
    """The error for an answer of 400 or more; ``about`` is the container as the user called it, ``who`` the cloud and user."""
    code, message = _read(body)
    message = message or _without_words(status)
    return ApiError(status, code, message, _hint(status, code, message, about, who, request_id))


def _read(body: bytes) -> tuple[str, str]:
    try:
        document = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(document, dict):
        return "", ""
    if isinstance(document.get("error"), dict):  # Keystone's form
        return "", str(document["error"].get("message") or "")
    errors = document.get("errors")
    if not isinstance(errors, list) or not errors or not isinstance(errors[0], dict):
        return "", ""
    first = errors[0]
    return str(first.get("code") or "").rpartition(".")[2], str(first.get("detail") or first.get("title") or "")


def _without_words(status: int) -> str:
    known = {
        401: "The service does not know who you are.",
        403: "You are not allowed to do this.",
        404: "There is nothing at this address.",
        406: "The service does not speak this version of the API.",
        413: "This is more than the service takes at once.",
        503: "The service cannot answer now.",
    }
    return known.get(status, f"The service answered {status} without saying why.")


_BY_STATE = {
    "Created": "Start it first: higgins start {name}",
    "Stopped": "Start it first: higgins start {name}",
    "Paused": "Let it go on first: higgins unpause {name}",
    "Running": "Stop it first: higgins stop {name}  (higgins rm -f kills and removes)",
    "Error": "See what went wrong: higgins why {name}",
    "Creating": "It is still being made; watch it: higgins events -f {name}",
    "Deleting": "It is being removed; watch it: higgins events -f {name}",
}


def _hint(status: int, code: str, message: str, about: str, who: str, request_id: str) -> str:
    if status == 401:
        return f"The credentials of {who or 'this cloud'} were refused: check user and password in its clouds.yaml."
    if status == 403 and code == "over-quota":
        return "See what is used: higgins quota. Remove what is not needed: higgins ps -a, higgins rm NAME"
    if status == 403:
        return (
            f"{who or 'This user'} lacks the role for it; name another cloud with --os-cloud (such as higgins-admin)."
        )
    if status == 409:
        state = re.search(r"\bin (\w+) state", message)
        ask = _BY_STATE.get(state.group(1)) if state else None
        return (ask or "See where it is: higgins why {name}").format(name=about) if state else ""
    if status == 503:
        return "Try again in a moment."
    if status >= 500:
        return f"The service's log says more under {request_id}." if request_id else "The service's log says more."
    return ""
