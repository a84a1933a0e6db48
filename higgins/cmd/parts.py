"""Builds from configuration what several processes need alike: database, sealer, use case settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from oslo_config import cfg

from higgins.conf import load
from higgins.control.settings import Settings
from higgins.core.phase import PullPolicy
from higgins.store import seal, session
from higgins.store.claims import Ratios
from higgins.store.quotas import Limits
from higgins.wire import contract
from higgins.wire.client import LiveClient

Answer = TypeVar("Answer")


def open_database(conf: cfg.ConfigOpts) -> session.Database:
    """The database of the configuration."""
    return session.Database(load.database_url(conf), one_machine=load.wire_address(conf).startswith("unix:"))


def open_sealer(conf: cfg.ConfigOpts) -> seal.Sealer:
    """What seals and opens secrets, with the installation's key."""
    return seal.Sealer(seal.load_or_create_key(load.in_state(conf, conf.secrets.key_file, "secret.key")))


def ratios(conf: cfg.ConfigOpts) -> Ratios:
    """How far a host may be promised more than once."""
    chosen = conf.scheduler
    return Ratios(
        cpu=chosen.cpu_allocation_ratio, memory=chosen.ram_allocation_ratio, disk=chosen.disk_allocation_ratio
    )


def settings(conf: cfg.ConfigOpts) -> Settings:
    """Defaults and limits of the use cases."""
    return Settings(
        default_cpus=conf.compute.default_cpu,
        default_memory_mib=conf.compute.default_memory_mib,
        default_disk_gib=conf.compute.default_disk_gib,
        default_pids_limit=conf.compute.default_pids_limit,
        minimum_cpus=conf.compute.minimum_cpus,
        maximum_cpus=conf.compute.maximum_cpus,
        minimum_memory_mib=conf.compute.minimum_memory_mib,
        maximum_memory_mib=conf.compute.maximum_memory_mib,
        minimum_disk_gib=conf.compute.minimum_disk_gib,
        maximum_disk_gib=conf.compute.maximum_disk_gib,
        default_pull_policy=PullPolicy(conf.compute.default_image_pull_policy),
        image_drivers=tuple(conf.cloud.image_drivers),
        volume_drivers=tuple(conf.cloud.volume_drivers),
        unique_name_scope=conf.compute.unique_container_name_scope,
        quota=Limits(
            containers=conf.quota.containers, cpu=conf.quota.cpu, memory=conf.quota.memory, disk=conf.quota.disk
        ),
        ratios=ratios(conf),
        quota_local_volumes=conf.quota.local_volumes,
        registries=tuple(conf.compute.registries),
        host_down_after_s=conf.scheduler.host_down_after_s,
        live_timeout_s=conf.api.live_timeout_s,
        threads=conf.api.threads,
    )


class AgentQuestions:
    """Puts live questions to whichever agent they are for (the use cases' ``Ask``); a client per agent is kept for ``kept_s`` after its last."""

    def __init__(self, ca_file: str | None = None, *, kept_s: float = 600.0) -> None:
        self._ca_file = ca_file
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], tuple[float, LiveClient]] = {}

    def ask(
        self,
        address: str,
        token: str,
        *,
        pod: str,
        container: str,
        question: str,
        body: object,
        answer: type[Answer],
        timeout_s: float,
    ) -> Answer:
        """Put one question and give its answer."""
        return self.client(address, token).ask(pod, container, question, body, answer, timeout_s=timeout_s)

    def get_archive(
        self, address: str, token: str, *, pod: str, container: str, path: str, timeout_s: float
    ) -> AbstractContextManager[tuple[contract.PathStatAnswer, Iterator[bytes]]]:
        """What is at a path, and its tar in chunks."""
        return self.client(address, token).get_archive(pod, container, path, timeout_s=timeout_s)

    def put_archive(
        self, address: str, token: str, *, pod: str, container: str, path: str, tar: Iterable[bytes], timeout_s: float
    ) -> None:
        """Send a tar to be unpacked."""
        self.client(address, token).put_archive(pod, container, path, tar, timeout_s=timeout_s)

    def commit_archive(
        self, address: str, token: str, *, pod: str, container: str, timeout_s: float
    ) -> AbstractContextManager[Iterator[bytes]]:
        """An archive of an image made of the container, in chunks."""
        return self.client(address, token).commit_archive(pod, container, timeout_s=timeout_s)

    def client(self, address: str, token: str) -> LiveClient:
        """The client of one agent; an agent that started anew has a new token and so a new client.

        One that nobody asked for in a while is forgotten, not closed: its connections end with the last question that uses it.
        """
        now = time.monotonic()
        with self._lock:
            known = self._clients.get((address, token))
            client = LiveClient(address, token, ca_file=self._ca_file) if known is None else known[1]
            self._clients[(address, token)] = (now, client)
            for old in [key for key, (asked_at, _) in self._clients.items() if now - asked_at > self._kept_s]:
                del self._clients[old]
        return client
