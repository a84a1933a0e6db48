"""Plays a container's command without running anything: what it would write, how long, with which exit code. Pure."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Callable, Mapping


@dataclasses.dataclass(slots=True, kw_only=True)
class Scene:
    """What a command can see, and what it did. ``run_for_s`` is ``None`` for a command that never ends."""

    environment: Mapping[str, str]
    files: dict[str, bytes]
    hostname: str = ""
    workdir: str = "/"
    output: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    run_for_s: float | None = 0.0
    exit_code: int = 0
    ended: bool = False
    traps: dict[str, int] = dataclasses.field(default_factory=dict)


def play(command: tuple[str, ...], scene: Scene) -> Scene:
    """The scene after the command; an unknown program never ends."""
    if len(command) >= 3 and command[0].rsplit("/", 1)[-1] in ("sh", "bash") and command[1] in ("-c", "-ec"):
        for line in command[2].replace("\n", ";").split(";"):
            if line.strip() and not scene.ended:
                _one(tuple(shlex.split(line)), scene)
    else:
        _one(command, scene)
    return scene


def _one(words: tuple[str, ...], scene: Scene) -> None:
    stream, target = "stdout", None
    if ">&2" in words or "1>&2" in words:
        stream, words = "stderr", tuple(word for word in words if word not in (">&2", "1>&2"))
    if ">" in words:
        place = words.index(">")
        words, target = words[:place], words[place + 1]
    words = tuple(_expand(word, scene.environment) for word in words)
    program = _PROGRAMS.get(words[0].rsplit("/", 1)[-1])
    if program is None:
        scene.run_for_s, scene.ended = None, True
        return
    text = program(words[1:], scene)
    if target is not None:
        scene.files[target] = text.encode()
    elif text:
        scene.output.append((stream, text))


def knows(command: tuple[str, ...]) -> bool:
    """Whether the first word is a program that can be played."""
    name = command[0].rsplit("/", 1)[-1]
    return name in _PROGRAMS or (name in ("sh", "bash") and len(command) >= 3)


def _expand(word: str, environment: Mapping[str, str]) -> str:
    for name, value in environment.items():
        word = word.replace(f"${name}", value)
    return word


def _echo(words: tuple[str, ...], scene: Scene) -> str:
    scene.exit_code = 0
    return " ".join(words) + "\n"


def _sleep(words: tuple[str, ...], scene: Scene) -> str:
    if scene.run_for_s is not None and words:
        scene.run_for_s += float(words[0])
    return ""


def _exit(words: tuple[str, ...], scene: Scene) -> str:
    scene.exit_code, scene.ended = int(words[0]) if words else scene.exit_code, True
    return ""


def _true(words: tuple[str, ...], scene: Scene) -> str:
    scene.exit_code = 0
    return ""


def _false(words: tuple[str, ...], scene: Scene) -> str:
    scene.exit_code = 1
    return ""


def _cat(words: tuple[str, ...], scene: Scene) -> str:
    scene.exit_code = 0 if all(word in scene.files for word in words) else 1
    return "".join(scene.files.get(word, b"").decode(errors="replace") for word in words)


def _env(words: tuple[str, ...], scene: Scene) -> str:
    scene.exit_code = 0
    return "".join(f"{name}={value}\n" for name, value in scene.environment.items())


def _hostname(words: tuple[str, ...], scene: Scene) -> str:
    return scene.hostname + "\n"


def _pwd(words: tuple[str, ...], scene: Scene) -> str:
    return scene.workdir + "\n"


def _trap(words: tuple[str, ...], scene: Scene) -> str:
    action, *signals = words
    scene.traps.update({name: int(action.partition("exit")[2] or 0) for name in signals})
    return ""


_PROGRAMS: dict[str, Callable[[tuple[str, ...], Scene], str]] = {
    "echo": _echo,
    "sleep": _sleep,
    "exit": _exit,
    "trap": _trap,
    "true": _true,
    "false": _false,
    "cat": _cat,
    "env": _env,
    "hostname": _hostname,
    "pwd": _pwd,
}
