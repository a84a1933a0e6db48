"""The one service, over the fake engine, that the bad days here befall."""

from tests.whole import running_service, site

__all__ = ["running_service", "site"]
