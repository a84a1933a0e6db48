"""A host with a fake engine, given to each test and taken away whole."""

from tests.host.house import house

__all__ = ["house"]
