"""Which cloud is talked to, as whom, and what is said when that does not work."""

import datetime
import http.server
import json
import os
import socket
import stat
import threading

import pytest

from higgins.cli.client.cloud import find_cloud
from higgins.cli.errors import CliError
from tests.contract.cli_alone.cli_double import PASSWORD, USER, CloudDouble, clouds_yaml


class KeystoneDouble:
    """A Keystone v3 that gives tokens for one password, one application credential and one other token."""

    def __init__(self, catalog):
        self.catalog, self.asked, self.given = catalog, [], []
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                double.asked.append((self.path, body))
                status, reply, headers = double.answer(self.path, body)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(json.dumps(reply).encode())

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/identity"

    def answer(self, path, body):
        if path != "/identity/v3/auth/tokens":
            return 404, {"error": {"message": "not here"}}, {}
        identity = body["auth"]["identity"]
        known = (
            identity.get("password", {}).get("user", {}).get("password") == PASSWORD
            or identity.get("application_credential", {}).get("secret") == PASSWORD
            or identity.get("token", {}).get("id") == "other"
        )
        if not known:
            return 401, {"error": {"message": "The request you have made requires authentication."}}, {}
        self.given.append(f"token-{len(self.given)}")
        expires = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        token = {"expires_at": expires, "project": {"id": "p1"}, "catalog": self.catalog}
        return 201, {"token": token}, {"X-Subject-Token": self.given[-1]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def endpoints(url, kind="container"):
    one = {"interface": "public", "region_id": "one", "url": url}
    other = {"interface": "public", "region_id": "two", "url": "http://127.0.0.1:1/v1"}
    inner = {"interface": "internal", "region_id": "one", "url": "http://127.0.0.1:1/v1"}
    return [{"type": "image", "endpoints": [other]}, {"type": kind, "endpoints": [inner, other, one]}]


@pytest.fixture
def keystone(cloud):
    double = KeystoneDouble(endpoints(cloud.url))
    cloud.tokens = set()
    issue = double.answer

    def answer(path, body):
        status, reply, headers = issue(path, body)
        cloud.tokens |= set(headers.values())
        return status, reply, headers

    double.answer = answer
    yield double
    double.close()


PASSWORD_AUTH = {
    "username": USER, "password": PASSWORD, "user_domain_name": "Default", "project_name": "demo", "project_domain_id": "default",
}  # fmt: skip


def write(state, keystone, auth, **more):
    entry = {"auth_type": "password", "region_name": "one", "auth": {"auth_url": keystone.url, **auth}, **more}
    (state / "clouds.yaml").write_text(json.dumps({"clouds": {"higgins": entry}}))


def test_keystone_password_and_the_catalog(cloud, keystone, state, run):
    write(state, keystone, PASSWORD_AUTH)
    cloud.add("web")
    assert run("ps").exit_code == 0
    ((_, body),) = keystone.asked
    assert body["auth"]["scope"] == {"project": {"name": "demo", "domain": {"id": "default"}}}
    assert body["auth"]["identity"]["password"]["user"]["domain"] == {"name": "Default"}


def test_keystone_is_asked_once_and_the_token_is_kept_for_its_owner_alone(cloud, keystone, state, run, environment):
    write(state, keystone, PASSWORD_AUTH)
    run("ps")
    run("ps")
    assert len(keystone.asked) == 1
    (file,) = (environment / ".cache/higgins").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in file.read_text()


def test_a_token_that_is_no_longer_good_is_got_anew(cloud, keystone, state, run):
    write(state, keystone, PASSWORD_AUTH)
    run("ps")
    cloud.tokens.clear()
    assert run("ps").exit_code == 0
    assert len(keystone.asked) == 2


def test_credentials_that_never_work_are_not_tried_for_ever(cloud, keystone, state, run):
    write(state, keystone, PASSWORD_AUTH)
    cloud.tokens = frozenset()
    keystone.answer = lambda path, body: KeystoneDouble.answer(keystone, path, body)
    result = run("ps")
    assert result.exit_code == 1
    assert "refused" in result.stderr
    assert len(keystone.asked) == 1


def test_a_broken_token_cache_is_no_failure(cloud, keystone, state, run, environment):
    write(state, keystone, PASSWORD_AUTH)
    run("ps")
    (file,) = (environment / ".cache/higgins").iterdir()
    file.write_text("{]")
    assert run("ps").exit_code == 0


@pytest.mark.parametrize(
    ("kind", "auth", "methods"),
    [
        ("v3password", PASSWORD_AUTH, ["password"]),
        ("v3applicationcredential", {"application_credential_id": "a", "application_credential_secret": PASSWORD}, ["application_credential"]),
        ("token", {"token": "other", "project_id": "p1"}, ["token"]),
    ],
)  # fmt: skip
def test_other_ways_to_authenticate(kind, auth, methods, cloud, keystone, state, run):
    write(state, keystone, auth, auth_type=kind)
    assert run("ps").exit_code == 0
    ((_, body),) = keystone.asked
    assert body["auth"]["identity"]["methods"] == methods
    assert ("scope" in body["auth"]) == (kind != "v3applicationcredential")


def test_the_older_service_type_and_a_wrong_region(cloud, keystone, state, run):
    keystone.catalog = endpoints(cloud.url, "application-container")
    write(state, keystone, PASSWORD_AUTH)
    assert run("ps").exit_code == 0
    write(state, keystone, PASSWORD_AUTH, region_name="three")
    result = run("ps")
    assert result.exit_code == 1
    assert "in region three" in result.stderr
    assert "one, two" in result.stderr


def test_a_wrong_password_of_keystone_is_told_and_not_shown(cloud, keystone, state, run):
    write(state, keystone, {**PASSWORD_AUTH, "password": "wr0ng-one"})
    result = run("ps")
    assert result.exit_code == 1
    assert "requires authentication" in result.stderr
    assert "wr0ng-one" not in result.output


@pytest.mark.parametrize("auth_type", ["none", "admin_token"])
def test_without_keystone(auth_type, cloud, state, run):
    cloud.tokens = {"notused", "adm"}
    entry = {"auth_type": auth_type, "auth": {"endpoint": cloud.url, "token": "adm"}}
    (state / "clouds.yaml").write_text(json.dumps({"clouds": {"higgins": entry}}))
    assert run("ps").exit_code == 0


def test_a_wrong_password_says_where_to_look(cloud, state, run):
    text = (state / "clouds.yaml").read_text()
    (state / "clouds.yaml").write_text(text.replace(PASSWORD, "wr0ng-one"))
    result = run("ps")
    assert result.exit_code == 1
    assert str(state / "clouds.yaml") in result.stderr
    assert "wr0ng-one" not in result.output


def test_nobody_answers(environment, state, run):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        (state / "clouds.yaml").write_text(clouds_yaml(f"http://127.0.0.1:{probe.getsockname()[1]}/v1"))
        result = run("ps")
    assert result.exit_code == 1
    assert "Higgins does not answer at http://127.0.0.1:" in result.stderr
    assert "script/up" in result.stderr


def test_what_answers_is_no_container_service(environment, state, run):
    double = KeystoneDouble([])
    (state / "clouds.yaml").write_text(clouds_yaml(f"{double.url}/v1"))
    result = run("ps")
    double.close()
    assert result.exit_code == 1
    assert "501" in result.stderr or "no container service" in result.stderr


def test_a_connection_that_breaks_is_made_anew_for_reading(cloud, run):
    cloud.add("web")
    run("ps")
    cloud.drop_next_gets = 1
    assert run("ps").exit_code == 1  # the first request of a command has no older connection to blame
    from higgins.cli.client.transport import Server, Trust

    server = Server(cloud.url, Trust())
    headers = {"Authorization": cloud.basic}
    assert server.request("GET", "/", headers).status == 200
    cloud.drop_next_gets = 1
    assert server.request("GET", "/", headers).status == 200


def test_quota_and_policy_say_what_to_do(cloud, run):
    cloud.quota_left = 0
    result = run("run", "-d", "busybox")
    assert result.exit_code == 125
    assert "Quota exceeded" in result.stderr
    assert "higgins quota" in result.stderr
    refused = run("quota", "other")
    assert refused.exit_code == 1
    assert "--os-cloud" in refused.stderr


# -- finding it ----------------------------------------------------------------------------------------------------------


def test_nothing_is_named_and_nothing_runs(environment):
    with pytest.raises(CliError, match="No cloud is named") as caught:
        find_cloud(None, None, os.environ)
    assert "script/up" in caught.value.hint


def test_the_default_state_directory(environment, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    folder = environment / "state/higgins"
    folder.mkdir(parents=True)
    (folder / "clouds.yaml").write_text(clouds_yaml("http://h:1/v1"))
    assert find_cloud(None, None, os.environ).name == "higgins"
    assert find_cloud("higgins", None, os.environ).source == str(folder / "clouds.yaml")
    with pytest.raises(CliError, match="no cloud named other"):
        find_cloud("other", None, os.environ)


def test_a_state_directory_without_higgins(environment, tmp_path):
    with pytest.raises(CliError, match="There is no Higgins in"):
        find_cloud(None, str(tmp_path / "none"), os.environ)


def test_places_are_searched_in_order(environment, monkeypatch, tmp_path):
    def put(path, url):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(clouds_yaml(url))

    put(environment / ".config/openstack/clouds.yaml", "http://config:1/v1")
    assert find_cloud("higgins", None, os.environ).auth["endpoint"] == "http://config:1/v1"
    put(environment / "clouds.yaml", "http://here:1/v1")
    assert find_cloud("higgins", None, os.environ).auth["endpoint"] == "http://here:1/v1"
    put(tmp_path / "named.yaml", "http://named:1/v1")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "named.yaml"))
    assert find_cloud("higgins", None, os.environ).auth["endpoint"] == "http://named:1/v1"
    assert find_cloud(None, None, os.environ).auth["endpoint"] == "http://named:1/v1"


def test_secure_yaml_adds_the_password(environment):
    entry = {"auth_type": "http_basic", "auth": {"endpoint": "http://h:1/v1", "username": "u"}}
    (environment / "clouds.yaml").write_text(json.dumps({"clouds": {"c": entry}}))
    (environment / "secure.yaml").write_text("clouds: {c: {auth: {password: pw}}}")
    cloud = find_cloud("c", None, os.environ)
    assert cloud.auth["password"] == "pw"
    assert "pw" not in repr(cloud)


def test_the_variables_of_an_openrc_file(environment):
    told = {
        "OS_AUTH_URL": "http://k/v3",
        "OS_USERNAME": "u",
        "OS_PASSWORD": "p",
        "OS_REGION_NAME": "r",
        "OS_INTERFACE": "internalURL",
    }
    cloud = find_cloud(None, None, {**os.environ, **told})
    assert (cloud.auth_type, cloud.region, cloud.interface, cloud.auth["username"]) == (
        "password",
        "r",
        "internal",
        "u",
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("clouds: [", "not proper YAML at line"),
        ("clouds: 3", "has no cloud named higgins"),
        ("clouds: {higgins: {auth_type: http_basic, auth: {endpoint: 'http://h/v1', username: u}}}", "has no password"),
        ("clouds: {higgins: {auth_type: kerberos, auth: {endpoint: 'http://h/v1'}}}", "auth_type kerberos"),
        ("clouds: {higgins: {auth_type: none, auth: {endpoint: 'h/v1'}}}", "is no address"),
        (
            "clouds: {higgins: {auth_type: none, cacert: /none, auth: {endpoint: 'https://127.0.0.1:1/v1'}}}",
            "cannot be read",
        ),
    ],
)
def test_a_clouds_yaml_that_is_wrong(text, told, environment, state, run):
    (state / "clouds.yaml").write_text(text)
    result = run("ps")
    assert result.exit_code == 1
    assert told in result.stderr


def test_tls_is_checked_with_cacert_and_not_without(environment, state, root, run, tmp_path):
    import ssl

    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    double = CloudDouble(root, tls=context)
    url = double.url.replace("127.0.0.1", "localhost")
    results = []
    for more in ({"cacert": str(certificate[0])}, {"verify": False}, {}):
        (state / "clouds.yaml").write_text(clouds_yaml(url, **more))
        results.append(run("ps"))
    double.close()
    assert [result.exit_code for result in results] == [0, 0, 1], results[0].output
    assert "is not trusted" in results[2].stderr


def _certificate(folder):
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"
