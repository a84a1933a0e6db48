"""What time, signals and a container's own environment do to it. Works on one record; knows no store and no clock of its own."""

from __future__ import annotations

import datetime
import re

from higgins.core import errors, model
from higgins.core.phase import EngineState, Health
from higgins.engine import api
from higgins.engine.fake import script
from higgins.engine.fake.store import Record

SIGNALS = {
    "HUP": 1,
    "INT": 2,
    "QUIT": 3,
    "KILL": 9,
    "USR1": 10,
    "USR2": 12,
    "TERM": 15,
    "CONT": 18,
    "STOP": 19,
    "WINCH": 28,
}
HARMLESS = ("CONT", "STOP", "WINCH", "USR1", "USR2", "HUP")


def error_named(text: str) -> errors.HigginsError:
    """The error that a ``FAKE_*_ERROR`` asks for."""
    name, colon, message = text.partition(": ")
    kind = getattr(errors, name, None) if colon else None
    if isinstance(kind, type) and issubclass(kind, errors.HigginsError):
        return kind(message)
    return errors.Invalid(text)


def pull_time_s(name: str, default_s: float) -> float:
    """How long a pull of that image takes."""
    found = re.search(r"slow-([0-9.]+)s", name)
    return float(found[1]) if found else default_s


def refuse_pull(name: str, login: model.RegistryLogin | None) -> None:
    """Raise what the image's name asks for."""
    if "missing" in name:
        raise errors.ImageNotFound(f"The registry has no image {name}. Check its name and tag.")
    if "forbidden" in name and (login is None or not login.password):
        raise errors.ImageNotFound(
            f"The registry does not let us pull {name}. Give a registry with a user name and a password."
        )
    if "unreachable" in name:
        raise errors.Unavailable(f"The registry of {name} does not answer.")


def refuse_creation(creation: api.Creation) -> None:
    """Raise what a real engine would not take."""
    spec = creation.spec
    if spec.runtime not in (None, "fake", "runc"):
        raise errors.Unsupported(f"This host has no runtime called '{spec.runtime}'. It has: fake, runc.")
    if spec.memory_mib is not None and spec.memory_mib < 6:
        raise errors.Invalid("The least memory that a container can have is 6 MiB.")


def begin(record: Record, now: float) -> None:
    """Start, or start again, at a time."""
    spec = record.creation.spec
    command = (spec.entrypoint or ()) + (spec.command or ())
    hostname = record.creation.hostname or spec.uuid[:12]
    scene = script.Scene(
        environment=spec.environment, files=record.files, hostname=hostname, workdir=spec.workdir or "/"
    )
    scene.run_for_s = 0.0 if command else None
    if command:
        script.play(command, scene)
    for name, stream in (("FAKE_LOG", "stdout"), ("FAKE_LOG_STDERR", "stderr")):
        if name in spec.environment:
            scene.output.append((stream, spec.environment[name] + "\n"))
    run_for = spec.environment.get("FAKE_RUN_FOR_S")
    run_for_s = float(run_for) if run_for is not None else scene.run_for_s
    record.state, record.started_at = EngineState.RUNNING, now
    record.ends_at = None if run_for_s is None else now + run_for_s
    record.paused_at = record.finished_at = record.exit_code = record.restarts_at = None
    record.oom_killed, record.end_error, record.traps = False, "", scene.traps
    record.output.extend((now, stream, text) for stream, text in scene.output)
    record.planned_code = 137 if _wants_oom(record) else int(spec.environment.get("FAKE_EXIT_CODE", scene.exit_code))


def _wants_oom(record: Record) -> bool:
    return record.creation.spec.environment.get("FAKE_OOM", "") == "1"


def finish(record: Record, now: float, code: int) -> None:
    """End at a time."""
    record.state, record.finished_at, record.exit_code = EngineState.STOPPED, now, code
    record.ends_at = record.paused_at = record.restarts_at = None


def settle(record: Record, now: float) -> Record:
    """The record as it is at a time: a container whose end has passed has ended, or was started again by its restart policy."""
    while True:
        if record.state is EngineState.RUNNING and record.ends_at is not None and record.ends_at <= now:
            _end_by_itself(record, record.ends_at)
        elif record.restarts_at is not None and record.restarts_at <= now:
            record.restarts += 1
            begin(record, record.restarts_at)
        else:
            return record


def _end_by_itself(record: Record, end: float) -> None:
    finish(record, end, record.planned_code)
    record.oom_killed = _wants_oom(record)
    policy = record.creation.spec.restart_policy
    tries_left = policy.maximum_retry_count == 0 or record.restarts < policy.maximum_retry_count
    failed = policy.name == "on-failure" and record.exit_code != 0 and tries_left
    if failed or policy.name in ("always", "unless-stopped"):
        record.restarts_at = end + min(60.0, 0.1 * 2.0**record.restarts)


def code_of(record: Record, signal: str) -> int | None:
    """Exit code with which a signal ends the container; ``None`` when it goes on."""
    name = signal.upper().removeprefix("SIG")
    number = int(name) if name.isdigit() else SIGNALS.get(name)
    if number is None:
        raise errors.Invalid(f"There is no signal called '{signal}'. Use a name such as TERM or a number.")
    if name in record.traps:
        return record.traps[name]
    ignored = record.creation.spec.environment.get("FAKE_IGNORE_TERM") == "1" and number != SIGNALS["KILL"]
    harmless = number in [SIGNALS[each] for each in HARMLESS]
    return None if ignored or harmless else 128 + number


def ending(record: Record, signal: str, timeout_s: int) -> tuple[float, int]:
    """How long a stop takes, and the exit code."""
    code = code_of(record, signal)
    takes_s = float(record.creation.spec.environment.get("FAKE_STOP_S", "0"))
    if code is None or takes_s > timeout_s:
        return float(timeout_s), 128 + SIGNALS["KILL"]
    return takes_s, code


def health(record: Record) -> Health | None:
    """What the health check finds; nothing without one, or while it does not run."""
    if record.creation.spec.healthcheck is None or record.state is not EngineState.RUNNING:
        return None
    return Health(record.creation.spec.environment.get("FAKE_HEALTH", "healthy"))


def facts(uuid: str, record: Record) -> model.ContainerFacts:
    """The record in the words of the protocol."""
    running = record.state in (EngineState.RUNNING, EngineState.PAUSED)
    address = model.Address(network="bridge", addr=record.address) if running and record.address else None
    spec = record.creation.spec
    return model.ContainerFacts(
        uuid=uuid,
        pod=record.creation.pod,
        state=record.state,
        build=record.creation.build,
        engine_id=f"fake-{uuid}",
        exit_code=record.exit_code,
        error=spec.environment.get("FAKE_ERROR", "") if record.state is EngineState.STOPPED else "",
        oom_killed=record.oom_killed,
        started_at=_when(record.started_at),
        finished_at=_when(record.finished_at),
        health=health(record),
        image_digest=record.digest,
        cpus=record.cpus,
        cpu_shares=spec.cpu_shares,
        memory_mib=record.memory_mib,
        addresses=(address,) if address else (),
        exposed_ports=tuple(sorted({int(port.split("/")[0]) for port in spec.exposed_ports})),
        processors=record.creation.processors if spec.dedicated_cpus else "",
    )


def _when(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.UTC)
