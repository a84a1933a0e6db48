"""tests/contract/loops/test_provision_volumes.py on MariaDB."""

from tests.contract.loops.test_provision_volumes import *  # noqa: F403
