"""tests/contract/loops/test_provision_volumes_unplaced.py on MariaDB."""

from tests.contract.loops.test_provision_volumes_unplaced import *  # noqa: F403
