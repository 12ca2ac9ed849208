"""Reads what a program prints and what it says of its end, without waiting for it."""

import os
import select
import time


class Reader:
    """The first bytes of what a program prints, and the last of what it says of its end."""

    def __init__(self, output, result, most):
        self.output, self.result = bytearray(), b""
        self.written, self.most = 0, most
        self.files = {output: self.printed, result: self.said}
        self.poll = select.poll()
        for file in self.files:
            os.set_blocking(file, False)
            self.poll.register(file, select.POLLIN)

    def read(self, seconds):
        """Waits for something to read, for so long at most; returns whether there was something."""
        if not self.files:
            time.sleep(min(seconds, 0.001))
            return False
        ready = self.poll.poll(1000 * seconds)
        for file, _ in ready:
            chunk = os.read(file, 65536)
            if chunk:
                self.files[file](chunk)
            else:
                self.poll.unregister(file)
                del self.files[file]
        return bool(ready)

    def drain(self):
        """What is left once nobody writes; where somebody does (see `end`), a bounded part of it."""
        for _ in range(64):
            if not self.files or not self.read(0):
                return

    def printed(self, chunk):
        self.written += len(chunk)
        self.output += chunk[: self.most - len(self.output)]

    def said(self, chunk):
        self.result = (self.result + chunk)[-65536:]
