"""tests/contract/loops/test_provision_loop.py on MariaDB."""

from tests.contract.loops.test_provision_loop import *  # noqa: F403
