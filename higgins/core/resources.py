"""What Placement calls the things that hosts have and pods take: resource classes in whole numbers, and names of traits. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from higgins.core import units

VCPU, PCPU, MEMORY_MB, DISK_GB = "VCPU", "PCPU", "MEMORY_MB", "DISK_GB"

WORDS: Mapping[str, str] = {
    VCPU: "processors",
    PCPU: "dedicated processors",
    MEMORY_MB: "memory",
    DISK_GB: "disk space",
}
"""The resource classes in a user's words."""

DISABLED = "COMPUTE_STATUS_DISABLED"
"""The standard trait of a provider that shall get nothing new."""


class Sized(Protocol):
    """What says how much a pod takes."""

    @property
    def cpu_milli(self) -> int:
        """Thousandths of a processor; 0 is no limit, here and below."""
        ...

    @property
    def dedicated_cpus(self) -> int:
        """How many of these processors it has for itself: all or none."""
        ...

    @property
    def memory_mib(self) -> int:
        """Mebibytes of memory."""
        ...

    @property
    def disk_gib(self) -> int:
        """Gibibytes on the host's own disk."""
        ...


_ARCHITECTURES = {
    "x86_64": "HW_ARCH_X86_64",
    "amd64": "HW_ARCH_X86_64",
    "aarch64": "HW_ARCH_AARCH64",
    "arm64": "HW_ARCH_AARCH64",
    "ppc64le": "HW_ARCH_PPC64LE",
    "s390x": "HW_ARCH_S390X",
}


def shared_cpu_milli(of: Sized) -> int:
    """What it takes of the processors that are nobody's own."""
    return of.cpu_milli - units.cpus_to_milli(of.dedicated_cpus)


def amounts(of: Sized) -> dict[str, int]:
    """What a pod of this size takes; a part of a processor counts as a whole one, and nothing is taken of what is not limited."""
    taken = {
        VCPU: -(-shared_cpu_milli(of) // 1000),
        PCPU: of.dedicated_cpus,
        MEMORY_MB: of.memory_mib,
        DISK_GB: of.disk_gib,
    }
    return {name: amount for name, amount in taken.items() if amount > 0}


def shape(taken: Mapping[str, int]) -> str:
    """The amounts as one word of up to 64 characters, the same for the same amounts."""
    return ",".join(f"{name}:{taken[name]}" for name in sorted(taken))


def words(names: Mapping[str, object] | set[str] | frozenset[str]) -> str:
    """Resource classes as a user reads them: ``processors and memory``."""
    return " and ".join(word for name, word in WORDS.items() if name in names)


def no_room(name: str | None) -> str:
    """The sentence for a user whose pod finds no more of a resource class on its host; ``None`` when it is not known of which."""
    what = WORDS.get(name or "", "room")
    return f"The container's host has not enough {what} left for this size. Ask for less, or delete other containers and try again."


def trait(*parts: str) -> str:
    """A trait of our own: ``CUSTOM_HIGGINS_`` and the parts, in the letters that Placement allows."""
    return re.sub(r"[^A-Z0-9_]", "_", "_".join(("CUSTOM", "HIGGINS", *parts)).upper())[:255]


def architecture(name: str) -> str:
    """The trait of a processor architecture: the standard one where there is one."""
    return _ARCHITECTURES.get(name.lower()) or trait("ARCH", name)
