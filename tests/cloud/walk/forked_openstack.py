"""The cloud's ``openstack`` with its imports done once: each line read is a command, which a fork of this process runs as ``openstack`` itself would.

Started anew, each command would spend two to four seconds on imports, and a walk has a hundred of them.
Runs under the Python of the cloud's clients: it can import nothing of the tests, and no test imports it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
from typing import Any

from openstackclient import shell

NEEDED = ("container.v1", "image.v2", "network.v2", "orchestration.v1", "placement.v1", "volume.v3")


def load() -> None:
    """Import what commands would import."""
    for group in NEEDED:
        for name in {entry.module for entry in importlib.metadata.entry_points(group=f"openstack.{group}")}:
            importlib.import_module(name)
    for name in ("openstack.connection", "heatclient.v1.client", "zunclient.v1.client"):
        importlib.import_module(name)


def answer(words: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Exit code and output of one command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.environ.update(environment)
            with open(os.devnull) as nothing:
                for ours, theirs in ((nothing, 0), (out, 1), (err, 2)):
                    os.dup2(ours.fileno(), theirs)
            end(words)
        _, status = os.waitpid(child, 0)
        said = []
        for one in (out, err):
            one.seek(0)
            said.append(one.read().decode(errors="replace"))
    return {"code": os.waitstatus_to_exitcode(status), "out": said[0], "err": said[1]}


def end(words: list[str]) -> None:
    """Become the command; no way leads back into the loop."""
    code: Any = 70
    try:
        code = shell.main(words)
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def main() -> None:
    """Until the input ends: one line of JSON in, one out."""
    sys.argv[0] = "openstack"
    load()
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(answer(asked["words"], asked["environment"])), flush=True)


if __name__ == "__main__":
    main()
