"""Takes out of a living container's spec what it was to be connected to and cannot be, so that a failed attach fails alone.

Called by provisioning within its transaction: specs are the use cases' to write. Knows nothing of why it could not be.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from higgins.core.phase import Wish
from higgins.store import actions, pods
from higgins.store.pods import Pod
from higgins.store.seal import Sealer
from higgins.store.session import Transaction


def take_out(
    tx: Transaction, pod: Pod, sealer: Sealer, *, networks: Collection[str], groups: Collection[str], reason: str
) -> None:
    """Write the spec without the networks of these keys and these groups, as a wish of its own, and end the wishes for them as failed.

    Every other wish goes on. ``Overtaken`` when the pod was changed meanwhile: then nothing was changed.
    """
    spec = pods.open_spec(pod, sealer)
    wished = {one.generation for one in spec.networks if one.key in networks}
    spec = dataclasses.replace(
        spec,
        networks=tuple(one for one in spec.networks if one.key not in networks),
        security_groups=tuple(one for one in spec.security_groups if one not in groups),
    )
    wish = Wish.NETWORK_DETACH if networks else Wish.REMOVE_SECURITY_GROUP
    pods.change(tx, pod, wish=wish, request_id=pod.request_id, sealer=sealer, spec=spec)
    if networks:  # of one that was attached by a release which did not note its wish, every attach fails
        of = () if 0 in wished else wished
        actions.finish_wishes(tx, pod.uuid, pod.generation, error=reason, only=Wish.NETWORK_ATTACH, of=of)
    if groups:
        actions.finish_wishes(tx, pod.uuid, pod.generation, error=reason, only=Wish.ADD_SECURITY_GROUP)
