"""The kernel's links and the switch's rows in memory, as a host's ``Network`` asks for them; the switch may be away."""

from higgins.agent.hands.network import names
from higgins.core import errors


class Kernel:
    """Namespaces and links until the host goes down."""

    def __init__(self):
        self.paths, self.links = set(), {}

    def reboot(self):
        self.paths.clear()
        self.links.clear()

    def make_namespace(self, path):
        self.paths.add(path)

    def remove_namespace(self, path):
        self.paths.discard(path)

    def has_namespace(self, path):
        return path in self.paths

    def namespaces(self):
        return tuple(path.rsplit("/", 1)[-1] for path in self.paths)

    def make_pair(self, plug, tag, **words):
        self.links[names.outer(plug.port)] = tag

    def remove_link(self, name):
        self.links.pop(name, None)

    def has_link(self, name):
        return name in self.links

    def tags(self):
        return dict(self.links)

    def route_by(self, path, plugs, **words):
        pass


class Switch:
    """Rows that outlive the host's restart; ``refused`` ports it does not take, and while ``away`` it says nothing at all."""

    def __init__(self):
        self.rows, self.refused, self.away, self.tried = {}, set(), False, 0

    def _answer(self):
        if self.away:
            self.tried += 1
            raise errors.NotReady("Open vSwitch does not answer.")

    def plug(self, pod, plug, mark):
        self._answer()
        if plug.port in self.refused:
            self.tried += 1
            raise errors.NotReady(f"The host could not plug port {plug.port}.")
        self.rows[plug.port] = (mark, pod)

    def unplug(self, pod, plug):
        self._answer()
        self.rows.pop(plug.port, None)

    def has(self, port):
        self._answer()
        return port in self.rows

    def ports(self, mark):
        self._answer()
        return {port: pod for port, (of, pod) in self.rows.items() if of == mark}
