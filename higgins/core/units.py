"""Conversions between the units that the API, the store and the engines speak. Pure."""

from __future__ import annotations

MIB = 1024 * 1024
GIB = 1024 * MIB


def mib_to_bytes(mib: int) -> int:
    """Bytes in ``mib`` mebibytes."""
    return mib * MIB


def bytes_to_mib(size_bytes: int) -> int:
    """Whole mebibytes in ``size_bytes``, rounded down."""
    return size_bytes // MIB


def cpus_to_milli(cpus: float) -> int:
    """Thousandths of a processor, so that sums of claims stay whole numbers."""
    return round(cpus * 1000)


def milli_to_cpus(milli: int) -> float:
    """Processors in ``milli`` thousandths."""
    return milli / 1000
