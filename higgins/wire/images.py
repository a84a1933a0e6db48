"""Hands image data on to agents as fast as each of them takes it, and no faster. Knows aiohttp and no Glance.

What is read blocks, so it is read on threads; what is written waits for the agent, so that no more than a chunk of an image is in memory.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from aiohttp import web

from higgins.core import errors

LOG = logging.getLogger(__name__)

Opened = AbstractContextManager[tuple[int, Iterator[bytes]]]


class ImageSource(Protocol):
    """Where images are; ``cloud.glance.Glance`` is one. Blocks."""

    def download(self, uuid: str, offset: int = 0) -> Opened:
        """How many bytes are to come from an offset on, and these in chunks; raises ``core.errors``."""
        ...


class Courier:
    """Answers requests for image data; at most ``threads`` chunks are read at one moment, for any number of agents."""

    def __init__(self, source: ImageSource, *, threads: int = 8) -> None:
        self._source = source
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="wire-image")

    def close(self) -> None:
        """End the threads once what they read is there."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def send(self, request: web.Request, uuid: str, offset: int) -> web.StreamResponse:
        """Stream an image; when its source breaks off, so does the answer, short of the length that it announced."""
        ask = asyncio.get_running_loop().run_in_executor
        opened = self._source.download(uuid, offset)
        size, chunks = await ask(self._pool, opened.__enter__)
        try:
            response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
            response.content_length = size
            await response.prepare(request)
            while chunk := await ask(self._pool, next, chunks, b""):
                await response.write(chunk)
            await response.write_eof()
        except errors.HigginsError as error:
            LOG.warning("The data of image %s broke off: %s", uuid, error.message)
            if request.transport is not None:
                request.transport.close()
        finally:
            # Not awaited: when the agent went away, this coroutine is being cancelled.
            self._pool.submit(opened.__exit__, None, None, None)
        return response
