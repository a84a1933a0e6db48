"""tests/contract/loops/test_scheduler_volumes.py on MariaDB."""

from tests.contract.loops.test_scheduler_volumes import *  # noqa: F403
