"""A host with a fake engine, given to each test and taken away whole."""

import pathlib
import shutil
import tempfile

import pytest

from tests.host.house import House


@pytest.fixture
def house():
    root = pathlib.Path(tempfile.mkdtemp(prefix="hg"))
    house = House(root)
    yield house
    house.stop()
    if house.serve:
        house.close_wire()
    shutil.rmtree(root)
