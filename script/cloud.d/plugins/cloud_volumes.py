"""Volumes without iSCSI, device mapper or kernel modules: sparse files behind loop devices, for Cinder and os-brick's own LOCAL connector.

Knows Cinder's driver interface and losetup; nothing of Higgins. One host, since a loop device is seen on its own machine alone.
"""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import threading
from typing import Any

from cinder import interface
from cinder.volume import configuration, driver, volume_utils
from oslo_config import cfg

OPTIONS = [cfg.StrOpt("loop_dir", help="Directory of the volumes' files.")]
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


def run(*command: str | pathlib.Path) -> str:
    """What a command prints; CalledProcessError with its words when it fails."""
    return subprocess.run(command, check=True, text=True, capture_output=True).stdout.strip()


def devices(file: pathlib.Path) -> list[str]:
    """Loop devices that a file stands behind, without those that end as soon as nobody has them open any more."""
    told = run("losetup", "--list", "--noheadings", "--raw", "--output", "NAME,AUTOCLEAR", "--associated", file)
    return [name for name, ends in map(str.split, told.splitlines()) if ends == "0"]


def copy(source: pathlib.Path, target: pathlib.Path, size_gib: int) -> None:
    """Copies what is written of a sparse file, and makes the copy of that size."""
    run("cp", "--sparse=always", "--reflink=auto", source, target)
    resize(target, size_gib)


def resize(file: pathlib.Path, size_gib: int) -> None:
    """Makes a file, new or old, of that size without writing to it."""
    with file.open("ab") as handle:
        handle.truncate(size_gib << 30)


@interface.volumedriver
class LoopDriver(driver.VolumeDriver):
    """Cinder's driver; all its methods may be repeated."""

    VERSION = "1.0"
    CI_WIKI_NAME = "none"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self.files = pathlib.Path(self.configuration.safe_get("loop_dir"))
        self._devices = threading.Lock()

    def check_for_setup_error(self) -> None:
        """Fails when losetup or the directory is missing."""
        run("losetup", "--version")
        self.files.mkdir(parents=True, exist_ok=True)

    def file(self, thing: Any) -> pathlib.Path:
        """The file of a volume or snapshot."""
        return self.files / str(thing["name"])

    def create_volume(self, volume: Any) -> None:
        """An empty file of the volume's size."""
        resize(self.file(volume), volume["size"])

    def delete_volume(self, volume: Any) -> None:
        """Removes the file, and loop devices that were left over it."""
        self.terminate_connection(volume, None, force=True)
        self.file(volume).unlink(missing_ok=True)

    def create_snapshot(self, snapshot: Any) -> None:
        """A copy of the volume's file."""
        copy(self.file(snapshot["volume"]), self.file(snapshot), snapshot["volume_size"])

    def delete_snapshot(self, snapshot: Any) -> None:
        """Removes the copy."""
        self.file(snapshot).unlink(missing_ok=True)

    def create_volume_from_snapshot(self, volume: Any, snapshot: Any) -> None:
        """A copy of the copy."""
        copy(self.file(snapshot), self.file(volume), volume["size"])

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> None:
        """A copy of another volume."""
        copy(self.file(src_vref), self.file(volume), volume["size"])

    def extend_volume(self, volume: Any, new_size: int) -> None:
        """Makes the file larger, and tells the device that is over it."""
        resize(self.file(volume), new_size)
        for device in devices(self.file(volume)):
            run("losetup", "--set-capacity", device)

    def ensure_export(self, context: Any, volume: Any) -> None:
        """Nothing: there is no export before a connection."""

    def create_export(self, context: Any, volume: Any, connector: Any) -> None:
        """Nothing: there is no export before a connection."""

    def remove_export(self, context: Any, volume: Any) -> None:
        """Nothing: there is no export before a connection."""

    def initialize_connection(self, volume: Any, connector: Any, **_: Any) -> dict[str, Any]:
        """The volume's loop device, one for all its attachments."""
        file = self.file(volume)
        with self._devices:
            device = next(iter(devices(file)), None) or run("losetup", "--find", "--show", file)
        return {"driver_volume_type": "local", "data": {"device_path": device, "volume_id": volume["id"]}}

    def terminate_connection(self, volume: Any, connector: Any, force: bool = False, **_: Any) -> bool:
        """Frees the loop device unless another attachment uses it; True when one does."""
        others = [one for one in volume.volume_attachment if one.connector]
        if len(others) > 1 and not force:
            return True
        with self._devices:
            for device in devices(self.file(volume)):
                run("losetup", "--detach", device)
        return False

    def copy_image_to_volume(self, context: Any, volume: Any, image_service: Any, image_id: str, **_: Any) -> None:
        """Writes a raw image to the volume."""
        with self.file(volume).open("r+b") as handle:
            image_service.download(context, image_id, handle)

    def copy_volume_to_image(self, context: Any, volume: Any, image_service: Any, image_meta: Any) -> None:
        """Makes an image of the volume."""
        volume_utils.upload_volume(context, image_service, image_meta, str(self.file(volume)), volume)

    def _update_volume_stats(self) -> None:
        free_gib = shutil.disk_usage(self.files).free >> 30
        self._stats = {
            "volume_backend_name": self.configuration.safe_get("volume_backend_name"),
            "vendor_name": "test cloud",
            "driver_version": self.VERSION,
            "storage_protocol": "local",
            "total_capacity_gb": free_gib,
            "free_capacity_gb": free_gib,
            "reserved_percentage": 0,
            "provisioned_capacity_gb": 0,
            "thin_provisioning_support": True,
            "max_over_subscription_ratio": "20.0",
            "multiattach": True,
        }
