"""Rules no stock linter knows: what may not be imported or written, and that the lock files say what pyproject.toml says."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from tests.check import tree

# Written so that these lines do not match themselves.
REGISTRY_HOSTS = re.compile(
    r"(pypi[.]org|python[h]osted|npmjs[.]|crates[.]io|proxy[.]golang|deb[.]debian[.]org)", re.IGNORECASE
)
LOCKS = {"requirements.txt": "project", "requirements-dev.txt": "dev", "requirements-build.txt": "build"}
PIN = re.compile(r"^([a-z0-9-]+)==([^ ]+)", re.MULTILINE)


def imports(path: tree.pathlib.PurePosixPath) -> set[str]:
    names = set()
    for node in ast.walk(tree.parsed(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def test_no_mocks() -> None:
    """A mock agrees with whoever wrote it; a fake has to pass the conformance suite of the real thing."""
    assert [str(path) for path in tree.python_files() if imports(path) & {"unittest.mock", "mock", "pytest_mock"}] == []


def test_no_eventlet() -> None:
    """The one that imports oslo.service has it use threads, in a process of os-brick's own."""
    found = [
        (str(path), name)
        for path in tree.python_files()
        for name in sorted({name.split(".")[0] for name in imports(path)} & {"eventlet", "greenlet", "oslo_service"})
    ]
    assert found == [("higgins/agent/hands/block/brick.py", "oslo_service")]


def test_types_are_learnt_in_one_place() -> None:
    """Two threads that have msgspec learn a type at once may end their process; ``threads/typed_json`` lets one at a time."""
    found = [
        (str(path), node.lineno)
        for path in tree.python_files()
        if path.parts[0] == "higgins" and path.name != "typed_json.py"
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Call)
        and (name := ast.unparse(node.func)).startswith("msgspec.")
        and (name.endswith("Decoder") or any(one.arg == "type" for one in node.keywords))
    ]
    assert found == []


def test_entry_points_only_load_engines() -> None:
    """Whoever else looked engines up by name would tie himself to one."""
    users = [
        str(path)
        for path in tree.python_files()
        if path.parts[0] == "higgins" and "importlib.metadata" in imports(path)
    ]
    assert all(
        user.startswith(("higgins/engine/", "higgins/cmd/", "higgins/cli/", "higgins/api/", "higgins/__init__"))
        for user in users
    ), users


def test_no_package_registry_is_named() -> None:
    """Where packages come from is the machine's own affair: a mirror, a proxy, a cache."""
    named = []
    for path in tree.files():
        try:
            text = (tree.TOP / path).read_text()
        except UnicodeDecodeError:
            continue
        named += [f"{path}: {match.group()}" for match in REGISTRY_HOSTS.finditer(text)]
    assert named == []


def canonical(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def wanted(kind: str) -> list[str]:
    described = tomllib.loads((tree.TOP / "pyproject.toml").read_text())
    project = described["project"]
    match kind:
        case "project":
            return list(project["dependencies"])
        case "dev":
            extras = project["optional-dependencies"]
            # The first names the other extras: higgins[...].
            return [
                *project["dependencies"],
                *(one for name in extras for one in extras[name] if canonical(one) != "higgins"),
            ]
        case _:
            return list(described["dependency-groups"]["build"])


def pins(lock: str) -> dict[str, str]:
    return dict(PIN.findall((tree.TOP / lock).read_text()))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for(lock: str) -> None:
    locked = pins(lock)
    assert [name for name in map(canonical, wanted(LOCKS[lock])) if name not in locked] == [], "run script/lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_version_satisfies_pyproject(lock: str) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    locked = pins(lock)
    for text in wanted(LOCKS[lock]):
        requirement = requirements.Requirement(text)
        assert requirement.specifier.contains(locked[canonical(requirement.name)], prereleases=True), (
            f"{text}: run script/lock"
        )


def test_every_lock_has_hashes_and_no_address() -> None:
    for lock in [*LOCKS, *(str(path) for path in tree.files() if path.suffix == ".lock")]:
        text = (tree.TOP / lock).read_text()
        assert "://" not in text, lock
        entries = re.split(r"\n(?=[a-z0-9])", text)
        bare = [entry.splitlines()[0] for entry in entries if PIN.match(entry) and "--hash=sha256:" not in entry]
        assert bare == [], lock


def test_the_locks_agree_with_each_other() -> None:
    run = pins("requirements.txt")
    for lock in ("requirements-dev.txt", "requirements-build.txt"):
        differing = {
            name: (run[name], version) for name, version in pins(lock).items() if run.get(name, version) != version
        }
        assert differing == {}, f"{lock}: run script/lock"
