"""Threads for what the kernel offers in blocking form only: writing to files, and looking up names.

On Linux a regular file is always "ready": ``O_NONBLOCK`` has no effect on it, epoll refuses it, and a write, an
open or a rename takes as long as the disk, the NFS server or a throttled block device takes. So these calls run in
threads. They are no part of the design beside that (docs/design.md, "Files are written by threads"):

* a job gets all it needs and returns all it found; nothing is shared with the loop, so nothing needs a lock;
* its result comes back as a call on the loop, woken by an eventfd(2);
* signals are blocked in all threads, since the mask is inherited, and no thread spawns or waits.

A few threads do for any number of files. Only when jobs wait although nothing comes back, because a disk stalls, are
there more: so one bad disk keeps nobody from a good one.
"""

import contextlib
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from supervisor.logs.targets import Loop

T = TypeVar("T")

_USUAL = 2
"""Threads while none of them stalls."""

_MOST = 64

_STALLED = 0.1
"""Seconds without a result, while jobs wait, after which there is one more thread."""

_SWITCH = 0.0005
"""Seconds after which the loop lets a thread go on that waits for the interpreter's lock, as it does after each of its
system calls. At Python's 5 ms a file gets 20 MB/s while the loop is busy reading what is to be written."""

_Job = Callable[[], Any]
_Done = Callable[[Any], object]


class Workers:
    """Runs jobs in threads; not more than a few at once unless they stall."""

    def __init__(self) -> None:
        """Make the eventfd.

        Raises:
            OSError: out of descriptors.
        """
        sys.setswitchinterval(_SWITCH)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._jobs: SimpleQueue[tuple[_Job, _Done] | None] = SimpleQueue()
        self._results: deque[tuple[_Done, Any]] = deque()
        self._loop: Loop | None = None
        self._watching = False  # a timer looks after the jobs that wait
        self._started: list[threading.Thread] = []
        self.threads = 0
        self.busy = 0  # jobs under way or waiting
        self._delivered = 0

    def attach(self, loop: Loop) -> None:
        """Bring results back by ``loop``."""
        if self._loop is None:
            self._loop = loop
            loop.add_reader(self._wake, self.deliver)

    def submit(self, job: Callable[[], T], done: Callable[[T | Exception], object]) -> None:
        """Run ``job`` in a thread, and then ``done`` with its result on the loop.

        Args:
            job: shares nothing with anybody.
            done: called once, with the exception where the job raised one.
        """
        self.busy += 1
        self._jobs.put((job, done))
        if self.busy > self.threads:
            if self.threads < _USUAL:
                self._add_thread()
            else:
                self._watch()

    def next_result(self, timeout: float) -> bool:
        """Block until something has come back and is delivered; False when nothing has within ``timeout`` seconds."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        if not poller.poll(max(timeout, 0) * 1000):
            return False
        self.deliver()
        return True

    def deliver(self) -> None:
        """Hand over the results there are."""
        with contextlib.suppress(BlockingIOError):  # an earlier call has delivered what this wake-up is about
            os.eventfd_read(self._wake)
        while self._results:
            done, result = self._results.popleft()
            self.busy -= 1
            self._delivered += 1
            try:
                done(result)
            finally:
                if self._results:
                    os.eventfd_write(self._wake, 1)  # a mistake in one does not hold up the others
        while self.threads > _USUAL and self.busy < self.threads:
            self.threads -= 1
            self._jobs.put(None)

    def close(self) -> None:
        """Let the threads end when they are done; one that is held up by a disk ends with the process."""
        if self._loop is not None:
            self._loop.remove_reader(self._wake)
            self._loop = None
        for _ in range(self.threads):
            self._jobs.put(None)
        self.threads = 0
        if not self.busy:
            for thread in self._started:  # one whose result is there may not have written to the eventfd yet
                thread.join()
            os.close(self._wake)

    def _add_thread(self) -> None:
        try:
            thread = threading.Thread(target=self._work, name="pausevisor-log", daemon=True)
            thread.start()
        except RuntimeError:
            self._watch()  # the limit of processes, or no memory: tried again while there is something to do
            return
        self._started = [*filter(threading.Thread.is_alive, self._started), thread]
        self.threads += 1

    def _watch(self) -> None:
        if not self._watching and self._loop is not None:
            self._watching = True
            self._loop.call_later(_STALLED, self._look, self._delivered)

    def _look(self, delivered: int) -> None:
        """Add a thread if jobs wait and none has come back meanwhile: somebody is held up."""
        self._watching = False
        if self._jobs.empty():
            return
        if self._delivered == delivered and self.threads < _MOST:
            self._add_thread()
        self._watch()

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            job, done = entry
            try:
                result = job()
            except Exception as error:  # noqa: BLE001 - whoever gave the job is told
                result = error
            self._results.append((done, result))
            os.eventfd_write(self._wake, 1)
