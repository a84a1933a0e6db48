"""The command as a process: what it loads, its streams, its signals and its exit codes."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios

from higgins.cli.main import VERBS
from tests.contract.cli_alone.cli_double import HASTY, PASSWORD, REPOSITORY

HEAVY = ("requests", "httpx", "keystoneauth1", "openstack", "rich", "msgspec", "sqlalchemy", "asyncio", "higgins.core")


def test_a_list_loads_nothing_heavy(cloud, process, state):
    cloud.add("web")
    code = (
        "import sys, higgins.cli.main as m\n"
        "try: m.main()\n"
        f"finally: print([n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--state", str(state), "ps"],
        capture_output=True, text=True, timeout=240, check=False, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0
    assert "web" in done.stdout
    assert done.stderr.splitlines()[-1] == "[]"


def test_every_verb_has_its_help(run):
    for verb in VERBS:
        result = run(verb, "--help")
        assert result.exit_code == 0, verb
        assert result.stdout.startswith("Usage: higgins"), verb
    listed = run("--help").stdout
    assert all(f"  {verb}  " in listed for verb in VERBS)


def test_a_verb_that_is_not_there(run):
    result = run("strt", "web")
    assert result.exit_code == 2
    assert "Did you mean start?" in result.stderr


def test_a_process_ends_with_the_code_of_the_container(cloud, process):
    cloud.scripts["noisy"] = ([("stdout", "2026-01-02T03:04:05.000000001Z", "one\n")], 42)
    done = process("run", "noisy")
    assert (done.returncode, done.stdout, done.stderr) == (42, "one\n", "")


def test_ctrl_c_leaves_the_container_running_and_says_how_to_look(cloud, process):
    cloud.scripts["noisy"] = ([("stdout", "2026-01-02T03:04:05.000000001Z", f"{i}\n") for i in range(100000)], 0)
    child = process("run", "--name", "talk", "noisy", popen=True)
    assert child.stdout.readline() == "0\n"
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=240)
    assert child.returncode == 130
    assert "higgins logs -f talk" in told
    assert "Traceback" not in told
    (container,) = cloud.containers.values()
    assert container["status"] == "Running"


def test_a_reader_that_goes_away_is_no_failure_of_the_program(cloud, process):
    container = cloud.add("web")
    cloud.hidden[container["uuid"]]["logs"] = [("stdout", "2026-01-02T03:04:05.1Z", "x" * 1000 + "\n")] * 1000
    child = process("logs", "web", popen=True)
    child.stdout.close()
    told = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=240) == 1
    assert told == ""


def test_pulls_are_told_in_lines_where_there_is_no_terminal(cloud, process):
    cloud.hold = True
    child = process("run", "-d", "busybox", popen=True)
    line = child.stderr.readline()
    cloud.hold = False
    out, _ = child.communicate(timeout=240)
    assert line == "pull busybox: 10/40 MiB\n"
    assert child.returncode == 0
    assert out.strip() in cloud.containers


def test_what_keeps_a_container_waiting_is_told_once(cloud, process):
    cloud.hold = True
    child = process("run", "-d", "busybox", popen=True)
    told = [child.stderr.readline()]
    (container,) = cloud.containers.values()
    container["status_reason"] = "The registry does not answer. It is tried again."
    told.append(child.stderr.readline())
    cloud.hold = False
    _, rest = child.communicate(timeout=240)
    assert told == ["pull busybox: 10/40 MiB\n", "The registry does not answer. It is tried again.\n"]
    assert "does not answer" not in rest


def on_terminal(command, state, until):
    """Run the command on a pseudo-terminal and give what it wrote; ``until`` is called with it as it comes."""
    main, side = pty.openpty()
    fcntl.ioctl(main, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    # A test worker is told a width of its own, which would win over the terminal's.
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    child = subprocess.Popen(
        [sys.executable, "-c", HASTY, "--state", str(state), *command],
        stdin=side, stdout=side, stderr=side, close_fds=True, env={**inherited, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm"},
    )  # fmt: skip
    os.close(side)
    seen = b""
    while True:
        try:
            data = os.read(main, 65536)
        except OSError:  # Linux says so when the other side is closed
            break
        if not data:
            break
        seen += data
        until(seen)
    os.close(main)
    return child.wait(timeout=240), seen.decode()


def test_a_terminal_gets_a_bar_while_an_image_is_pulled(cloud, state):
    cloud.hold = True

    def let_go(seen):
        if b"10/40 MiB" in seen:
            cloud.hold = False

    code, seen = on_terminal(["run", "-d", "busybox"], state, let_go)
    assert code == 0
    assert "pull busybox: 10/40 MiB" in seen
    assert seen.replace("\r", "").rstrip("\n").endswith(next(iter(cloud.containers)))


def test_a_terminal_gets_bold_headers_and_lines_that_fit(cloud, state):
    cloud.add("a" * 50)
    _, seen = on_terminal(["ps"], state, lambda seen: None)
    header, line = seen.replace("\r", "").splitlines()
    assert header.startswith("\x1b[1mID ")
    assert len(line) <= 60
    assert "aaa…  busybox  Up" in line
    assert "10.88.0.5" in line


def test_debug_shows_requests_without_credentials(cloud, process):
    done = process("--debug", "ps")
    assert "GET http://127.0.0.1:" in done.stderr
    assert PASSWORD not in done.stderr
    assert cloud.basic not in done.stderr


def test_a_fault_of_the_program_shows_no_traceback(cloud, process, state):
    cloud.add("web", image=None, created_at=5)  # no service answers so
    done = process("ps")
    assert done.returncode == 1
    assert "fault of the program itself" in done.stderr
    assert "Traceback" not in done.stderr
