"""Telling the service manager above us how we are: sd_notify(3), one datagram to ``$NOTIFY_SOCKET``.

The variable is the daemon's own: services never inherit it.
"""

import os

VARIABLE = "NOTIFY_SOCKET"


class Manager:
    """The service manager that started us; mute when none did.

    Args:
        address: value of ``NOTIFY_SOCKET``: a path, or an abstract name that begins with ``@``; None when unset.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address

    def tell(self, message: str) -> None:
        """Send one message such as ``READY=1``; never blocks.

        Raises:
            OSError: the manager did not take it.
        """
        if not self._address:
            return
        import socket  # noqa: PLC0415 - only under a manager that listens

        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(message.encode(), os.fsencode(address))
