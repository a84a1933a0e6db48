"""tests/contract/loops/test_scheduler_loop.py on MariaDB."""

from tests.contract.loops.test_scheduler_loop import *  # noqa: F403
