"""Network namespaces and pairs of links, by rtnetlink. It knows neither bridges nor containers.

A pair is made inside the namespace with its outer end outside, so that no link is moved, which takes the kernel long; who dies
before the outer end has its tag leaves a pair that goes with the namespace, or is known by the port that is wanted.
Nobody's namespace is changed: what must happen inside another one happens in a thread
of its own, which ends there.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from higgins.agent.hands.foreign import need_root, quiet_imports
from higgins.agent.hands.network import names, routes
from higgins.core import errors, model

LOG = logging.getLogger(__name__)
NEW_NETWORK = 0x40000000
BIND, SHARED, RECURSIVE, DETACH = 0x1000, 1 << 20, 0x4000, 2
NO_DUPLICATE_DETECTION = 2
SET_TX_CHECKSUM, ETHTOOL = 0x17, 0x8946
LIBC = ctypes.CDLL(None, use_errno=True)
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
Result = TypeVar("Result")


def make_namespace(path: str) -> None:
    """A namespace with nothing but ``lo``, up; nothing happens when it is there."""
    need_root("plug networks")
    if has_namespace(path):
        return
    _share_folder()
    Path(path).touch()

    def work() -> None:
        _checked(LIBC.mount(b"/proc/thread-self/ns/net", path.encode(), b"none", BIND, None), "keep a namespace")
        with _netlink() as ip:
            ip.link("set", index=1, state="up")

    _inside(None, work)


def remove_namespace(path: str) -> None:
    """Take it away; links in it go with it once no process is inside. Nothing happens when it is not there."""
    if has_namespace(path):
        LIBC.umount2(path.encode(), DETACH)
    Path(path).unlink(missing_ok=True)


def has_namespace(path: str) -> bool:
    """Whether a namespace is at that path, not just the file that one was mounted on."""
    try:
        return os.stat(path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except FileNotFoundError:
        return False


def namespaces() -> tuple[str, ...]:
    """Names of what is where namespaces are kept."""
    try:
        return tuple(os.listdir(names.NAMESPACES))
    except FileNotFoundError:
        return ()


def make_pair(plug: model.Plug, tag: names.Tag, *, inside: str | None, among: Sequence[model.Plug] = ()) -> None:
    """A pair of links for a port, the outer end up on the host; the other in the namespace ``inside``, or on the host for an engine to take.

    In a namespace it is the next ``ethN``, up, with its addresses and those routes that it has ``among`` the pod's ports.
    """
    host = os.open("/proc/self/ns/net", os.O_RDONLY)
    outer = names.outer(plug.port)

    def work() -> None:
        with _netlink() as ip:
            inner = _next_name() if inside else names.inner(plug.port)
            peer = {"ifname": outer, "mtu": plug.mtu, "net_ns_fd": host}
            ip.link("add", ifname=inner, kind="veth", address=plug.mac, mtu=plug.mtu, peer=peer)
            if plug.datapath_type == "netdev":  # such a switch passes packets on as they are, without sums
                _compute_sums_in_software(inner)
            if inside:
                _set_up(ip, _index(inner), inner, plug)
                _add_routes(ip, among, _links(ip) if len(among) > 1 else {plug.mac: _index(inner)})

    try:
        if inside:
            _inside(inside, work)
        else:
            work()
    finally:
        os.close(host)
    with _netlink() as ip:
        ip.link("set", index=_index(outer), ifalias=tag.alias(), state="up")


def remove_link(name: str) -> None:
    """Take a link of the host away, and its other end wherever that is; nothing happens when it is not there."""
    if has_link(name):
        with _netlink() as ip:
            ip.link("del", index=_index(name))


def tags() -> dict[str, names.Tag]:
    """The tags of all links of the host that have one, by the link's name."""
    if not any(name.startswith("tap") for _, name in socket.if_nameindex()):
        return {}  # without loading anything
    with _netlink() as ip:
        found = {link.get_attr("IFLA_IFNAME"): names.tag_of(link.get_attr("IFLA_IFALIAS")) for link in ip.get_links()}
    return {name: tag for name, tag in found.items() if tag}


def has_link(name: str) -> bool:
    """Whether the host itself, not one of its namespaces, has a link of that name."""
    try:
        socket.if_nametoindex(name)
    except OSError:
        return False
    return True


def route_by(path: str, plugs: Sequence[model.Plug], *, leaving: str | None = None) -> None:
    """Give a namespace those routes of its ports that it lacks; to a destination that it has a route to nothing is changed, whoever made that.

    The inner end of the link ``leaving`` goes down first, and with it every route by it.
    """
    ends = _ends(leaving) if leaving and has_link(leaving) else None

    def work() -> None:
        with _netlink() as ip:
            if ends:
                found = {link["index"]: link.get_attr("IFLA_LINK") for link in ip.get_links()}
                if found.get(ends[1]) == ends[0]:
                    ip.link("set", index=ends[1], state="down")
            _add_routes(ip, plugs, _links(ip))

    _inside(path, work)


def _links(ip: Any) -> dict[str, int]:
    return {link.get_attr("IFLA_ADDRESS"): link["index"] for link in ip.get_links() if link["state"] == "up"}


def _add_routes(ip: Any, plugs: Sequence[model.Plug], links: Mapping[str, int]) -> None:
    there = {plug.port: links[plug.mac] for plug in plugs if plug.mac in links}
    for route in routes.table(plug for plug in plugs if plug.port in there):
        _add_route(ip, route, there[route.port])


def _add_route(ip: Any, route: routes.Route, index: int) -> None:
    from pyroute2 import NetlinkError

    via = {"gateway": route.hop} if route.hop else {}
    try:
        ip.route("add", dst=route.destination, oif=index, family=FAMILIES[route.version], **via)
    except NetlinkError as refused:
        if refused.code == errno.EEXIST:
            return
        if route.is_default:
            raise
        LOG.warning("Port %s goes without the route to %s: %s", route.port, route.destination, refused)


def _ends(outer: str) -> tuple[int, int]:
    """The indices of a pair's ends, each in its own namespace: the inner one's link is the outer, and the other way round."""
    with _netlink() as ip:
        [link] = ip.get_links(_index(outer))
    return link["index"], link.get_attr("IFLA_LINK")


def _set_up(ip: Any, index: int, name: str, plug: model.Plug) -> None:
    with contextlib.suppress(OSError):  # a kernel without IPv6
        Path(f"/proc/sys/net/ipv6/conf/{name}/accept_ra").write_text("0")
    ip.link("set", index=index, state="up")
    for fixed in plug.fixed_ips:
        words: dict[str, Any] = {"flags": NO_DUPLICATE_DETECTION} if fixed.version == 6 else {}
        ip.addr("add", index=index, address=fixed.addr, prefixlen=fixed.prefix_length, **words)


def _next_name() -> str:
    taken = {name for _, name in socket.if_nameindex()}
    return next(name for place in range(len(taken) + 1) if (name := f"eth{place}") not in taken)


def _index(name: str) -> int:
    # Asked of the kernel by name: pyroute2 would have it tell every link of the namespace, and read each.
    try:
        return socket.if_nametoindex(name)
    except OSError as gone:
        raise errors.NotReady(f"The link {name} vanished from this host meanwhile.") from gone


def _compute_sums_in_software(name: str) -> None:
    value = ctypes.create_string_buffer(struct.pack("=II", SET_TX_CHECKSUM, 0))
    request = struct.pack("16sP", name.encode(), ctypes.addressof(value)).ljust(40, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        fcntl.ioctl(handle, ETHTOOL, request)


def _share_folder() -> None:
    """As ``ip netns`` does: else a process with mounts of its own would keep a namespace that was taken away here."""
    folder = names.NAMESPACES.encode()
    os.makedirs(names.NAMESPACES, mode=0o755, exist_ok=True)
    if LIBC.mount(b"", folder, b"none", SHARED | RECURSIVE, None) != 0:
        _checked(LIBC.mount(folder, folder, b"none", BIND | RECURSIVE, None), "keep namespaces")
        _checked(LIBC.mount(b"", folder, b"none", SHARED | RECURSIVE, None), "keep namespaces")


def _inside(path: str | None, work: Callable[[], Result]) -> Result:
    """Do something in a namespace, a new one when no path is given."""
    outcome: list[Result | BaseException] = []

    def enter() -> None:
        try:
            if path is None:
                _checked(LIBC.unshare(NEW_NETWORK), "make a namespace")
            else:
                with _opened(path) as handle:
                    _checked(LIBC.setns(handle.fileno(), NEW_NETWORK), "enter a namespace")
            outcome.append(work())
        except BaseException as error:  # noqa: BLE001  raised again by who waits
            outcome.append(error)

    thread = threading.Thread(target=enter, name="namespace")
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as gone:
        raise errors.NotReady(f"The namespace {path} vanished from this host meanwhile.") from gone


def _checked(answer: int, what: str) -> None:
    if answer != 0:
        number = ctypes.get_errno()
        raise errors.NotReady(f"The kernel of this host does not let the agent {what}: {os.strerror(number)}.")


@contextlib.contextmanager
def _netlink() -> Iterator[Any]:
    with quiet_imports("plug networks"):
        from pyroute2 import IPRoute, NetlinkError
    try:
        with IPRoute() as ip:
            yield ip
    except NetlinkError as refused:
        raise errors.NotReady(f"The kernel of this host refused to plug a network: {refused}.") from refused
