"""Which cloud a command talks to: clouds.yaml, the OS_* variables, or the state directory that script/up made.

It reads files and variables only; it must not know HTTP.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from higgins.cli.client.transport import Trust
from higgins.cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

STATE_CLOUD = "higgins"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """One cloud as configured: ``auth`` as clouds.yaml has it; ``source`` is the file (or the words) it comes from."""

    name: str
    source: str
    auth_type: str
    auth: dict[str, str] = dataclasses.field(repr=False)
    region: str | None = None
    interface: str = "public"
    endpoint: str | None = None
    trust: Trust = dataclasses.field(default_factory=Trust)

    @property
    def who(self) -> str:
        """The cloud and its user, for messages."""
        user = self.auth.get("username") or self.auth.get("application_credential_id") or ""
        return f"cloud {self.name} (user {user}, {self.source})" if user else f"cloud {self.name} ({self.source})"


def default_state(environ: Mapping[str, str]) -> Path:
    """Where script/up keeps its state when nobody says otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/higgins")
    base = environ.get("XDG_STATE_HOME") or str(_home(environ) / ".local/state")
    return Path(base) / "higgins"


def find_cloud(name: str | None, state: str | None, environ: Mapping[str, str]) -> Cloud:
    """The cloud to talk to; raises ``CliError`` that says how to name one.

    A name is looked up in the state directory when that was given, else in the usual places and then in the default
    state directory. Without a name: the OS_* variables, OS_CLIENT_CONFIG_FILE, the default state directory, or the only cloud there is.
    """
    if state:
        path = Path(state) / "clouds.yaml"
        if not path.exists():
            raise CliError(f"There is no Higgins in {state}.", f"Start one with: script/up --state {state}")
        return _cloud(path, name or STATE_CLOUD, environ)
    if name:
        return _named(name, environ)
    if environ.get("OS_ENDPOINT") or environ.get("OS_AUTH_URL"):
        return _from_variables(environ)
    return _unnamed(environ)


def _named(name: str, environ: Mapping[str, str]) -> Cloud:
    seen = [path for path in _places(environ) if path.exists()]
    for path in seen:
        if name in _clouds(path):
            return _cloud(path, name, environ)
    looked = ", ".join(str(path) for path in seen) or "no clouds.yaml was found"
    raise CliError(f"There is no cloud named {name} ({looked}).", "Name one of them with --os-cloud or OS_CLOUD.")


def _unnamed(environ: Mapping[str, str]) -> Cloud:
    explicit = environ.get("OS_CLIENT_CONFIG_FILE")
    places = [Path(explicit)] if explicit else [default_state(environ) / "clouds.yaml", *_places(environ)]
    for path in places:
        clouds = _clouds(path) if path.exists() else {}
        if STATE_CLOUD in clouds:
            return _cloud(path, STATE_CLOUD, environ)
        if len(clouds) == 1:
            return _cloud(path, next(iter(clouds)), environ)
    raise CliError(
        "No cloud is named, and no Higgins runs on this machine.",
        "Start one with script/up, or name a cloud with --os-cloud (OS_CLOUD) or a state directory with --state (HIGGINS_STATE).",
    )


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or "~").expanduser()


def _places(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("OS_CLIENT_CONFIG_FILE"):
        yield Path(environ["OS_CLIENT_CONFIG_FILE"])
    config = Path(environ.get("XDG_CONFIG_HOME") or _home(environ) / ".config")
    for folder in (Path(), config / "openstack", Path("/etc/openstack")):
        yield folder / "clouds.yaml"
        yield folder / "clouds.yml"
    yield default_state(environ) / "clouds.yaml"


def _load(path: Path) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.load(path.read_text("utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except PermissionError as error:
        raise CliError(f"{path} may not be read by you.", "Run the command as the user who owns it.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise CliError(f"{path} is not proper YAML{where}.", "Correct the file.") from error
    clouds = document.get("clouds") if isinstance(document, dict) else None
    return {str(k): v for k, v in clouds.items() if isinstance(v, dict)} if isinstance(clouds, dict) else {}


def _clouds(path: Path) -> dict[str, Any]:
    """The clouds of a file, with what ``secure.yaml`` beside it adds to them."""
    clouds = _load(path)
    secure = path.with_name("secure.yaml")
    if secure.exists():
        for name, more in _load(secure).items():
            if name in clouds:
                auth = {**(clouds[name].get("auth") or {}), **(more.get("auth") or {})}
                clouds[name] = {**clouds[name], **more, "auth": auth}
    return clouds


def _cloud(path: Path, name: str, environ: Mapping[str, str]) -> Cloud:
    clouds = _clouds(path)
    if name not in clouds:
        known = ", ".join(sorted(clouds)) or "none"
        raise CliError(f"{path} has no cloud named {name}.", f"It has: {known}.")
    entry = clouds[name]
    auth = {str(k): str(v) for k, v in (entry.get("auth") or {}).items() if v is not None}
    if "password" not in auth and environ.get("OS_PASSWORD"):
        auth["password"] = environ["OS_PASSWORD"]
    region = environ.get("OS_REGION_NAME") or entry.get("region_name")
    interface = str(environ.get("OS_INTERFACE") or entry.get("interface") or "public")
    return Cloud(
        name=name,
        source=str(path),
        auth_type=str(entry.get("auth_type") or _guess(auth)),
        auth=auth,
        region=str(region) if region else None,
        interface=interface.removesuffix("URL"),
        endpoint=entry.get("container_endpoint_override"),
        trust=Trust(
            verify=_as_bool(entry.get("verify", True)),
            cacert=_path(entry.get("cacert")),
            cert=_path(entry.get("cert")),
            key=_path(entry.get("key")),
        ),
    )


def _from_variables(environ: Mapping[str, str]) -> Cloud:
    skip = {"OS_CLOUD", "OS_AUTH_TYPE", "OS_REGION_NAME", "OS_INTERFACE", "OS_CACERT", "OS_CERT", "OS_KEY"}
    auth = {k[3:].lower(): v for k, v in environ.items() if k.startswith("OS_") and k not in skip and v}
    return Cloud(
        name="envvars",
        source="the OS_* variables",
        auth_type=environ.get("OS_AUTH_TYPE") or _guess(auth),
        auth=auth,
        region=environ.get("OS_REGION_NAME") or None,
        interface=(environ.get("OS_INTERFACE") or "public").removesuffix("URL"),
        trust=Trust(
            verify=not _as_bool(environ.get("OS_INSECURE", "false")),
            cacert=_path(environ.get("OS_CACERT")),
            cert=_path(environ.get("OS_CERT")),
            key=_path(environ.get("OS_KEY")),
        ),
    )


def _guess(auth: Mapping[str, str]) -> str:
    if "auth_url" in auth:
        if "application_credential_secret" in auth:
            return "v3applicationcredential"
        return "token" if "token" in auth else "password"
    return "http_basic" if "username" in auth else "none"


def _as_bool(value: object) -> bool:
    return str(value).strip().lower() not in {"false", "no", "off", "0"}


def _path(value: object) -> str | None:
    return str(Path(str(value)).expanduser()) if value else None
