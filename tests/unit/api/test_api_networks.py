"""The networks of a container as clients read them: by port, or by address to 1.17, and a port without addresses is there too."""

from __future__ import annotations

import dataclasses

import pytest

from higgins.api.view import containers as view
from higgins.core.model import Address, PluggedPort, PodStatus
from higgins.core.phase import Phase


@dataclasses.dataclass
class Row:
    """As much of a pod's row as is read here."""

    status: PodStatus | None


STATUS = PodStatus(
    phase=Phase.RUNNING,
    observed_generation=1,
    addresses=(
        Address(network="n1", addr="10.0.0.5", port="p1", subnet="s4"),
        Address(network="n1", addr="fd00::5", version=6, port="p1", subnet="s6"),
    ),
    ports=(PluggedPort(port="p1", network="n1"), PluggedPort(port="p2", network="n2")),
)


def test_each_port_with_its_addresses() -> None:
    assert view.networks(Row(STATUS), flat=False) == [  # type: ignore[arg-type]
        {
            "net_id": "n1",
            "port_id": "p1",
            "fixed_ips": [
                {"ip_address": "10.0.0.5", "version": 4, "subnet_id": "s4"},
                {"ip_address": "fd00::5", "version": 6, "subnet_id": "s6"},
            ],
        },
        {"net_id": "n2", "port_id": "p2", "fixed_ips": []},
    ]


def test_each_address_and_a_port_without_one() -> None:
    told = view.networks(Row(STATUS), flat=True)  # type: ignore[arg-type]
    assert [(one["port_id"], one["ip_address"], one["subnet_id"], one["version"]) for one in told] == [
        ("p1", "10.0.0.5", "s4", 4),
        ("p1", "fd00::5", "s6", 6),
        ("p2", None, None, None),
    ]


@pytest.mark.parametrize("flat", [True, False])
def test_addresses_that_are_no_ports_are_shown_as_before(flat: bool) -> None:
    bridge = PodStatus(phase=Phase.RUNNING, observed_generation=1, addresses=(Address(network="bridge", addr="172.17.0.2"),))  # fmt: skip
    [told] = view.networks(Row(bridge), flat=flat)  # type: ignore[arg-type]
    assert (told["net_id"], told["port_id"]) == ("bridge", None)
    assert view.networks(Row(None), flat=flat) == []  # type: ignore[arg-type]
