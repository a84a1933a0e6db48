"""How a request shows who makes it: HTTP basic, nothing, or a Keystone v3 token. It must not know containers.

A token is kept in the user's cache directory (0600) so that Keystone is asked once for many commands; a password never is.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from higgins.cli.client.transport import Server
from higgins.cli.errors import ApiError, CliError, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from higgins.cli.client.cloud import Cloud

SERVICE_TYPES = ("container", "application-container")
_PASSWORD, _TOKEN, _CREDENTIAL = {"password", "v3password"}, {"token", "v3token"}, {"v3applicationcredential"}


class Auth(Protocol):
    """Where the service is and the headers that show who asks."""

    @property
    def endpoint(self) -> str:
        """The address of the service, as configured or as the catalog has it."""
        ...

    @property
    def project_id(self) -> str | None:
        """The project acted for, where that is known before the service is asked."""
        ...

    def headers(self) -> dict[str, str]:
        """The headers to send with each request."""
        ...

    def renew(self) -> bool:
        """Get new credentials after a 401; ``False`` when there are none to get."""
        ...


def make_auth(cloud: Cloud, environ: Mapping[str, str], *, debug: bool = False) -> Auth:
    """The way to authenticate that the cloud asks for; raises ``CliError`` when something is missing."""
    kind = cloud.auth_type
    if kind in _PASSWORD | _TOKEN | _CREDENTIAL:
        return Keystone(cloud, environ, debug=debug)
    if kind == "http_basic":
        pair = f"{_need(cloud, 'username')}:{_need(cloud, 'password')}".encode()
        return Fixed(cloud, {"Authorization": "Basic " + base64.b64encode(pair).decode()})
    if kind == "none":
        return Fixed(cloud, {"X-Auth-Token": "notused"})
    if kind == "admin_token":
        return Fixed(cloud, {"X-Auth-Token": _need(cloud, "token")})
    raise CliError(
        f"The auth_type {kind} of {cloud.who} is not known here.",
        "Known are http_basic, none, password, token, v3applicationcredential and admin_token.",
    )


def _need(cloud: Cloud, key: str) -> str:
    value = cloud.auth.get(key)
    if not value:
        raise CliError(f"The {cloud.who} has no {key}.", f"Add it under 'auth', or set OS_{key.upper()}.")
    return value


class Fixed:
    """Credentials that are sent as they are, to an endpoint that is configured."""

    def __init__(self, cloud: Cloud, headers: dict[str, str]) -> None:
        self.endpoint = cloud.endpoint or _need(cloud, "endpoint")
        self.project_id = cloud.auth.get("project_id")
        self._headers = headers

    def headers(self) -> dict[str, str]:
        """The same headers each time."""
        return self._headers

    def renew(self) -> bool:
        """Nothing can be renewed."""
        return False


class Keystone:
    """A scoped token of Keystone v3, and the service's address from the catalog that comes with it."""

    def __init__(self, cloud: Cloud, environ: Mapping[str, str], *, debug: bool = False) -> None:
        self._cloud = cloud
        url = _need(cloud, "auth_url").rstrip("/")
        self._url = url if url.endswith("/v3") else f"{url}/v3"
        self._debug = debug
        self._file = _cache_file(cloud, self._url, environ)
        self._kept: dict[str, Any] = _read_cache(self._file)
        self._fresh = False

    @property
    def endpoint(self) -> str:
        """The address in the catalog, for the cloud's region and interface; raises ``CliError`` when there is none."""
        return self._cloud.endpoint or str(self._grant()["endpoint"])

    @property
    def project_id(self) -> str | None:
        """The project of the token."""
        return self._grant()["project_id"] or None

    def headers(self) -> dict[str, str]:
        """The token's header; asks Keystone when none is kept."""
        return {"X-Auth-Token": self._grant()["token"]}

    def renew(self) -> bool:
        """Drop a kept token, once."""
        if self._fresh:
            return False
        self._kept = {}
        return True

    def _grant(self) -> dict[str, Any]:
        if not self._kept:
            self._kept = self._ask()
            self._fresh = True
            _write_cache(self._file, self._kept)
        return self._kept

    def _ask(self) -> dict[str, Any]:
        server = Server(self._url, self._cloud.trust, debug=self._debug)
        body = json.dumps({"auth": {"identity": self._identity(), **self._scope()}}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        answer = server.request("POST", urlsplit(self._url).path + "/auth/tokens", headers, body)
        if answer.status >= 300:
            raise _keystone_refusal(answer.status, answer.body, self._cloud, self._url)
        try:
            token = json.loads(answer.body)["token"]
            grant = {"token": answer.headers["x-subject-token"], "expires_at": token["expires_at"]}
        except (ValueError, KeyError, TypeError) as error:
            raise CliError(f"{self._url} does not answer as Keystone does.", "Check auth_url.") from error
        grant["project_id"] = (token.get("project") or {}).get("id", "")
        grant["endpoint"] = self._cloud.endpoint or _from_catalog(token.get("catalog") or [], self._cloud)
        return grant

    def _identity(self) -> dict[str, Any]:
        auth, kind = self._cloud.auth, self._cloud.auth_type
        if kind in _TOKEN:
            return {"methods": ["token"], "token": {"id": _need(self._cloud, "token")}}
        if kind in _CREDENTIAL:
            credential: dict[str, Any] = {"secret": _need(self._cloud, "application_credential_secret")}
            if auth.get("application_credential_id"):
                credential["id"] = auth["application_credential_id"]
            else:
                credential["name"] = _need(self._cloud, "application_credential_name")
                credential["user"] = self._user()
            return {"methods": ["application_credential"], "application_credential": credential}
        user = {**self._user(), "password": _need(self._cloud, "password")}
        return {"methods": ["password"], "password": {"user": user}}

    def _user(self) -> dict[str, Any]:
        auth = self._cloud.auth
        if auth.get("user_id"):
            return {"id": auth["user_id"]}
        return {"name": _need(self._cloud, "username"), "domain": _domain(auth, "user_domain")}

    def _scope(self) -> dict[str, Any]:
        auth = self._cloud.auth
        if self._cloud.auth_type in _CREDENTIAL:
            return {}
        if auth.get("project_id") or auth.get("tenant_id"):
            return {"scope": {"project": {"id": auth.get("project_id") or auth["tenant_id"]}}}
        name = auth.get("project_name") or auth.get("tenant_name")
        if name:
            return {"scope": {"project": {"name": name, "domain": _domain(auth, "project_domain")}}}
        return {}


def _domain(auth: Mapping[str, str], which: str) -> dict[str, str]:
    if auth.get(f"{which}_id"):
        return {"id": auth[f"{which}_id"]}
    if auth.get(f"{which}_name"):
        return {"name": auth[f"{which}_name"]}
    return {"id": auth.get("default_domain") or "default"}


def _keystone_refusal(status: int, body: bytes, cloud: Cloud, url: str) -> ApiError:
    error = refusal(status, body, who=cloud.who)
    if status == 404:
        error.hint = f"Is {url} the address of Keystone? Check auth_url in {cloud.source}."
    return error


def _from_catalog(catalog: list[dict[str, Any]], cloud: Cloud) -> str:
    regions = set()
    for service in catalog:
        for endpoint in service.get("endpoints") or []:
            if service.get("type") not in SERVICE_TYPES or endpoint.get("interface") != cloud.interface:
                continue
            region = endpoint.get("region_id") or endpoint.get("region")
            if cloud.region in {None, region}:
                return str(endpoint["url"])
            regions.add(str(region))
    where = f" in region {cloud.region}" if cloud.region else ""
    hint = (
        f"It is in: {', '.join(sorted(regions))}. Set region_name." if regions else "Ask the cloud's operator for it."
    )
    raise CliError(f"{cloud.who} has no container service{where} ({cloud.interface} interface) in its catalog.", hint)


def _cache_file(cloud: Cloud, url: str, environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".cache")
    told = {k: v for k, v in cloud.auth.items() if k not in {"password", "application_credential_secret", "passcode"}}
    key = json.dumps([url, cloud.auth_type, sorted(told.items()), cloud.region, cloud.interface, cloud.endpoint])
    return Path(base) / "higgins" / f"token-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def _read_cache(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_bytes())
        left = datetime.datetime.fromisoformat(kept["expires_at"]) - datetime.datetime.now(datetime.UTC)
        usable = left > datetime.timedelta(minutes=1) and {"token", "endpoint", "project_id"} <= kept.keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return kept if usable else {}


def _write_cache(path: Path, grant: dict[str, Any]) -> None:
    """Keep a token for the next command; a cache that cannot be written is no failure."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(grant, file)
        fresh.replace(path)
