"""Secrets as canaries: put in everywhere a user, an operator or a host puts one, then looked for everywhere else; 0 may be found."""

from __future__ import annotations

import base64
import contextlib
import pathlib
import secrets
import stat
import urllib.parse

import pytest

from higgins.store import hosts, seal, session

pytestmark = pytest.mark.timeout(300)

OWNERS_ALONE = {"clouds.yaml", "agent/credential", "secret.key", "users.json"}
"""Files of the state directory that hold secrets by purpose; so does ``agent/files``."""


def canary(what):
    return f"canary-{what}-{secrets.token_hex(12)}"


def live_token(site):
    """What the control plane asks the agent with."""
    sealer = seal.Sealer(seal.load_or_create_key(site.state / "secret.key"))
    database = session.Database(f"sqlite:///{site.state / 'higgins.db'}")
    with contextlib.closing(database), database.read() as tx:
        return hosts.live(hosts.list(tx)[0], sealer)[1]


def live(site, planted):
    """Every way in: what works, what is refused, what fails on the host."""
    environment = {"TOKEN": planted["environment"], "FAKE_LOG": "started"}
    file = base64.b64encode(planted["injected file"].encode()).decode()
    registry = {
        "name": "private",
        "domain": "forbidden.example:5000",
        "username": "alice",
        "password": planted["registry password"],
    }
    made = site.request("POST", "/v1/registries", {"registry": registry})
    assert made.status == 201, made
    mounts = [{"type": "bind", "source": file, "destination": "/etc/secret"}]
    fine = site.create(name=planted["name"], environment=environment, mounts=mounts)
    site.reached(fine, "Running")
    private = site.create("image", registry=made.json["registry"]["uuid"], environment=environment)
    failed = site.create(environment=environment | {"FAKE_START_ERROR": "It cannot be started."}, mounts=mounts)
    site.reached(failed, "Error")
    site.reached(private, "Running")
    words = urllib.parse.urlencode({"command": f"echo {planted['command']}"})
    assert planted["command"] in site.request("POST", f"/v1/containers/{fine}/execute?{words}").text
    assert site.act(fine, "execute", command=f"nothing-such {planted['command']}").status == 400
    assert site.request("GET", f"/v1/containers/{fine}/top?ps_args={planted['command']}").status in (200, 400)
    wrong = {"image": "busybox", "environment": {"TOKEN": [planted["environment"]]}}
    assert site.request("POST", "/v1/containers", wrong).status == 400
    assert site.request("POST", "/v1/containers", raw=f'{{"x": "{planted["environment"]}'.encode()).status == 400
    assert site.request("POST", "/v1/registries", {"registry": registry | {"domain": 7}}).status == 400
    pair = base64.b64encode(f"demo:{planted['wrong password']}".encode()).decode()
    assert site.request("GET", "/v1/containers", headers={"Authorization": f"Basic {pair}"}).status == 401
    assert site.act(fine, "rebuild").status == 202
    site.reached(fine, "Running")
    for verb in ("stop", "start"):
        assert site.act(fine, verb, timeout=0).status == 202
        site.reached(fine, {"stop": "Stopped", "start": "Running"}[verb])
    return fine, private, failed, made.json["registry"]["uuid"]


def places(site, uids):
    """Everywhere that more people look than may know the secrets."""
    for path in site.state.rglob("*"):
        name = str(path.relative_to(site.state))
        if path.is_file() and name not in OWNERS_ALONE and not name.startswith("agent/files/"):
            yield name, path.read_bytes()
    for pid in site.processes():
        for part in ("cmdline", "environ"):
            yield f"/proc/{pid}/{part}", pathlib.Path(f"/proc/{pid}/{part}").read_bytes()
    for uid in uids:
        for path in ("", "/container_actions"):
            shown = site.admin("GET", f"/v1/containers/{uid}{path}?all_projects=true")
            if not path:
                shown = {key: value for key, value in shown.json.items() if key != "environment"}
            yield f"{uid}{path}", repr(shown).encode()
        for action in site.actions(uid):
            path = f"/v1/containers/{uid}/container_actions/{action['request_id']}"
            yield path, site.request("GET", path).text.encode()
    yield "registries", site.request("GET", "/v1/registries").text.encode()
    yield "metrics", site.admin("GET", "/metrics").text.encode()


def test_no_secret_is_seen_where_it_does_not_belong(site):
    planted = {
        what: canary(what.replace(" ", "-"))
        for what in ("environment", "registry password", "injected file", "command", "wrong password", "name")
    }
    *uids, registry = live(site, planted)
    known = {what: text for what, text in planted.items() if what != "name"}
    for user in ("demo", "admin"):
        account = site.account(user)
        known[f"password of {user}"] = account["password"]
        pair = f"{account['username']}:{account['password']}".encode()
        known[f"Authorization of {user}"] = base64.b64encode(pair).decode()
    known["host's credential"] = (site.state / "agent" / "credential").read_text().strip()
    known["live token"] = live_token(site)
    key = (site.state / "secret.key").read_bytes().strip()
    forms = {what: (text.encode(), base64.b64encode(text.encode())) for what, text in known.items()}
    forms["key"] = (key, base64.b64encode(key), key.hex().encode())
    searched, no_secret, found = 0, [], []
    for place, content in places(site, uids):
        searched += 1
        no_secret += [place] if planted["name"].encode() in content else []
        found += [f"{what} in {place}" for what, texts in forms.items() if any(text in content for text in texts)]
    assert searched > 20
    assert found == []
    assert {"higgins.db", "higgins.db-wal"} & set(no_secret), "the search finds nothing at all"
    assert site.request("DELETE", f"/v1/registries/{registry}").status == 204


def test_what_holds_secrets_is_for_its_owner_alone(site):
    for name in (*OWNERS_ALONE, "higgins.conf", "agent/journal.sqlite"):
        assert stat.S_IMODE((site.state / name).stat().st_mode) & 0o077 == 0, name
    for name in ("", "agent", "agent/files", "run", "log"):
        assert stat.S_IMODE((site.state / name).stat().st_mode) & 0o077 == 0, name
    assert {stat.S_IMODE(path.stat().st_mode) for path in (site.state / "run").glob("*.sock")} == {0o600}
