"""The OpenAPI document: that it is one, that it is complete, and that the app keeps what it says under generated requests."""

from __future__ import annotations

import os
import shutil

import hypothesis
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import strategies
from schemathesis import GenerationMode, checks

from higgins.api.metrics import Metrics
from higgins.api.route import PUBLIC_PATHS
from higgins.api.routes import ROUTES
from higgins.api.routes.public import public_routes
from higgins.api.schema.openapi import document
from higgins.core.phase import Phase
from higgins.store.quotas import Limits
from tests.contract.api.api_world import PERSONAS, World

EVERYTHING = (*ROUTES, *public_routes(Metrics(), lambda: None, ROUTES))
EXAMPLES = int(os.environ.get("HIGGINS_FUZZ_EXAMPLES", "4"))
"""Few, so that the tier stays quick; a night run sets many."""
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def operations():
    """Each operation of the newest version, and those of older ones that it has no more."""
    seen = set()
    for version in ((1, 41), (1, 13)):
        schema = schemathesis.openapi.from_dict(document(EVERYTHING, version))
        for found in schema.get_all_operations():
            operation = found.ok()
            if (operation.method, operation.path) not in seen:
                seen.add((operation.method, operation.path))
                yield pytest.param(operation, f"1.{version[1]}", id=f"{operation.method.upper()} {operation.path}")


@pytest.fixture
def busy(tmp_path, migrated):
    """A world without quotas, with one container in each of the usual states."""
    shutil.copyfile(migrated, tmp_path / "higgins.db")
    world = World(tmp_path, quota=Limits(containers=-1, cpu=-1, memory=-1, disk=-1))
    yield world
    world.close()


def idents(world, path):
    """What may stand in a path, so that requests get past "not found"."""
    if path.startswith("/v1/containers/"):
        phases = (Phase.RUNNING, Phase.STOPPED, Phase.PAUSED, Phase.FAILED)
        return [world.create(phase=phase, tty=True, name=f"name-{phase}")["uuid"] for phase in phases] + [
            "name-running"
        ]
    if path.startswith("/v1/registries/"):
        made = world.call("POST", "/v1/registries", {"registry": {"domain": "r.example", "name": "mine"}})
        return [made.json["registry"]["uuid"], "mine"]
    if path.startswith("/v1/images/"):
        made = world.call("POST", "/v1/images", {"repo": "nginx", "host": "h1"}, persona="admin")
        return [made.json["uuid"], "nginx"]
    return ["h1", "default", "p1"]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fit", "unfit"])
@pytest.mark.parametrize(("operation", "version"), list(operations()))
def test_the_app_keeps_its_document(busy, operation, version, mode):
    known = strategies.sampled_from([*idents(busy, operation.path), None])

    @hypothesis.settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[
            hypothesis.Phase.generate
        ],  # the world changes with every request, so that shrinking would chase ghosts
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode), ident=known)
    def holds(case, ident):
        if ident is not None and "ident" in (case.path_parameters or {}):
            case.path_parameters["ident"] = ident
        # The document holds for its own version only, so that header is not varied.
        case.headers = {**PERSONAS["admin"], "OpenStack-API-Version": f"container {version}"}
        answer = case.call(app=busy.app)
        case.validate_response(answer, checks=CHECKS)

    try:
        holds()
    except hypothesis.errors.Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "nothing fits the document"


@pytest.mark.parametrize("version", [(1, 1), (1, 20), (1, 41)])
def test_every_route_of_a_version_is_in_its_document_and_no_other(version):
    found = {
        (method.upper(), path) for path, methods in document(EVERYTHING, version)["paths"].items() for method in methods
    }
    assert found == {
        (route.method, route.path) for route in EVERYTHING if route.speaks(version) and route.method != "HEAD"
    }


def test_names_of_operations_are_unique():
    names = [
        operation["operationId"]
        for methods in document(EVERYTHING, (1, 41))["paths"].values()
        for operation in methods.values()
    ]
    assert len(names) == len(set(names))


def test_every_schema_in_the_document_is_a_schema():
    def schemas(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key == "schema":
                    yield value
                yield from schemas(value)
        elif isinstance(node, list):
            for value in node:
                yield from schemas(value)

    found = [schema for schema in schemas(document(EVERYTHING, (1, 41))) if "$ref" not in schema]
    assert len(found) > len(EVERYTHING)
    for schema in found:
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_the_document_is_public_and_of_the_version_asked_for(world):
    newest = world.call("GET", "/v1/openapi.json", persona="nobody").json
    assert (newest["openapi"], newest["info"]["version"]) == ("3.1.0", "1.41")
    older = world.call("GET", "/v1/openapi.json?microversion=1.13", persona="nobody").json
    assert "/v1/containers/{ident}/rename" in older["paths"]
    assert world.call("GET", "/v1/openapi.json?microversion=1.99").status == 400
    open_paths = {
        path
        for path, methods in newest["paths"].items()
        if all(operation.get("security") == [] for operation in methods.values())
    }
    assert open_paths == PUBLIC_PATHS


def test_fields_carry_their_words(world):
    create = world.call("GET", "/v1/openapi.json").json["paths"]["/v1/containers"]["post"]
    body = create["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["image"]
    assert body["properties"]["image"]["description"] == "A string of 2 to 255 characters."
    assert create["x-openstack"] == {"min-ver": "1.1", "max-ver": "1.41"}
