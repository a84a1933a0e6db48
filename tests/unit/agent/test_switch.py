"""What is asked of os-vif and what is not, told from the rows of the switch's database."""

from __future__ import annotations

import types

import pytest

from higgins.agent.hands.network.switch import unless_it_is_so

ROWS = types.SimpleNamespace(
    lookup=lambda _table, name, default: types.SimpleNamespace(datapath_type="netdev") if name == "br-int" else default
)


@pytest.mark.parametrize(
    ("bridge", "datapath", "asked"),
    [("br-int", "netdev", False), ("br-int", "system", True), ("br-other", "netdev", True), ("br-other", None, True)],
)
def test_a_bridge_is_asked_for_only_where_it_is_not_as_wanted(bridge: str, datapath: str | None, asked: bool) -> None:
    told: list[tuple[str, str | None]] = []
    unless_it_is_so(ROWS, lambda *words: told.append(words))(bridge, datapath)
    assert told == ([(bridge, datapath)] if asked else [])
