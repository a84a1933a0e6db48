"""What the double has besides containers: images, hosts, registries and quotas; they only answer."""

from __future__ import annotations

import uuid

PROJECT = "11111111111111111111111111111111"


class Refuse(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class OtherThings:
    """Part of ``CloudDouble``, which keeps the state."""

    def on_images(self, method, rest, query, body, request_id):
        if method == "POST":
            image = {
                "uuid": str(uuid.uuid4()),
                "repo": body["repo"],
                "tag": body.get("tag"),
                "host": body["host"],
                "image_id": None,
                "size": None,
            }
            self.images[image["uuid"]] = image
            return 202, dict(image)
        if rest:
            image = self.images.get(rest[0])
            if image is None:
                raise Refuse(404, "image-not-found", "gone")
            if image["repo"] == "refused":
                image |= {"status": "failed", "status_reason": "the registry says no"}
            elif image["repo"] == "nowhere":
                del self.images[rest[0]]
            else:
                image |= {"image_id": "sha256:" + "ab" * 32, "size": "4194304"}
            return 200, image
        return 200, {"images": list(self.images.values()), "next": None}

    def on_hosts(self, method, rest, query, body, request_id):
        host = {
            "uuid": "h", "hostname": "node-1", "cpus": 8, "cpu_used": 2.5, "mem_total": 16000, "mem_used": 512, "disk_total": 100,
            "disk_used": 7, "total_containers": 3, "os": "Debian 12", "architecture": "x86_64",
        }  # fmt: skip
        return 200, {"hosts": [host], "next": None}

    def on_registries(self, method, rest, query, body, request_id):
        if method == "POST":
            made = {"uuid": str(uuid.uuid4()), **body["registry"], "password": "***"}
            self.registries[made["uuid"]] = made
            return 201, {"registry": made}
        if method == "DELETE":
            del self.registries[rest[0]]
            return 204, None
        return 200, {"registries": list(self.registries.values()), "next": None}

    def on_quotas(self, method, rest, query, body, request_id):
        if not rest and self.max_version != "1.41":
            raise Refuse(404, "not-found", "The resource could not be found.")
        if rest and rest[0] != PROJECT:
            raise Refuse(403, "policy-not-authorized", "Policy doesn't allow quota:get to be performed.")
        told = {"containers": 40, "memory": 51200, "cpu": 20, "disk": -1}
        return 200, {k: {"limit": v, "in_use": 1} for k, v in told.items()} if query.get("usages") else told
