"""An engine that is not there: keeps containers in memory or in a directory, and behaves as their environment asks.

The address is ``fake:`` (in memory, gone with the process) or ``fake:///DIRECTORY`` (outlives the process and may be shared by
several). Its query sets what every call takes, in seconds: ``create_s``, ``start_s``, ``stop_s``, ``remove_s``, ``pull_s``;
``installation=ID`` is taken and means nothing, since nobody else lives here. ``health_clock=none`` makes the engine one whose
health checks somebody else must run.

A container's command is played by a tiny shell (``echo``, ``sleep``, ``exit``, ``true``, ``false``, ``cat``, ``env``,
``hostname``, ``pwd``, ``trap 'exit 0' TERM``); without a command, or with one that it does not know, a container runs until it is stopped.
The container's environment then overrides:

* ``FAKE_RUN_FOR_S`` ends it by itself after so long, ``FAKE_EXIT_CODE`` with that code, ``FAKE_OOM=1`` as killed for memory.
* ``FAKE_CREATE_S``, ``FAKE_START_S``, ``FAKE_REMOVE_S``: how long that call takes. ``FAKE_STOP_S``: how long it takes to end when asked.
* ``FAKE_IGNORE_TERM=1``: it ends only when it is killed, after the whole timeout of a stop.
* ``FAKE_CREATE_ERROR``, ``FAKE_START_ERROR``, ``FAKE_STOP_ERROR``, ``FAKE_REMOVE_ERROR``: the call fails with this text; a text
  such as ``Unavailable: try later`` names the class of ``higgins.core.errors`` (else ``Invalid``).
  ``FAKE_START_ERROR_TIMES=2`` (and so on) fails only the first two tries.
* ``FAKE_LOG``, ``FAKE_LOG_STDERR``: what it writes at each start. ``FAKE_HEALTH``: what its health check finds (healthy).
* ``FAKE_MEMORY_MIB``: the memory it uses (1). ``FAKE_START_LOST=1``: the start happens, and its answer is lost (``Unavailable``).

Every image can be pulled, except that a word in its path asks for trouble: ``missing`` (``ImageNotFound``), ``forbidden``
(``Unauthorized`` without a login), ``unreachable`` (``Unavailable``); ``slow-2s`` takes two seconds.
"""

from higgins.engine.fake.driver import FakeEngine, open_engine

__all__ = ["FakeEngine", "open_engine"]
