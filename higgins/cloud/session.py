"""What all ports to the cloud share: who asks (the service's own account, or a user for as long as his request lasts), and errors as ours.

Must not know what any service offers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import keystoneauth1.exceptions as gone_wrong
import requests
from keystoneauth1 import adapter, service_token
from keystoneauth1 import session as keystone
from keystoneauth1.identity import v3

from higgins.core import errors

_MOST_OF_A_MESSAGE = 500
_CONNECTIONS = 32


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """How the service itself logs in at Keystone; ``interface`` and ``region`` say which endpoints of the catalogue it uses."""

    auth_url: str
    username: str
    password: str = dataclasses.field(repr=False)
    project_name: str = "service"
    user_domain: str = "Default"
    project_domain: str = "Default"
    region: str | None = None
    interface: str = "internal"
    ca_file: str | None = None
    timeout_s: float = 30.0


class Caller(Protocol):
    """What a service's port needs of ``Service``; a test may stand in for it."""

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Any:
        """The decoded answer of one request."""
        ...


class Session:
    """A connection to Keystone, from which the ports of all services are made. Safe to share between threads."""

    def __init__(self, account: Account) -> None:
        self._account = account
        verify: bool | str = account.ca_file or True
        self._password = self._login(project_name=account.project_name, project_domain_name=account.project_domain)
        self._own = keystone.Session(auth=self._password, session=_pooled(), verify=verify, timeout=account.timeout_s)
        self._of_users = keystone.Session(
            session=_pooled(), verify=verify, timeout=account.timeout_s
        )  # a login of any kind would replace their token

    def _login(
        self, *, project_id: str | None = None, project_name: str | None = None, project_domain_name: str | None = None
    ) -> v3.Password:
        account = self._account
        return v3.Password(
            auth_url=account.auth_url,
            username=account.username,
            password=account.password,
            user_domain_name=account.user_domain,
            project_id=project_id,
            project_name=project_name,
            project_domain_name=project_domain_name,
        )

    def service(
        self,
        service_type: str,
        title: str,
        *,
        microversion: str | None = None,
        path: str = "",
        vouched: bool = False,
        project_id: str | None = None,
    ) -> Service:
        """One service of the catalogue; ``title`` names it in messages, ``path`` comes after the endpoint's own.

        ``vouched`` says with each request that a service asks, by a service token beside the token. With ``project_id`` the account works
        in that project instead of its own, for which it needs a role there.
        """
        login = self._password if project_id is None else self._login(project_id=project_id)
        own = adapter.Adapter(
            self._own,
            auth=service_token.ServiceTokenAuthWrapper(login, self._password) if vouched else login,
            service_type=service_type,
            interface=self._account.interface,
            region_name=self._account.region,
        )
        return Service(own, self._of_users, title, microversion=microversion, path=path)


def _pooled() -> requests.Session:
    """Connections that stay open between calls, for as many threads as the loops have; the default gives up those beyond ten."""
    pooled = requests.Session()
    for scheme in ("http://", "https://"):
        pooled.mount(scheme, keystone.TCPKeepAliveAdapter(pool_maxsize=_CONNECTIONS))
    return pooled


class Service:
    """One service's REST API. Every error is one of ``core.errors``, with the service's own words in it."""

    def __init__(
        self,
        own: adapter.Adapter,
        of_users: keystone.Session,
        title: str,
        *,
        microversion: str | None = None,
        path: str = "",
    ) -> None:
        self._own, self._of_users = own, of_users
        self._title, self._path = title, path
        self._headers = {} if microversion is None else {"OpenStack-API-Version": microversion}

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Any:
        """The decoded answer of one request (``None`` when it is empty), asked with a user's ``token`` or else by the service itself.

        ``Invalid`` (400, 422), ``Unauthorized``, ``Forbidden``, ``OverQuota`` (413, or a refusal that speaks of a quota), ``NotFound``,
        ``Conflict`` (409, 412), ``NotReady`` (429), ``Unavailable`` (5xx, no connection), ``Timeout``.
        """
        answer = self.raw(method, path, body=body, query=query, headers=headers, token=token)
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise errors.Unavailable(
                f"{self._title} answered with something that is no JSON. Try again later."
            ) from error

    def raw(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: Iterable[bytes] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
        stream: bool = False,
    ) -> requests.Response:
        """The answer of one request as it came, its body not read yet with ``stream``; raises as ``call`` does."""
        extra: dict[str, Any] = {"params": dict(query)} if query else {}
        extra |= {"json": body} if body is not None else {}
        extra |= {"data": data} if data is not None else {}
        sent = {**self._headers, "Accept": "application/json", **(headers or {})}
        try:
            if token is None:
                answer = self._own.request(
                    self._path + path, method, headers=sent, raise_exc=False, stream=stream, **extra
                )
            else:
                # Where an endpoint ends with a project's id, that is the service's own project and not the user's.
                endpoint = (self._own.get_endpoint() or "").rstrip("/").removesuffix(f"/{self._own.get_project_id()}")
                url = f"{endpoint}{self._path}{path}"
                answer = self._of_users.request(
                    url, method, headers=sent | {"X-Auth-Token": token}, raise_exc=False, stream=stream, **extra
                )
        except Exception as error:
            raise translated(error, self._title) from error
        if answer.status_code == 401 and token is None:
            # Its session has logged in anew already: no wish is to blame, and what is wrong there may be mended.
            raise errors.Unavailable(f"{self._title} refuses Higgins' own account. Try again later.")
        if answer.status_code >= 400:
            raise refused(answer.status_code, _words(answer), self._title)
        return answer


def translated(error: Exception, title: str) -> errors.HigginsError:
    """An exception of keystoneauth (or of requests, in a stream) as ours; the one place where that is decided."""
    if isinstance(error, gone_wrong.ConnectTimeout | requests.Timeout):
        return errors.Timeout(f"{title} did not answer in time. Try again later.")
    if isinstance(error, gone_wrong.ConnectionError | requests.ConnectionError):
        return errors.Unavailable(f"{title} does not answer. Try again later.")
    if isinstance(error, gone_wrong.EndpointNotFound):
        return errors.Unavailable(f"Keystone's catalogue has no endpoint of {title}. Ask the operator to register it.")
    if isinstance(error, gone_wrong.Unauthorized):
        return errors.Unavailable(
            f"Keystone refuses Higgins' own account, so {title} cannot be asked. Tell the operator."
        )
    if isinstance(error, gone_wrong.HttpError):
        return errors.Unavailable(
            f"Keystone answered {error.http_status} when {title} was to be asked. Try again later."
        )
    if isinstance(error, gone_wrong.ClientException):
        return errors.Unavailable(f"{title} could not be asked: {error}")
    if isinstance(error, requests.RequestException):
        return errors.Unavailable(f"The connection to {title} broke off. Try again later.")
    raise error


def refused(status: int, words: str, title: str) -> errors.HigginsError:
    """An answer of 400 and above as an error of ours."""
    said = f"{title}: {words}" if words else f"{title} answered {status}."
    if status == 413 or (status in (403, 409) and "quota" in words.lower()):
        return errors.OverQuota(said)
    if status == 401:
        return errors.Unauthorized(said)
    if status == 403:
        return errors.Forbidden(said)
    if status == 404:
        return errors.NotFound(said)
    if status in (409, 412):
        return errors.Conflict(said)
    if status == 429:
        return errors.NotReady(f"{title} has too many requests to answer. Try again later.")
    if status >= 500:
        return errors.Unavailable(f"{title} answered {status}. Try again later.")
    return errors.Invalid(said)


def _words(answer: requests.Response) -> str:
    """What the service says, whichever shape its errors have."""
    try:
        found = answer.json()
    except ValueError:
        return ""
    for _ in range(3):
        if isinstance(found, Mapping):
            inner = (
                found.get(key)
                for key in ("NeutronError", "message", "detail", "title", "errors", "error", "badRequest")
            )
            found = next((one for one in inner if one), next(iter(found.values()), ""))
        elif isinstance(found, list):
            found = found[0] if found else ""
    return " ".join(str(found).split())[:_MOST_OF_A_MESSAGE] if isinstance(found, str) else ""
