"""What of a volume's connection may be noted beside its mount."""

from __future__ import annotations

from higgins.agent.hands.block.volumes import without_secrets


def test_what_connects_is_left_out_and_what_disconnects_stays() -> None:
    data = {"target_iqn": "iqn", "target_lun": 1, "auth_username": "u", "auth_password": "canary"}
    more = {
        "discovery_auth_password": "canary",
        "keyring": "canary",
        "portals": [["ip", 1]],
        "paths": [{"secret": "x"}],
    }
    noted = without_secrets({"driver_volume_type": "iscsi", "data": data | more})
    assert noted == {
        "driver_volume_type": "iscsi",
        "data": {"target_iqn": "iqn", "target_lun": 1, "auth_username": "u", "portals": [["ip", 1]], "paths": [{}]},
    }
