"""The one service, and the hosts alone, over the fake engine, that the bad days here befall."""

from tests.host.house import house
from tests.whole import running_service, site

__all__ = ["house", "running_service", "site"]
