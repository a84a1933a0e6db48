"""What an engine's refusals and silences mean in Higgins' own errors; the one function of the engine port that translates them."""

from __future__ import annotations

import re

import msgspec

from higgins.core import errors
from higgins.engine import reference as references
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
_NO_PROGRAM = re.compile(
    r"executable file [`'\"]?(?P<first>[^`'\"\s]+)[`'\"]? not found|exec: [`'\"](?P<second>[^`'\"]+)[`'\"]: (?:executable file|stat )",
    re.IGNORECASE,
)
_NO_EXECUTABLE = re.compile(
    r"open executable|OCI permission denied|exec format error|exec: .*: permission denied", re.IGNORECASE
)
_PLAIN_HTTP = re.compile(r"HTTP response to HTTPS client", re.IGNORECASE)
_UNTRUSTED = re.compile(r"x509:|certificate", re.IGNORECASE)
_HAS_ENDED = re.compile(r"/proc/\d+/\w+: no such (process|file)", re.IGNORECASE)
_GOING = re.compile(r"removal .* in progress|marked for removal|being removed", re.IGNORECASE)
_NOT_THERE = re.compile(r"no such (container|exec|volume)|could not find|no container with", re.IGNORECASE)


def translate(problem: Exception | Answer, what: str) -> errors.HigginsError:
    """The error to raise for a refusal or a silence while doing ``what`` (a clause such as "start the container")."""
    if isinstance(problem, Answer):
        return _refusal(problem.status, words(problem.body), what)
    if isinstance(problem, TimeoutError):
        return errors.Timeout(f"The container engine did not answer in time when asked to {what}. Look at its log.")
    why = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    return errors.Unavailable(f"The container engine does not answer ({why}). Start it on that host.")


def is_going(problem: errors.HigginsError) -> bool:
    """Whether a refusal to remove a container means that its removal goes on already."""
    return bool(_GOING.search(problem.message))


def came_too_late(answer: Answer) -> bool:
    """Whether a look was refused because a container's process ended during it: podman issue 16383, until its version 4.4."""
    return answer.status >= 500 and bool(_HAS_ENDED.search(words(answer.body)))


def words(body: bytes) -> str:
    """The engine's own sentence in the body of a refusal."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode(errors="replace").strip()
    if not isinstance(content, dict):
        return str(content)
    return str(content.get("message") or content.get("error") or content.get("cause") or "").strip()


def plainly(text: str) -> str:
    """What an engine wrote of a full disk, or of a command that it could not run, for a user; other words as they are."""
    if _FULL.search(text):
        return "the disk of the host is full. Remove images or containers there"
    missing = _NO_PROGRAM.search(text)
    if missing:
        return (
            f"the image has no program '{missing['first'] or missing['second']}'. Check the command and the entrypoint"
        )
    if _NO_EXECUTABLE.search(text):
        return "what its command names cannot be executed there. Check the command and the entrypoint"
    return text.strip().removeprefix("Error: ").rstrip(".")


def _refusal(status: int, text: str, what: str) -> errors.HigginsError:
    sentence = f"The engine could not {what}: {plainly(text) or f'status {status}'}."
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
        (_HAS_ENDED.search(text), errors.NotReady),
        (_FOR_GOOD.search(text), errors.Invalid),
    ):
        if fits:
            return kind(sentence)
    return errors.NotReady(sentence)


def load_refusal(answer: Answer) -> errors.HigginsError | None:
    """What an engine's answer to an archive means, ``None`` for a good one; some say only in the stream of an answer of 200 what is wrong."""
    text = words(answer.body) if answer.status >= 400 else _streamed_error(answer.body)
    if answer.status < 400 and not text:
        return None
    if _FULL.search(text):
        return errors.OutOfCapacity("The disk of the host is full: the image could not be loaded. Remove images there.")
    if answer.status == 503:
        return errors.Unavailable(f"The engine could not load the image: {text}.")
    return errors.Invalid(f"The engine cannot read the image's archive: {text.strip().rstrip('.') or answer.status}.")


def _streamed_error(body: bytes) -> str:
    for line in body.splitlines():
        try:
            told = msgspec.json.decode(line) if line.strip() else {}
        except msgspec.DecodeError:
            continue
        if isinstance(told, dict) and (told.get("error") or told.get("errorDetail")):
            return str(told.get("error") or (told["errorDetail"] or {}).get("message") or "no reason given")
    return ""


def pull_failure(text: str, reference: str) -> errors.HigginsError:
    """The error to raise for what an engine wrote when a pull failed; its stream says it in words only."""
    image, registry = f"the image {reference}", f"The registry {references.parse(reference).domain}"
    away = _REGISTRY_AWAY.search(text)
    if _FULL.search(text):
        return errors.OutOfCapacity(f"The disk of the host is full: {image} could not be pulled. Remove images there.")
    if _PLAIN_HTTP.search(text):
        hint = "Give it a certificate, or name it in the configuration of the host's engine"
        return errors.Invalid(f"{registry} speaks plain HTTP, so {image} is not pulled. {hint}.")
    if away and not _NO_IMAGE.search(text):
        hint = f"Check the name of {image} and the network of the host"
        return errors.Unavailable(f"{registry} does not answer ({away[0].lower()}). {hint}.")
    if _UNTRUSTED.search(text):
        hint = "Have the certificate's authority added on the host"
        return errors.Invalid(f"{registry} has a certificate that the host does not trust. {hint}.")
    if _DENIED.search(text):
        hint = "Check the name, or give a registry with a user name and a password"
        return errors.ImageNotFound(f"{registry} does not let us pull {image}. {hint}.")
    if _NO_IMAGE.search(text):
        return errors.ImageNotFound(f"{registry} has no image {reference}. Check its name and tag.")
    return errors.NotReady(f"The image {reference} could not be pulled: {text}.")
