"""A small container service over real HTTP, for the command line's tests: it speaks the contract and nothing of ours is in it.

What a container does is set by its image: ``broken`` fails to start, ``slow`` pulls for a while; ``script`` says what it writes
and how it ends. A request is done after a few looks at the container, never after a time.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import io
import json
import pathlib
import tarfile
import threading
import uuid
from urllib.parse import parse_qs, unquote, urlsplit

from tests.contract.cli_alone.cli_double_other import PROJECT, OtherThings, Refuse

USER, PASSWORD = "demo", "s3cret-of-demo"
T0 = "2026-01-02 03:04:05.000006"
LOOKS = 2
REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
HASTY = (
    "from higgins.cli import main, progress, settle\n"
    "progress._EVERY_S = 0.02\n"
    "settle.pace.__defaults__ = (0.05,)\n"
    "main.main()\n"
)
"""The program, but it does not wait long between its looks at the service."""
LINES = [
    ("stdout", "2026-01-02T03:04:05.000000001Z", "one\n"),
    ("stderr", "2026-01-02T03:04:05.500000000Z", "two\n"),
    ("stdout", "2026-01-02T03:04:05.500000001Z", "three\n"),
    ("stdout", "2026-01-02T03:04:07.000000000Z", "four"),
]

ACTIONS = {  # action: statuses it is allowed from, task state, then
    "start": (
        {"Created", "Stopped", "Error"},
        "container_starting",
        {"status": "Running", "status_detail": "Up 1 second"},
    ),
    "stop": (
        {"Running"},
        "container_stopping",
        {"status": "Stopped", "status_detail": "Exited(0) 1 second ago ", "exit_code": 0},
    ),
    "reboot": ({"Created", "Running", "Stopped", "Error"}, "container_rebooting", {"status": "Running"}),
    "kill": ({"Running"}, "container_killing", {"status": "Stopped", "exit_code": 137}),
    "pause": ({"Running"}, "container_pausing", {"status": "Paused"}),
    "unpause": ({"Paused"}, "container_unpausing", {"status": "Running"}),
    "rebuild": ({"Created", "Running", "Stopped", "Error"}, "container_rebuilding", {}),
}


def clouds_yaml(url, **more):
    auth = {"endpoint": url, "username": USER, "password": PASSWORD}
    return json.dumps({"clouds": {"higgins": {"auth_type": "http_basic", "auth": auth, **more}}})  # JSON is YAML


class CloudDouble(OtherThings):
    """The service's state, and the requests it has seen (method, path, query, body, headers)."""

    def __init__(self, root: pathlib.Path, max_version="1.41", tls=None):
        self.root, self.max_version = root, max_version
        self.containers, self.hidden, self.seen = {}, {}, []
        self.registries, self.images = {}, {}
        self.scripts = {}  # image -> (list of (stream, stamp, text), exit code)
        self.fail = {}  # action -> reason
        self.quota_left = 40
        self.basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        self.tokens = {"notused"}
        self.drop_next_gets = self.drop_next_posts = 0
        self.made_by_key = {}
        self.hold = False  # nothing goes on while this is set
        self.lock = threading.RLock()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server.server_port}/v1"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    # -- what tests set up -------------------------------------------------------------------------------------------
    def add(self, name, status="Running", **more):
        uid = str(more.pop("uuid", uuid.uuid4()))
        container = {
            "uuid": uid, "name": name, "image": "busybox", "status": status, "status_reason": None, "status_detail": "Up 5 mins",
            "task_state": None, "project_id": PROJECT, "memory": "512", "cpu": 1.0, "created_at": T0, "exit_code": None,
            "health": None, "image_digest": None, "restart_policy": {}, "labels": {},
            "addresses": {"net": [{"addr": "10.88.0.5", "version": 4}]}, **more,
        }  # fmt: skip
        self.containers[uid] = container
        self.hidden[uid] = {"actions": [], "events": [], "logs": [], "looks": 0, "then": None, "script": []}
        return container

    def bodies(self, method, path):
        return [body for m, p, _, body, _ in self.seen if (m, p) == (method, path)]

    def queries(self, method, path):
        return [query for m, p, query, _, _ in self.seen if (m, p) == (method, path)]

    def paths(self):
        return [(m, p) for m, p, *_ in self.seen]

    # -- the service -------------------------------------------------------------------------------------------------
    def answer(self, method, path, query, body, headers, request_id):
        if headers.get("Authorization") != self.basic and headers.get("X-Auth-Token") not in self.tokens:
            raise Refuse(401, "unauthorized", "The credentials are not known.")
        if path.rstrip("/") == "":
            current = {"id": "v1", "status": "CURRENT", "max_version": self.max_version, "min_version": "1.1"}
            return 200, {"name": "double", "versions": [current], "default_version": current}
        parts = [unquote(part) for part in path.strip("/").split("/")]
        assert parts.pop(0) == "v1"
        if headers.get("OpenStack-API-Version") != f"container {self.max_version}":
            raise Refuse(406, "not-acceptable", "")
        return getattr(self, f"on_{parts[0]}")(method, parts[1:], query, body, request_id)

    def on_containers(self, method, rest, query, body, request_id):
        if not rest:
            return self._create_once(query, body, request_id) if method == "POST" else (200, self._page(query))
        container = self._find(rest[0])
        if len(rest) > 1:
            return self._more(method, container, rest[1:], query, body, request_id)
        if method == "GET":
            return 200, self._look(container)
        if method == "PATCH":
            container.update(body)
            self._begin(container, "update", {}, request_id)
            return 200, dict(container)
        return self._delete(container, query, request_id)

    def _page(self, query):
        found = [
            c
            for c in self.containers.values()
            if all(c.get(k) == v for k, v in query.items() if k in {"name", "status"})
        ]
        if "marker" in query:
            found = found[[c["uuid"] for c in found].index(query["marker"]) + 1 :]
        page = found[:2]
        return {"containers": page, "next": f"{self.url}/containers?marker=x" if len(page) == 2 else None}

    def _find(self, ident):
        found = [c for c in self.containers.values() if ident in {c["uuid"], c["name"]}]
        if len(found) > 1:
            raise Refuse(409, "conflict", f"Multiple containers exist with name {ident}")
        if not found:
            raise Refuse(404, "container-not-found", f"Container {ident} could not be found.")
        return found[0]

    def _create_once(self, query, body, request_id):
        key = self.seen[-1][4].get("Idempotency-Key")
        if self.max_version != "1.41" or key not in self.made_by_key:
            self.made_by_key[key] = self._create(query, body, request_id)
        return self.made_by_key[key]

    def _create(self, query, body, request_id):
        if self.quota_left < 1:
            raise Refuse(403, "over-quota", "Quota exceeded for: containers")
        self.quota_left -= 1
        image = body["image"]
        container = self.add(
            body.get("name", "alpha-1-container"), "Creating", image=image, task_state="container_creating"
        )
        container |= {k: v for k, v in body.items() if k in {"restart_policy", "memory", "cpu", "labels"}}
        lines, code = self.scripts.get(image, ([], None))
        run = query.get("run") == "true"
        then = {"status": "Running" if run else "Created"}
        if image == "broken":
            then = {"status": "Error", "status_reason": "No such image: broken"}
        self._begin(container, "create", then, request_id, failed=image == "broken")
        hidden = self.hidden[container["uuid"]]
        hidden["script"] = [*lines, code] if run and code is not None else []
        if image == "broken":
            hidden["events"][-1] |= {"result": "Error", "detail": "No such image: broken"}
        return 202, dict(container)

    def _delete(self, container, query, request_id):
        allowed = {"Created", "Error", "Stopped"} | ({"Running"} if query.get("stop") == "true" else set())
        if query.get("force") == "true":
            raise Refuse(403, "policy-not-authorized", "Policy doesn't allow container:delete_force to be performed.")
        self._allow(container, "delete", allowed)
        self._begin(container, "delete", None, request_id)
        container["status"] = "Deleting"
        return 204, None

    def _allow(self, container, action, allowed):
        if container["status"] not in allowed:
            message = f"Cannot {action} container {container['uuid']} in {container['status']} state"
            raise Refuse(409, "invalid-state-exception", message)

    def _begin(self, container, action, then, request_id, failed=False):
        hidden = self.hidden[container["uuid"]]
        hidden["actions"].insert(0, {
            "action": action, "container_uuid": container["uuid"], "request_id": request_id, "start_time": "2026-01-02T03:04:05.000000",
            "finish_time": None, "message": "Error" if failed else None,
        })  # fmt: skip
        hidden["events"].append({
            "key": f"k{len(hidden['events'])}", "request_id": request_id, "verb": "pull" if action == "create" else action,
            "target": container["image"], "why": f"{action} was asked for", "started_at": "2026-01-02T03:04:05.000000Z",
            "finished_at": None, "result": "", "detail": "10/40 MiB" if action == "create" else "",
        })  # fmt: skip
        hidden["then"], hidden["looks"] = (then,), LOOKS

    def _look(self, container):
        """What a show gives; each look brings the container one step on."""
        hidden = self.hidden[container["uuid"]]
        if hidden["then"] is not None and not self.hold:
            hidden["looks"] -= 1
            if hidden["looks"] <= 0:
                self._finish(container, hidden)
        elif container["status"] == "Running" and hidden["script"]:
            step = hidden["script"].pop(0)
            if isinstance(step, int):
                container |= {"status": "Stopped", "exit_code": step, "status_detail": f"Exited({step}) 1 second ago "}
            else:
                hidden["logs"].append(step)
        if container["uuid"] not in self.containers:
            raise Refuse(404, "container-not-found", "gone")
        shown = dict(container)
        if self.max_version != "1.41":
            for key in ("exit_code", "health", "image_digest"):
                shown.pop(key, None)
        return shown

    def _finish(self, container, hidden):
        then, hidden["then"] = hidden["then"][0], None
        if then is None:
            del self.containers[container["uuid"]]
            return
        container |= then
        container["task_state"] = None
        hidden["actions"][0]["finish_time"] = "2026-01-02T03:04:06.000000"
        event = hidden["events"][-1]
        event["finished_at"] = "2026-01-02T03:04:06.000000Z"
        event["result"] = event["result"] or "Success"
        reason = self.fail.get(hidden["actions"][0]["action"])
        if reason:
            hidden["actions"][0]["message"] = "Error"
            event |= {"result": "Error", "detail": reason}

    def _more(self, method, container, rest, query, body, request_id):
        hidden = self.hidden[container["uuid"]]
        what = rest[0]
        if what in ACTIONS and method == "POST":
            allowed, task, then = ACTIONS[what]
            self._allow(container, what, allowed)
            container["task_state"] = task
            if what == "rebuild" and query.get("image"):
                then = {"image": query["image"]}
            self._begin(container, what, then, request_id)
            return 202, None
        if what == "container_actions" and len(rest) == 1:
            return 200, {"containerActions": hidden["actions"]}
        if what == "container_actions":
            for action in hidden["actions"]:
                if action["request_id"] == rest[1]:
                    return 200, {**action, "events": [{"event": f"compute__do_container_{action['action']}"}]}
            raise Refuse(404, "resource-not-found", "unknown")
        if what == "events" and self.max_version == "1.41":
            return 200, {"events": hidden["events"]}
        return getattr(self, f"_{what}")(container, hidden, query, body)

    def _logs(self, container, hidden, query, body):
        since = int(query.get("since", 0))
        lines = [(s, t, x) for s, t, x in hidden["logs"] if query.get(s) == "true" and _epoch(t) >= since]
        if query.get("tail", "all") != "all":
            lines = lines[-int(query["tail"]) :] if int(query["tail"]) else []
        return 200, "".join(
            f"{stamp} {text}" if query.get("timestamps") == "true" else text for _, stamp, text in lines
        )

    def _execute(self, container, hidden, query, body):
        self._allow(container, "execute", {"Running"})
        command = body["command"]
        code = 3 if "fail" in command else 0
        return 200, {"output": f"ran {command}\n", "exit_code": code, "exec_id": None, "proxy_url": None}

    def _top(self, container, hidden, query, body):
        return 200, {"Titles": ["PID", "CMD"], "Processes": [["1", f"sh {query.get('ps_args', '')}".strip()]]}

    def _stats(self, container, hidden, query, body):
        return 200, {
            "CONTAINER": container["name"], "CPU %": 12.34, "MEM USAGE(MiB)": 20, "MEM LIMIT(MiB)": 512, "MEM %": 3.9,
            "BLOCK I/O(B)": "2048/0", "NET I/O(B)": "10/1048576",
        }  # fmt: skip

    def _get_archive(self, container, hidden, query, body):
        path = self.root / query["path"].strip("/")
        if not path.exists() and not path.is_symlink():
            raise Refuse(404, "not-found", f"There is no {query['path']}")
        store = io.BytesIO()
        with tarfile.open(fileobj=store, mode="w") as archive:
            archive.add(path, arcname=path.name if query["path"].strip("/") else ".")
        stat = {
            "name": path.name,
            "size": 1,
            "mode": 1 << 27 if path.is_symlink() else 1 << 31 | 0o755 if path.is_dir() else 0o644,
            "mtime": "",
            "linkTarget": str(path.readlink()) if path.is_symlink() else "",
        }
        return 200, {"data": base64.b64encode(store.getvalue()).decode(), "stat": stat}

    def _put_archive(self, container, hidden, query, body):
        path = self.root / query["path"].strip("/")
        if not path.is_dir():
            raise Refuse(404, "not-found", f"There is no {query['path']}")
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode(body["data"]))) as archive:
            archive.extractall(path, filter="fully_trusted")
        return 200, None

    def _handler(double):  # noqa: N805
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self):
                parts = urlsplit(self.path)
                query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
                raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.loads(raw) if raw else None
                request_id = f"req-{uuid.uuid4()}"
                with double.lock:
                    double.seen.append((self.command, parts.path, query, body, dict(self.headers)))
                    if double.drop_next_posts and self.command == "POST":
                        double.drop_next_posts -= 1
                        with contextlib.suppress(Refuse):  # done, but its answer is lost
                            double.answer(self.command, parts.path, query, body, self.headers, request_id)
                        self.close_connection = True
                        return
                    if double.drop_next_gets and self.command == "GET":
                        double.drop_next_gets -= 1
                        self.close_connection = True
                        return
                    try:
                        status, reply = double.answer(self.command, parts.path, query, body, self.headers, request_id)
                    except Refuse as refused:
                        status, error = (
                            refused.status,
                            {"status": refused.status, "title": str(refused), "detail": str(refused)},
                        )
                        reply = {
                            "errors": [{**error, "request_id": "", "code": f"container.{refused.code}", "links": []}]
                        }
                    data = b"" if status == 204 else json.dumps(reply).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("X-Openstack-Request-Id", request_id)
                if status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, *args):
                pass

        return Handler


def _epoch(stamp):
    import datetime

    return datetime.datetime.fromisoformat(stamp[:19] + "+00:00").timestamp()
