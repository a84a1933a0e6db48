"""Actions that change what is wished of a container; each answers at once, the host follows."""

from __future__ import annotations

from typing import Any

from higgins.api.route import Call, Route
from higgins.api.routes.containers import change_of
from higgins.api.routes.shown import Shown, one_schema
from higgins.api.schema import actions as arguments
from higgins.api.schema import container as schema
from higgins.api.schema.table import Version
from higgins.api.view import containers as view


def start(call: Call) -> None:
    call.control.containers.start(call.caller, call.ident)


def stop(call: Call) -> None:
    call.control.containers.stop(call.caller, call.ident, timeout_s=call.args.get("timeout"))


def reboot(call: Call) -> None:
    call.control.containers.reboot(call.caller, call.ident, timeout_s=call.args.get("timeout"))


def pause(call: Call) -> None:
    call.control.containers.pause(call.caller, call.ident)


def unpause(call: Call) -> None:
    call.control.containers.unpause(call.caller, call.ident)


def kill(call: Call) -> None:
    call.control.containers.kill(call.caller, call.ident, signal=call.args.get("signal"))


def rebuild(call: Call) -> None:
    image, driver = call.args.get("image"), call.args.get("image_driver")
    call.control.containers.rebuild(call.caller, call.ident, image=image, image_driver=driver)


def rename(call: Call) -> dict[str, Any]:
    return Shown(call).one(call.control.containers.rename(call.caller, call.ident, call.args["name"]))


def resize_container(call: Call) -> dict[str, Any]:
    return Shown(call).one(call.control.containers.resize(call.caller, call.ident, change_of(call)))


def network_attach(call: Call) -> None:
    args = {name: call.args.get(name) for name in ("network", "port", "fixed_ip")}
    call.control.containers.network_attach(call.caller, call.ident, **args)


def network_detach(call: Call) -> None:
    network, port = call.args.get("network"), call.args.get("port")
    call.control.containers.network_detach(call.caller, call.ident, network=network, port=port)


def network_list(call: Call) -> dict[str, Any]:
    pod = call.control.containers.network_list(call.caller, call.ident)
    return {"networks": view.networks(pod, flat=call.version < (1, 18))}


def add_security_group(call: Call) -> None:
    call.control.containers.add_security_group(call.caller, call.ident, call.args["name"])


def remove_security_group(call: Call) -> None:
    call.control.containers.remove_security_group(call.caller, call.ident, call.args["name"])


def _networks_schema(version: Version) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"networks": {"type": "array", "items": {"type": "object"}}},
        "required": ["networks"],
    }


_AT = "/v1/containers/{ident}/"

ROUTES = (
    Route("POST", _AT + "start", start, "Start a container.", status=202, args=schema.ANYTHING, merged=True),
    Route("POST", _AT + "stop", stop, "Stop a container.", status=202, args=arguments.TIMEOUT, merged=True),
    Route("POST", _AT + "reboot", reboot, "Stop and start a container.", status=202, args=arguments.TIMEOUT, merged=True),
    Route("POST", _AT + "pause", pause, "Freeze a container.", status=202, args=schema.ANYTHING, merged=True),
    Route("POST", _AT + "unpause", unpause, "Thaw a container.", status=202, args=schema.ANYTHING, merged=True),
    Route("POST", _AT + "kill", kill, "Send a signal to a container.", status=202, args=arguments.KILL, merged=True),
    Route("POST", _AT + "rebuild", rebuild, "Make a container anew from its image, or another.", status=202, args=schema.REBUILD, merged=True),
    Route("POST", _AT + "rename", rename, "Give a container another name.", args=arguments.RENAME, merged=True,
          until=(1, 13), reply=one_schema),
    Route("POST", _AT + "resize_container", resize_container, "Change a container's limits.", status=202,
          args=schema.UPDATE, merged=True, since=(1, 19), reply=one_schema),
    Route("POST", _AT + "network_attach", network_attach, "Attach a network.", args=arguments.NETWORK_ATTACH, merged=True, since=(1, 8)),
    Route("POST", _AT + "network_detach", network_detach, "Detach a network.", status=202, args=arguments.NETWORK_DETACH, merged=True,
          since=(1, 6)),
    Route("GET", _AT + "network_list", network_list, "List a container's networks.", args=schema.NOTHING, since=(1, 13),
          reply=_networks_schema),
    Route("POST", _AT + "add_security_group", add_security_group, "Add a security group.", status=202,
          args=arguments.SECURITY_GROUP, merged=True, until=(1, 14)),
    Route("POST", _AT + "remove_security_group", remove_security_group, "Remove a security group.", status=202,
          args=arguments.SECURITY_GROUP, merged=True, until=(1, 14)),
)  # fmt: skip
