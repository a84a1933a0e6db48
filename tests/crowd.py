"""Users who work side by side while things break, and the count at the end: what was accepted happened exactly once."""

from __future__ import annotations

import http.client
import random
import threading

from tests.whole import new_key, until

STARTED = {"FAKE_LOG": "started", "FAKE_CREATE_S": "0.03", "FAKE_START_S": "0.03", "FAKE_REMOVE_S": "0.03"}


def starts(site, uid):
    engine = site.engine()
    try:
        return b"".join(engine.logs(uid)).count(b"started")
    finally:
        engine.close()


MOST_EACH = 8
"""Containers of one user, so that three stay below the quota."""


class Users:
    """Three who create, restart, stop and delete until the ``with`` ends, and write down what the service accepted.

    A lost answer to a create is asked for again with its key.
    """

    def __init__(self, site, seed):
        self.site, self.seed = site, seed
        self.over = threading.Event()
        self.accepted = {}
        self.uncertain = set()
        self.stopped = set()
        self.gone = set()
        self.failures = []
        self.threads = [threading.Thread(target=self.live, args=(number,)) for number in range(3)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def live(self, number):
        dice = random.Random(f"{self.seed} {number}")
        mine = []
        try:
            while not self.over.wait(dice.uniform(0, 0.1)):
                verb = dice.choice(["create", "create", "reboot", "stop", "start", "delete"])
                if not mine or (verb == "create" and len(mine) < MOST_EACH):
                    mine += self.create()
                elif verb != "create":
                    self.change(dice.choice(mine), verb, mine)
        except Exception as error:
            self.failures.append(error)
            raise

    def create(self):
        key = new_key()
        headers = {"Idempotency-Key": key}
        body = {"image": "busybox", "cpu": 0.1, "environment": STARTED}

        def asked():
            reply = self.site.request("POST", "/v1/containers?run=true", body, headers=headers)
            return reply if reply.status != 503 else None

        reply = until(asked, "the create is answered")
        if (
            reply.status == 403
        ):  # what is deleted counts until it is gone, which takes long while the controller is dead
            return []
        assert reply.status == 202, reply
        uid = reply.json["uuid"]
        self.accepted[uid] = 1
        return [uid]

    def change(self, uid, verb, mine):
        paths = {"delete": ("DELETE", f"/v1/containers/{uid}?stop=true")}
        method, path = paths.get(verb, ("POST", f"/v1/containers/{uid}/{verb}"))
        try:
            reply = self.site.request(method, path)
        except (OSError, http.client.HTTPException):
            # Accepted or not: nobody knows, so the end is asked of the service itself.
            self.uncertain.add(uid)
            if verb == "delete":
                mine.remove(uid)
            return
        assert reply.status in (202, 204, 404, 409, 503), reply
        if reply.status == 202 and verb in ("reboot", "start"):
            self.accepted[uid] += 1
            self.stopped.discard(uid)
        elif reply.status == 202:
            self.stopped.add(uid)
        elif reply.status == 204:
            self.gone.add(uid)
            mine.remove(uid)


def check(site, users):
    """Nothing stuck, leaked, lost, or started more often than was asked; what is counted is what is."""
    assert users.failures == []
    site.mended()
    site.settled()
    listed = {row["uuid"]: row for row in site.stubborn("GET", "/v1/containers?limit=1000").json["containers"]}
    on_engine = site.on_engine()
    assert set(listed) == set(on_engine)
    assert set(listed) | users.gone | users.uncertain >= set(users.accepted), "an accepted create was lost"
    assert not users.gone & set(listed), "an accepted delete was lost"
    assert {row["task_state"] for row in listed.values()} <= {None}
    assert site.usage() == (len(listed), 512 * len(listed))
    for uid in listed:
        counted, most = starts(site, uid), users.accepted.get(uid, 0) + (uid in users.uncertain)
        assert counted <= most, f"{uid} was started {counted} times, asked for at most {most}"
        if uid in users.uncertain:
            continue
        assert listed[uid]["status"] == ("Stopped" if uid in users.stopped else "Running"), listed[uid]
        assert counted >= 1 or uid in users.stopped
