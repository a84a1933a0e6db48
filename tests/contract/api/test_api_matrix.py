"""Every route tried by every persona, against a table written by hand: a route that the table does not have fails the test."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil

import pytest
from falcon import testing

from higgins.api.app import make_app
from higgins.api.identity.noauth import NoAuth
from higgins.api.metrics import Metrics
from higgins.api.route import PUBLIC_PATHS
from higgins.api.routes import ROUTES
from higgins.api.routes.public import public_routes
from higgins.core import errors
from higgins.core.phase import Phase
from tests.contract.api.api_world import World

PERSONAS = ("nobody", "reader", "member", "manager", "admin", "service", "stranger", "roleless")
MARKS = {401: "?", 403: "-", 404: "0"}
"""``?`` say who you are, ``-`` forbidden, ``0`` not there for you, ``+`` allowed. A stranger is a member of another project."""

PUBLIC = "++++++++"
READ = "?++++-0-"
WRITE = "?-+++-0-"
OPERATE = "?---+---"
OWN_LIST = "?++++-+-"
C = "/v1/containers/{ident}"

TABLE = {
    ("GET", "/"): PUBLIC,
    ("GET", "/v1"): PUBLIC,
    ("GET", "/v1/openapi.json"): PUBLIC,
    ("GET", "/healthcheck"): PUBLIC,
    ("HEAD", "/healthcheck"): PUBLIC,
    ("GET", "/metrics"): PUBLIC,
    ("POST", "/v1/containers"): "?-+++-+-",
    ("GET", "/v1/containers"): OWN_LIST,
    ("GET", C): READ,
    ("PATCH", C): WRITE,
    ("DELETE", C): WRITE,
    ("POST", f"{C}/start"): WRITE,
    ("POST", f"{C}/stop"): WRITE,
    ("POST", f"{C}/reboot"): WRITE,
    ("POST", f"{C}/pause"): WRITE,
    ("POST", f"{C}/unpause"): WRITE,
    ("POST", f"{C}/kill"): WRITE,
    ("POST", f"{C}/rebuild"): WRITE,
    ("POST", f"{C}/rename"): WRITE,
    ("POST", f"{C}/resize_container"): WRITE,
    ("POST", f"{C}/network_attach"): WRITE,
    ("POST", f"{C}/network_detach"): WRITE,
    ("GET", f"{C}/network_list"): READ,
    ("POST", f"{C}/add_security_group"): WRITE,
    ("POST", f"{C}/remove_security_group"): WRITE,
    ("GET", f"{C}/logs"): READ,
    ("POST", f"{C}/execute"): WRITE,
    ("POST", f"{C}/execute_resize"): WRITE,
    ("GET", f"{C}/attach"): WRITE,
    ("POST", f"{C}/resize"): WRITE,
    ("GET", f"{C}/top"): READ,
    ("GET", f"{C}/stats"): READ,
    ("GET", f"{C}/get_archive"): WRITE,
    ("POST", f"{C}/put_archive"): WRITE,
    ("POST", f"{C}/commit"): WRITE,
    ("GET", f"{C}/container_actions"): READ,
    ("GET", f"{C}/container_actions/{{request_id}}"): READ,
    ("GET", f"{C}/events"): READ,
    ("POST", "/v1/images"): OPERATE,
    ("GET", "/v1/images"): OPERATE,
    ("GET", "/v1/images/{ident}"): OPERATE,
    ("DELETE", "/v1/images/{ident}"): OPERATE,
    ("GET", "/v1/images/{ident}/search"): OWN_LIST,
    ("GET", "/v1/hosts"): OPERATE,
    ("GET", "/v1/hosts/{ident}"): OPERATE,
    ("GET", "/v1/services"): OPERATE,
    ("DELETE", "/v1/services"): OPERATE,
    ("PUT", "/v1/services/enable"): OPERATE,
    ("PUT", "/v1/services/disable"): OPERATE,
    ("PUT", "/v1/services/force_down"): OPERATE,
    ("GET", "/v1/availability_zones"): OWN_LIST,
    ("POST", "/v1/networks"): OPERATE,
    ("DELETE", "/v1/networks/{ident}"): OPERATE,
    ("GET", "/v1/quotas"): "?++++++-",
    ("GET", "/v1/quotas/{ident}"): "?+++++--",
    ("PUT", "/v1/quotas/{ident}"): OPERATE,
    ("DELETE", "/v1/quotas/{ident}"): OPERATE,
    ("GET", "/v1/quotas/{ident}/defaults"): "?+++++--",
    ("GET", "/v1/quota_classes/{ident}"): OPERATE,
    ("PUT", "/v1/quota_classes/{ident}"): OPERATE,
    ("POST", "/v1/registries"): "?-+++-+-",
    ("GET", "/v1/registries"): OWN_LIST,
    ("GET", "/v1/registries/{ident}"): READ,
    ("PATCH", "/v1/registries/{ident}"): WRITE,
    ("DELETE", "/v1/registries/{ident}"): WRITE,
}

PHASES = {"start": Phase.STOPPED, "unpause": Phase.PAUSED}
ARGUMENTS = {
    ("POST", "/v1/containers"): ("", {"image": "nginx"}),
    ("PATCH", C): ("", {"name": "other"}),
    ("DELETE", C): ("?stop=true", None),
    ("POST", f"{C}/rename"): ("?name=other", None),
    ("POST", f"{C}/resize_container"): ("", {"cpu": 1}),
    ("POST", f"{C}/network_attach"): ("?network=bridge", None),
    ("POST", f"{C}/network_detach"): ("?network=bridge", None),
    ("POST", f"{C}/add_security_group"): ("?name=web", None),
    ("POST", f"{C}/remove_security_group"): ("?name=web", None),
    ("POST", f"{C}/execute"): ("?command=ls", None),
    ("POST", f"{C}/execute_resize"): (f"?exec_id={'a' * 64}&h=1&w=1", None),
    ("POST", f"{C}/resize"): ("?h=1&w=1", None),
    ("GET", f"{C}/get_archive"): ("?path=/etc", None),
    ("POST", f"{C}/put_archive"): ("?path=/etc", {"data": "AAAA"}),
    ("POST", f"{C}/commit"): ("?repository=mine", None),
    ("POST", "/v1/images"): ("", {"repo": "redis", "host": "h1"}),
    ("PUT", "/v1/services/enable"): ("?host=h1&binary=zun-compute", None),
    ("PUT", "/v1/services/disable"): ("?host=h1&binary=zun-compute", None),
    ("PUT", "/v1/services/force_down"): ("?host=h1&binary=zun-compute&forced_down=false", None),
    ("DELETE", "/v1/services"): ("?host=spare&binary=zun-compute", None),
    ("POST", "/v1/networks"): ("", {"name": "bridge"}),
    ("PUT", "/v1/quotas/{ident}"): ("", {"cpu": 20}),
    ("PUT", "/v1/quota_classes/{ident}"): ("", {"cpu": 20}),
    ("POST", "/v1/registries"): ("", {"registry": {"domain": "r.example"}}),
    ("PATCH", "/v1/registries/{ident}"): ("", {"registry": {"username": "me"}}),
}


class StrictNoAuth(NoAuth):
    """As noauth, but one who says nothing of himself is nobody."""

    def identify(self, environ, request_id):
        if "HTTP_X_USER_ID" not in environ:
            raise errors.Unauthorized("Say who you are.")
        return super().identify(environ, request_id)


@dataclasses.dataclass
class Things:
    """One thing of each kind, of project p1, made anew for each try."""

    world: object
    route: object

    def ident(self):
        world, path = self.world, self.route.path
        if path.startswith(C):
            action = path.rpartition("/")[2]
            made = world.create(phase=PHASES.get(action, Phase.RUNNING), tty=True, interactive=True)
            return made["uuid"]
        if path.startswith("/v1/images/"):
            if path.endswith("search"):
                return "nginx"
            body = {"repo": f"image-{next(world.numbers)}", "host": "h1"}
            return world.call("POST", "/v1/images", body, persona="admin").json["uuid"]
        if path.startswith("/v1/registries/"):
            body = {"registry": {"domain": "r.example"}}
            return world.call("POST", "/v1/registries", body).json["registry"]["uuid"]
        if path.startswith("/v1/networks/"):
            made = world.call("POST", "/v1/networks", {"name": "bridge"}, persona="admin")
            if made.status == 200:
                world.network = made.json["neutron_net_id"]
            return world.network  # the record of an earlier try, when nobody has deleted it
        return {"/v1/hosts/{ident}": "h1", "/v1/quota_classes/{ident}": "default"}.get(path, "p1")

    def prepare(self):
        """The path with things in the place of its fields."""
        if self.route.path == "/v1/services":
            self.world._add_host("spare")
        path = self.route.path
        if "{ident}" in path:
            ident = self.ident()
            path = path.replace("{ident}", ident)
            if "{request_id}" in path:
                found = self.world.call("GET", f"/v1/containers/{ident}/container_actions").json["containerActions"]
                path = path.replace("{request_id}", found[0]["request_id"])
        return path


def attempt(world, route, persona):
    """The mark of one persona at one route."""
    path = Things(world, route).prepare()
    query, body = ARGUMENTS.get((route.method, route.path), ("", None))
    version = f"1.{route.until[1]}"
    answer = world.call(route.method, path + query, body, persona=persona, version=version)
    if answer.status == 200 and (route.method, route.path) == ("POST", "/v1/networks"):
        world.call("DELETE", f"/v1/networks/{answer.json['neutron_net_id']}", persona="admin")
    assert answer.status < 500, answer.text
    return MARKS.get(answer.status, "+")


@pytest.fixture
def strict(world):
    for resource in ("containers", "cpu", "memory", "disk"):
        world.call("PUT", "/v1/quotas/p1", {resource: -1}, persona="admin")
    world.client = testing.TestClient(make_app(world.control, StrictNoAuth()))
    return world


def test_every_route_for_every_persona(strict, record_property):
    routes = (*ROUTES, *public_routes(Metrics(), lambda: None, ROUTES))
    missing = {(route.method, route.path) for route in routes} ^ TABLE.keys()
    assert not missing, f"routes without an expectation, or expectations without a route: {sorted(missing)}"
    print(f"{'route':64}" + " ".join(f"{name:>8}" for name in PERSONAS))
    wrong = []
    for route in routes:
        found = "".join(attempt(strict, route, persona) for persona in PERSONAS)
        print(f"{route.method:7}{route.path:57}" + " ".join(f"{mark:>8}" for mark in found))
        if found != TABLE[route.method, route.path]:
            wrong.append(f"{route.method} {route.path}: {found} instead of {TABLE[route.method, route.path]}")
    counted = f"{len(routes)} routes x {len(PERSONAS)} personas: {len(routes) * len(PERSONAS)} tried"
    record_property("routes and personas", f"{counted}, {len(missing)} gaps, {len(wrong)} routes with other answers")
    assert not wrong, "\n".join(wrong)


def test_only_public_paths_are_open():
    assert {path for (_, path), marks in TABLE.items() if marks == PUBLIC} == PUBLIC_PATHS


def test_an_administrator_reaches_names_of_other_projects_only_when_he_says_so(world):
    made = world.create(name="web")
    assert world.call("GET", f"/v1/containers/{made['uuid']}", persona="admin").status == 200
    assert world.call("GET", "/v1/containers/web?all_projects=true", persona="admin").status == 200
    assert world.call("GET", "/v1/containers/web?all_projects=true", persona="stranger").status == 403


SEEN = {"reader": set(), "member": {"environment"}, "manager": {"environment"},
        "admin": {"environment", "host", "runtime", "image_pull_policy", "privileged"}}  # fmt: skip
"""What of a container of p1 only some of those who may read it see."""


@pytest.mark.parametrize("persona", SEEN)
def test_secrets_and_hosts_are_shown_to_whom_they_are_meant_for(world, persona):
    uuid = world.create(environment={"PASSWORD": "canary"})["uuid"]
    shown = world.call("GET", f"{C}".format(ident=uuid), persona=persona).json
    everywhere = "?all_projects=true" if persona == "admin" else ""
    listed = world.call("GET", f"/v1/containers{everywhere}", persona=persona).json["containers"][0]
    for found in (shown, listed):
        assert found["uuid"] == uuid
        assert {name for name in SEEN["admin"] if name in found} == SEEN[persona]


def test_whoever_may_read_all_projects_gets_no_environments_with_that(tmp_path, migrated):
    """The rules of a field are asked for the project that the container is of, not for the caller's own."""
    rules = tmp_path / "policy.yaml"
    rules.write_text(
        "'container:get_one': 'role:service'\n'container:get_one_all_projects': 'role:service'\n"
        "'container:get_all': 'role:service'\n'container:get_all_all_projects': 'role:service'\n"
    )
    shutil.copyfile(migrated, tmp_path / "higgins.db")
    who = {"X-User-Id": "u", "X-Project-Id": "services", "X-Roles": "service,member"}
    with contextlib.closing(World(tmp_path, str(rules))) as world:
        made = world.call("POST", "/v1/containers", {"image": "nginx", "environment": {"PASSWORD": "canary"}})
        for path in (made.headers["location"].partition("/v1/")[2], "containers?all_projects=true"):
            found = world.call("GET", f"/v1/{path}", headers=who)
            assert found.status == 200
            assert "nginx" in found.text
            assert "canary" not in found.text


@pytest.mark.parametrize("key", ["host", "host_id", "host_version"])
def test_lists_are_not_sorted_by_what_is_not_shown(world, key):
    assert world.call("GET", f"/v1/containers?sort_key={key}").status == 403
    assert world.call("GET", f"/v1/containers?sort_key={key}", persona="admin").status == 200
