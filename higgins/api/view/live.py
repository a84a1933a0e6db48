"""What a host answers to live questions, in JSON: the shapes are Docker's, as Zun passed them on."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from higgins.core.units import MIB, bytes_to_mib
from higgins.wire import contract


def stats(name: str, found: contract.StatsAnswer) -> dict[str, Any]:
    """What a container uses."""
    limit_bytes = found.memory_limit_bytes
    return {
        "CONTAINER": name,
        "CPU %": round(found.cpu_percent, 2),
        "MEM USAGE(MiB)": round(found.memory_bytes / MIB, 2),
        "MEM LIMIT(MiB)": bytes_to_mib(limit_bytes),
        "MEM %": round(100 * found.memory_bytes / limit_bytes, 2) if limit_bytes else 0,
        "BLOCK I/O(B)": f"{found.block_read_bytes}/{found.block_write_bytes}",
        "NET I/O(B)": f"{found.net_rx_bytes}/{found.net_tx_bytes}",
    }


def path_stat(found: contract.PathStatAnswer) -> dict[str, Any]:
    """What is at a path."""
    return {
        "name": found.name,
        "size": found.size,
        "mode": found.mode,
        "mtime": found.mtime,
        "linkTarget": found.link_target,
    }


def archive(stat: contract.PathStatAnswer, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The JSON of an archive in pieces: never more of it is in memory than one chunk."""
    head = b'{"stat":' + msgspec.json.encode(path_stat(stat)) + b',"data":"'
    left = b""
    for chunk in chunks:
        left += chunk
        whole = len(left) - len(left) % 3  # base64 writes three bytes as four letters
        yield head + base64.b64encode(left[:whole])
        head, left = b"", left[whole:]
    yield head + base64.b64encode(left) + b'"}'
