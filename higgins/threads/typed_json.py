"""JSON read as our types, by any number of threads.

msgspec learns a type the first time that it reads one, and a process in which two threads do so at once may end in a segmentation fault (seen with
0.22 on Python 3.11). So types are learnt here alone, one after the other. Knows none of them.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

Kind = TypeVar("Kind")

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_learning = threading.Lock()


def decode(data: bytes | str, kind: type[Kind]) -> Kind:
    """What the text says, as this type; ``msgspec.MsgspecError`` when it is none."""
    decoder = _decoders.get(kind)
    if decoder is None:
        with _learning:
            decoder = _decoders[kind] = _decoders.get(kind) or msgspec.json.Decoder(kind)
    found: Kind = decoder.decode(data)
    return found
