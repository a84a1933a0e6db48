"""What the wire's clients do when a connection that they kept breaks: ask again what may be asked again, and nothing else."""

from __future__ import annotations

import http.client
import pathlib
import socket
import threading
from collections.abc import Iterator

import msgspec
import pytest

from higgins.cmd.parts import AgentQuestions
from higgins.core import errors
from higgins.wire import contract
from higgins.wire.client import LiveClient

ANSWERS: dict[str, object] = {
    "exec": contract.ExecAnswer(output="", exit_code=0),
    "top": contract.TopAnswer(titles=(), rows=()),
    "signal": contract.Nothing(),
}
QUESTIONS: dict[str, object] = {
    "exec": contract.ExecQuestion(command=("true",)),
    "top": contract.TopQuestion(),
    "signal": contract.SignalQuestion(signal="SIGHUP"),
}


class Agent:
    """Answers questions over kept connections until it is told to break one off: after it has read the next question, or at once."""

    def __init__(self, path: pathlib.Path) -> None:
        self.address = f"unix:{path}"
        self.asked: list[str] = []
        self.breaks_next = False
        self.closed = threading.Event()
        self._closes_after_answer = False
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def closes_after_answer(self) -> None:
        self._closes_after_answer = True

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                while self._answer(connection, lines):
                    pass
            self.closed.set()

    def _answer(self, connection: socket.socket, lines: object) -> bool:
        first = lines.readline()  # type: ignore[attr-defined]
        if not first:
            return False
        headers = http.client.parse_headers(lines)  # type: ignore[arg-type]
        lines.read(int(headers["Content-Length"]))  # type: ignore[attr-defined]
        question = first.split()[1].decode().rsplit("/", 1)[1]
        self.asked.append(question)
        if self.breaks_next:
            self.breaks_next = False
            return False
        body = msgspec.json.encode(ANSWERS[question])
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        ends, self._closes_after_answer = self._closes_after_answer, False
        return not ends


@pytest.fixture
def agent(tmp_path: pathlib.Path) -> Iterator[Agent]:
    agent = Agent(tmp_path / "live.sock")
    yield agent
    agent.stop()


@pytest.fixture
def client(agent: Agent) -> Iterator[LiveClient]:
    client = LiveClient(agent.address, "token")
    yield client
    client.close()


def ask(client: LiveClient, question: str) -> None:
    client.ask("c1", "c1", question, QUESTIONS[question], type(ANSWERS[question]))


@pytest.mark.parametrize("question", ["exec", "signal"])
def test_what_does_something_each_time_is_sent_once(agent: Agent, client: LiveClient, question: str) -> None:
    ask(client, "top")
    agent.breaks_next = True
    with pytest.raises(errors.Unavailable):
        ask(client, question)
    assert agent.asked == ["top", question]
    ask(client, question)


def test_what_only_asks_is_asked_again(agent: Agent, client: LiveClient) -> None:
    ask(client, "top")
    agent.breaks_next = True
    ask(client, "top")
    assert agent.asked == ["top", "top", "top"]


def test_a_connection_that_was_closed_while_idle_is_not_used(agent: Agent, client: LiveClient) -> None:
    agent.closes_after_answer()
    ask(client, "top")
    assert agent.closed.wait(60)
    ask(client, "exec")
    assert agent.asked == ["top", "exec"]


def test_an_old_token_does_not_end_the_questions_under_the_new_one(agent: Agent) -> None:
    questions = AgentQuestions()
    new = questions.client(agent.address, "new")
    questions.client(agent.address, "old")
    ask(new, "top")
    assert questions.client(agent.address, "new") is new


def test_clients_that_nobody_asks_for_are_forgotten_and_still_answer(agent: Agent) -> None:
    questions = AgentQuestions(kept_s=0.0)
    first = questions.client(agent.address, "token")
    questions.client("unix:/another", "token")
    assert questions.client(agent.address, "token") is not first
    ask(first, "top")
