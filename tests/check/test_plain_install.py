"""A plain install has none of the libraries that only an OpenStack needs; no process may import them before configuration asks for them."""

from __future__ import annotations

import subprocess
import sys

import pytest

ONLY_IN_A_CLOUD = ("keystoneauth1", "keystonemiddleware", "pymysql", "os_vif", "os_brick", "pyroute2", "eventlet")


@pytest.mark.parametrize("module", ["wsgi", "controller", "agent", "manage", "up"])
def test_the_processes_import_nothing_of_a_cloud(module: str) -> None:
    loaded = f"import sys, higgins.cmd.{module}; print(*sorted(set(sys.modules) & set({ONLY_IN_A_CLOUD!r})))"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
