"""Opens an engine by its name and address, and looks for one on this machine. Knows no driver by name."""

from __future__ import annotations

import importlib.metadata
import os
import pathlib
import typing

from higgins.core import errors
from higgins.engine import api

GROUP = "higgins.engines"


def known() -> tuple[str, ...]:
    """Names of the engines that have a driver here, sorted."""
    return tuple(sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)}))


def open_engine(name: str, address: str) -> api.Engine:
    """The driver ``name`` for the engine at ``address``; makes no call. ``Invalid`` for a name that has no driver."""
    for entry in importlib.metadata.entry_points(group=GROUP, name=name):
        return typing.cast("api.OpenEngine", entry.load())(address)
    raise errors.Invalid(f"There is no engine called '{name}' here. Use one of: {', '.join(known())}.")


def candidates(uid: int, runtime_dir: str) -> tuple[tuple[str, str], ...]:
    """Engine names and usual socket paths for a user, best first."""
    own = (
        (("podman", f"{runtime_dir}/podman/podman.sock"), ("docker", f"{runtime_dir}/docker.sock"))
        if runtime_dir
        else ()
    )
    system = (("podman", "/run/podman/podman.sock"), ("docker", "/run/docker.sock"), ("docker", "/var/run/docker.sock"))
    found = system if uid == 0 else (*own, *system)
    return tuple(sorted(found, key=lambda pair: pair[0] != "podman"))


def find(installation: str = "") -> tuple[str, str]:
    """Name and address of the best engine that this user can reach now; ``Unavailable`` when none answers."""
    tried = []
    for name, path in candidates(os.getuid(), os.environ.get("XDG_RUNTIME_DIR", "")):
        if not pathlib.Path(path).is_socket() or not os.access(path, os.W_OK):
            continue
        address = f"unix://{path}" + (f"?installation={installation}" if installation else "")
        engine = open_engine(name, address)
        try:
            engine.info()
        except errors.HigginsError as problem:
            tried.append(problem.message)
            continue
        finally:
            engine.close()
        return name, address
    raise errors.Unavailable(
        " ".join(tried)
        or "No container engine answers on this machine. Start podman (podman system service) or docker, or name its socket."
    )
