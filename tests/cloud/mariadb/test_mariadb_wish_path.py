"""tests/contract/loops/test_wish_path.py on MariaDB."""

from tests.contract.loops.test_wish_path import *  # noqa: F403
