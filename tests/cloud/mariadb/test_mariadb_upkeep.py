"""tests/contract/store/test_store_upkeep.py on MariaDB."""

from tests.contract.store.test_store_upkeep import *  # noqa: F403
