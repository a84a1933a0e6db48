"""Every error Higgins raises on purpose.

* HigginsError 500
  x NotFound 404             a thing the caller named is not there, or not his
  x Conflict 409             the thing's state, or another writer, forbids it now
    - IllegalState           the container's status does not allow this action
    - NameTaken              the engine, or the project, has something of that name
  x Invalid 400              the request can never work as it stands
    - Unsupported            the engine on that host cannot do this
    - ImageNotFound          the registry answered: no such image or tag
  x Forbidden 403            policy says no
    - OverQuota
  x Unauthorized 401
  x NotAcceptable 406        a microversion that is not spoken here
  x UnsupportedMediaType 415
  x NotReady 500, retryable  nothing wrong with the request: the same call may succeed later
    - Unavailable 503        something we depend on did not answer
    - Timeout 504
    - OutOfCapacity 503      no host has room
    - Busy 429               too much of this goes on already

A caller decides from the class alone: ``retryable`` says whether the same call may succeed later,
``http_status`` and ``code`` are what the API answers. The message is a sentence for the user that says what to do.
"""

from __future__ import annotations

from typing import ClassVar


class HigginsError(Exception):
    """An error with a message fit for the user who caused it."""

    http_status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    code: str = "internal-error"

    def __init__(self, message: str = "", *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code

    @property
    def message(self) -> str:
        """The sentence for the user."""
        return str(self.args[0]) if self.args else ""


class NotFound(HigginsError):
    """What the caller named is not there, or is not visible to him."""

    http_status = 404
    code = "not-found"


class Conflict(HigginsError):
    """The state of the thing, or another writer, forbids this now."""

    http_status = 409
    code = "conflict"


class IllegalState(Conflict):
    """The container's status does not allow this action."""

    code = "invalid-state-exception"


class NameTaken(Conflict):
    """The name is in use where it must be unique."""

    code = "container-already-exists"


class Invalid(HigginsError):
    """The request cannot work as it stands."""

    http_status = 400
    code = "invalid-value"


class Unsupported(Invalid):
    """The engine on this host cannot do this."""

    code = "not-supported"


class ImageNotFound(Invalid):
    """No such image or tag where it was looked for."""

    code = "image-not-found"


class Forbidden(HigginsError):
    """Policy does not allow this."""

    http_status = 403
    code = "policy-not-authorized"


class OverQuota(Forbidden):
    """The project has no room left for this."""

    code = "over-quota"


class Unauthorized(HigginsError):
    """The caller did not say who he is, or it could not be confirmed."""

    http_status = 401
    code = "unauthorized"


class NotAcceptable(HigginsError):
    """A microversion that is not spoken here, or an action that does not exist in it."""

    http_status = 406
    code = "not-acceptable"


class UnsupportedMediaType(HigginsError):
    """The body is of a type that this route does not read."""

    http_status = 415
    code = "unsupported-media-type"


class NotReady(HigginsError):
    """Nothing is wrong with the request; the same call may succeed later."""

    retryable = True
    code = "not-ready"


class Unavailable(NotReady):
    """Something we depend on did not answer."""

    http_status = 503
    code = "unavailable"


class Timeout(NotReady):
    """Something we depend on did not answer in time."""

    http_status = 504
    code = "timeout"


class OutOfCapacity(NotReady):
    """No host has room for this."""

    http_status = 503
    code = "no-valid-host"


class Busy(NotReady):
    """Too much of this goes on at once already, for everybody or for this project."""

    http_status = 429
    code = "too-many-requests"
