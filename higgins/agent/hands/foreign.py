"""Lets libraries of OpenStack in that were made for other processes than ours: without eventlet, and without a message broker's client.

os-vif and os-brick import whatever is installed beside them. Here they find neither eventlet, which would patch threads, nor
oslo.messaging, of which oslo.versionedobjects needs one base class and which brings a web server with it.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

from higgins.core import errors

_ONE_AT_A_TIME = threading.RLock()


@contextlib.contextmanager
def quiet_imports(what: str) -> Iterator[None]:
    """Import such libraries inside; ``Unsupported``, with what cannot be done then, when one is not installed."""
    with _ONE_AT_A_TIME:
        # For good, for some look for eventlet only when they are used.
        hidden: dict[str, Any] = sys.modules
        hidden.setdefault("eventlet", None)
        stand_in = "oslo_messaging" not in sys.modules
        if stand_in:
            sys.modules["oslo_messaging"] = _messaging()
        try:
            yield
        except ImportError as missing:
            raise errors.Unsupported(
                f"This host cannot {what}: {missing}. Install Higgins there with the extra openstack-host."
            ) from missing
        finally:
            if stand_in:
                sys.modules.pop("oslo_messaging", None)


def need_root(what: str) -> None:
    """``Unsupported`` unless the agent may change the host's network and devices."""
    if os.geteuid() != 0:
        raise errors.Unsupported(f"This host cannot {what}, because its agent does not run as root.")


def _messaging() -> types.ModuleType:
    module = types.ModuleType("oslo_messaging")
    vars(module)["NoOpSerializer"] = type("NoOpSerializer", (), {})
    return module
