"""The dialect's optional abilities, on top of its plain verbs."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import threading
import time
from collections.abc import Iterable, Iterator
from typing import IO, Any

from higgins.core import errors
from higgins.engine import api
from higgins.engine.dialect import cgroups, faults, processes, streams, translate
from higgins.engine.dialect.http import CHUNK_BYTES, Query, Stream
from higgins.engine.dialect.verbs import LOOK_PAUSES_S, WAIT_STEP_S, Verbs, filters_of, quoted

MOST_OUTPUT_BYTES = 16 * 1024 * 1024


class Dialect(Verbs):
    """An engine with every ability that both Docker and Podman have."""

    exec_end_s = 10.0

    def pause(self, uuid: str) -> None:
        """Freeze it."""
        self._unless(uuid, "paused", "pause", "pause the container")

    def unpause(self, uuid: str) -> None:
        """Thaw it."""
        self._unless(uuid, "running", "unpause", "unpause the container")

    def _unless(self, uuid: str, state: str, verb: str, what: str) -> None:
        try:
            self._post(uuid, verb, what)
        except errors.HigginsError as problem:
            if isinstance(problem, errors.NotFound | errors.NotReady) or self.inspect(uuid).state != state:
                raise

    def exec(self, uuid: str, command: tuple[str, ...], *, timeout_s: float) -> api.ExecResult:
        """Run a command to its end: three calls. Output beyond 16 MiB is dropped.

        ``Unavailable`` when its output is over and the engine does not say that it has ended, as when it broke down meanwhile.
        """
        body = {"Cmd": list(command), "AttachStdout": True, "AttachStderr": True}
        path = f"/containers/{quoted(translate.name_of(uuid))}/exec"
        exec_id = self.call_json(path, body, "run a command in the container")["Id"]
        late, over = threading.Event(), threading.Event()
        timer = threading.Timer(timeout_s, self._end_exec, (exec_id, late, over))
        timer.daemon = True
        try:
            output = self._exec_output(exec_id, timer)
            code = self._exit_code(exec_id)
        finally:
            timer.cancel()
            over.set()
            self._forget_exec(exec_id)
        if late.is_set():
            raise errors.Timeout(f"The command did not end within {timeout_s:g} s and was killed.")
        if code is None:
            raise errors.Unavailable(
                "The container engine did not say how the command ended. Look at what it has done before running it again."
            )
        if code in (126, 127) and b"OCI runtime" in output:
            raise errors.Invalid(
                f"The command could not run in the container: {faults.plainly(output.decode(errors='replace'))}."
            )
        return api.ExecResult(output=output, exit_code=code)

    def _exec_output(self, exec_id: str, timer: threading.Timer) -> bytes:
        parts, size = [], 0
        what = "run a command in the container"
        headers = {"Content-Type": "application/json"}
        body = b'{"Detach":false,"Tty":false}'
        with self.opened("POST", f"/exec/{exec_id}/start", what, body=body, headers=headers) as stream:
            timer.start()
            for part in streams.translated(streams.unframed(stream), what):
                size += len(part)
                if size <= MOST_OUTPUT_BYTES:
                    parts.append(part)
        return b"".join(parts)

    def _end_exec(self, exec_id: str, late: threading.Event, over: threading.Event) -> None:
        # Docker accepts a command before it has a process, and a look may fail: what is late is ended as soon as it can be.
        while not over.is_set():
            with contextlib.suppress(errors.HigginsError):
                facts = self._exec_facts(exec_id)
                if pid := int(facts.get("Pid") or 0):
                    if facts.get("Running"):
                        late.set()
                        processes.kill_tree(pid)
                    return
            over.wait(WAIT_STEP_S)

    def _exit_code(self, exec_id: str) -> int | None:
        """What it ended with; the end of its output may come a moment before. None when it cannot be known."""
        codes: list[int] = []

        def ended() -> bool:
            facts = self._exec_facts(exec_id)
            if not facts.get("Running") and facts.get("ExitCode") is not None:
                codes.append(int(facts["ExitCode"]))
            return bool(codes)

        return codes[0] if self._wait_until(self.exec_end_s, ended) else None

    def _exec_facts(self, exec_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/exec/{exec_id}/json", "look at the command").json()
        return dict(answer)

    def _forget_exec(self, exec_id: str) -> None:
        """Take away what the engine keeps of an ended command; nothing where it forgets by itself."""

    def logs(
        self,
        uuid: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        timestamps: bool = False,
        tail: int | None = None,
        since: datetime.datetime | None = None,
        follow: bool = False,
    ) -> Iterator[bytes]:
        """What it wrote. Refusals are raised at once, not at the first chunk.

        Engines count the lines of both streams for ``tail``; those of one stream are counted here.
        """
        here = tail if stdout is not stderr and not follow else None
        path = f"{self.container_root}/{quoted(translate.name_of(uuid))}/json"
        framed = not self.call("GET", path, "look at the container").json()["Config"].get("Tty")
        query: Query = {
            "stdout": stdout,
            "stderr": stderr,
            "timestamps": timestamps,
            "tail": "all" if tail is None or here is not None else tail,
            "since": None if since is None else f"{since.timestamp():.6f}",
            "follow": follow,
        }
        what = "read the container's logs"
        stack = contextlib.ExitStack()
        path = f"/containers/{quoted(translate.name_of(uuid))}/logs"
        try:
            stream = self._opened_log(stack, path, what, query)
        except errors.NotReady:
            if tail is None or follow:
                raise
            here = tail  # Podman finds no lines from the end of a log that never rests
            stream = stack.enter_context(self.opened("GET", path, what, query={**query, "tail": "all"}))
        chunks = streams.translated(streams.unframed(stream) if framed else stream.chunks(), what)
        return _LogChunks(stack, chunks if here is None else streams.last_lines(chunks, here, MOST_OUTPUT_BYTES))

    def _opened_log(self, stack: contextlib.ExitStack, path: str, what: str, query: Query) -> Stream:
        # Podman looks for the last lines from the end of the log, and refuses what it finds there while one is being written.
        for pause_s in LOOK_PAUSES_S:
            try:
                return stack.enter_context(self.opened("GET", path, what, query=query))
            except errors.NotReady:
                time.sleep(pause_s)
        return stack.enter_context(self.opened("GET", path, what, query=query))

    def stats(self, uuid: str) -> api.Stats:
        """One sample: an inspect and files of this host, or the engine's own sample where these are not to be seen."""
        path = f"{self.container_root}/{quoted(translate.name_of(uuid))}/json"
        found = self.call("GET", path, "measure the container").json()
        pid = found["State"].get("Pid") or 0
        if not pid:
            raise errors.Conflict("The container does not run, so that there is nothing to measure. Start it first.")
        groups = cgroups.Groups(pid, found["Id"])
        if groups.seen():
            return groups.sample()
        path = f"/containers/{quoted(translate.name_of(uuid))}/stats"
        answer = self.call("GET", path, "measure the container", query={"stream": False, "one-shot": True}).json()
        return translate.stats(answer or {})

    def top(self, uuid: str, ps_args: str | None = None) -> api.Processes:
        """Its processes as ``ps`` shows them."""
        path = f"/containers/{quoted(translate.name_of(uuid))}/top"
        answer = self.call("GET", path, "list the container's processes", query={"ps_args": ps_args or None}).json()
        return translate.processes(answer)

    @contextlib.contextmanager
    def get_archive(self, uuid: str, path: str) -> Iterator[tuple[api.PathStat, Iterator[bytes]]]:
        """A tar of a path, as it comes."""
        target, what = f"/containers/{quoted(translate.name_of(uuid))}/archive", f"read {path} in the container"
        with self.opened("GET", target, what, query={"path": path}) as stream:
            stat = translate.path_stat(stream.headers.get("X-Docker-Container-Path-Stat"))
            yield stat, streams.translated(stream.chunks(), what)

    def put_archive(self, uuid: str, path: str, tar: IO[bytes]) -> None:
        """Unpack a tar as it is read."""
        target, what = f"/containers/{quoted(translate.name_of(uuid))}/archive", f"write to {path} in the container"
        chunks = iter(lambda: tar.read(CHUNK_BYTES), b"")
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        self.call("PUT", target, what, query={"path": path}, body=chunks, headers=headers, timeout_s=None)

    def commit(self, uuid: str, repository: str, tag: str) -> api.ImageFacts:
        """Make an image of its file system."""
        query: Query = {"container": translate.name_of(uuid), "repo": repository, "tag": tag, "pause": True}
        headers = {"Content-Type": "application/json"}
        self.call("POST", "/commit", "commit the container", query=query, body=b"{}", headers=headers, timeout_s=None)
        return self.image(f"{repository}:{tag}")

    def load_image(self, name: str, archive: Iterator[bytes]) -> api.ImageFacts:
        """Take an archive in, as it is read."""
        what = f"load the image {name}"
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"}
        try:
            answer = self.http.call("POST", self.load_path, body=archive, headers=headers, timeout_s=None)
        except (OSError, http.client.HTTPException) as problem:
            raise faults.translate(problem, what) from problem
        refusal = faults.load_refusal(answer)
        if refusal is not None:
            raise refusal
        return self.image(name)

    load_path = "/images/load"

    @contextlib.contextmanager
    def save_image(self, name: str) -> Iterator[Iterator[bytes]]:
        """An archive of an image, as it comes."""
        self.image(name)
        what = f"save the image {name}"
        with self.opened("GET", f"/images/{quoted(name)}/get", what) as stream:
            yield streams.translated(stream.chunks(), what)

    def resize_terminal(self, uuid: str, *, height: int, width: int) -> None:
        """Set the size of its terminal."""
        self._post(uuid, "resize", "resize the container's terminal", query={"h": height, "w": width})

    def create_volume(self, name: str, labels: dict[str, str]) -> None:
        """Make a volume of this installation."""
        wanted = {key: value for key, value in labels.items() if key != translate.INSTALLATION}
        body = {"Name": name, "Labels": wanted | {translate.INSTALLATION: self.installation}}
        try:
            self.call_json("/volumes/create", body, f"create the volume {name}")
        except (errors.Conflict, errors.NotReady):
            if name not in self.volumes():
                raise

    def remove_volume(self, name: str) -> None:
        """Remove a volume and its data."""
        with contextlib.suppress(errors.NotFound):
            self.call("DELETE", f"/volumes/{quoted(name)}", f"remove the volume {name}")

    def volumes(self) -> Iterable[str]:
        """Volumes of this installation."""
        filters = filters_of(label=[f"{translate.INSTALLATION}={self.installation}"])
        answer = self.call("GET", "/volumes", "list the volumes", query={"filters": filters}).json()
        return tuple(one["Name"] for one in answer.get("Volumes") or () if self.is_own(one.get("Labels")))


class _LogChunks:
    """An iterator that closes its connection when it ends, is closed, or is forgotten."""

    def __init__(self, stack: contextlib.ExitStack, chunks: Iterator[bytes]) -> None:
        self._stack, self._chunks = stack, chunks

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the connection up."""
        self._stack.close()

    def __del__(self) -> None:
        self.close()
