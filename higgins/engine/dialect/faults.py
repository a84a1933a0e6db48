"""What an engine's refusals and silences mean in Higgins' own errors; the one function of the engine port that translates them."""

from __future__ import annotations

import re

import msgspec

from higgins.core import errors
from higgins.engine.dialect.http import Answer

_NO_IMAGE = re.compile(
    r"no such image|image not known|image .*not found|manifest unknown|manifest for .* not found|name unknown"
    r"|repository .* not found|pull access denied|reading manifest .*: (name|manifest) unknown|repository does not exist",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"unauthorized|authentication required|no basic auth|denied|invalid username/password", re.IGNORECASE
)
_REGISTRY_AWAY = re.compile(
    r"no such host|connection refused|i/o timeout|network is unreachable|deadline exceeded|connection reset|EOF"
    r"|TLS handshake|server misbehaving|request canceled|no route to host|temporary failure|too many requests|client\.timeout",
    re.IGNORECASE,
)
_NAME_TAKEN = re.compile(r"name .*(already in use|is in use)", re.IGNORECASE)
_RUNTIME = re.compile(
    r"unknown runtime specified|unknown or invalid runtime|invalid runtime name|default OCI runtime .* not found"
    r"|(storage-opt|storage option|quota).*(supported|only)",
    re.IGNORECASE,
)
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_STATE = re.compile(
    r"is not running|not running|is paused|already paused|is not paused|state improper|is restarting|marked for removal"
    r"|in use by|being used|is using|removal .* in progress|has active exec|already running|already started"
    r"|must force|dependent|dependency|device or resource busy",
    re.IGNORECASE,
)
_FOR_GOOD = re.compile(
    r"OCI runtime|OCI permission|executable file|crun:|runc |exec format error|permission denied|no such file or directory"
    r"|invalid|not a directory|cannot be|must be|out of range|unsupported",
    re.IGNORECASE,
)
_GOING = re.compile(r"removal .* in progress|marked for removal|being removed", re.IGNORECASE)
_NOT_THERE = re.compile(r"no such (container|exec|volume)|could not find|no container with", re.IGNORECASE)


def translate(problem: Exception | Answer, what: str) -> errors.HigginsError:
    """The error to raise for a refusal or a silence while doing ``what`` (a clause such as "start the container")."""
    if isinstance(problem, Answer):
        return _refusal(problem.status, words(problem.body), what)
    if isinstance(problem, TimeoutError):
        return errors.Timeout(f"The container engine did not answer in time when asked to {what}. Look at its log.")
    return errors.Unavailable(
        f"The container engine does not answer ({str(problem) or type(problem).__name__}). Start it on that host."
    )


def is_going(problem: errors.HigginsError) -> bool:
    """Whether a refusal to remove a container means that its removal goes on already."""
    return bool(_GOING.search(problem.message))


def words(body: bytes) -> str:
    """The engine's own sentence in the body of a refusal."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode(errors="replace").strip()
    if not isinstance(content, dict):
        return str(content)
    return str(content.get("message") or content.get("error") or content.get("cause") or "").strip()


def _refusal(status: int, text: str, what: str) -> errors.HigginsError:
    sentence = f"The engine could not {what}: {text.rstrip('.') or f'status {status}'}."
    for fits, kind in (
        (_FULL.search(text), errors.OutOfCapacity),
        (_NAME_TAKEN.search(text), errors.NameTaken),
        (_RUNTIME.search(text), errors.Unsupported),
        (_NO_IMAGE.search(text), errors.ImageNotFound),
        (status == 404 or _NOT_THERE.search(text), errors.NotFound),
        (status in (304, 409) or (status >= 500 and _STATE.search(text)), errors.Conflict),
        (status in (401, 403), errors.Invalid),
        (status == 501, errors.Unsupported),
        (status < 500, errors.Invalid),
        (status == 503, errors.Unavailable),
        (_FOR_GOOD.search(text), errors.Invalid),
    ):
        if fits:
            return kind(sentence)
    return errors.NotReady(sentence)


def pull_failure(text: str, reference: str) -> errors.HigginsError:
    """The error to raise for what an engine wrote when a pull failed; its stream says it in words only."""
    if _FULL.search(text):
        return errors.OutOfCapacity(f"The disk of the host is full: the image {reference} could not be pulled.")
    if _REGISTRY_AWAY.search(text) and not _NO_IMAGE.search(text):
        return errors.Unavailable(f"The registry of the image {reference} does not answer: {text}.")
    if _DENIED.search(text):
        hint = "Check the name, or give a registry with a user name and a password"
        return errors.ImageNotFound(f"The registry does not let us pull the image {reference}: {text}. {hint}.")
    if _NO_IMAGE.search(text):
        return errors.ImageNotFound(f"The registry has no image {reference}: {text}. Check its name and tag.")
    return errors.NotReady(f"The image {reference} could not be pulled: {text}.")
