"""tests/contract/store/test_store_hosts.py on MariaDB."""

from tests.contract.store.test_store_hosts import *  # noqa: F403
