"""A WebSocket client that can do everything wrong: frames byte by byte on a raw socket."""

import base64
import contextlib
import os
import socket
import struct

from server import Server

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", fin: bool = True, masked: bool = True) -> bytes:
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    mark = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, mark | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, mark | 126, size)
    else:
        head = struct.pack("!BBQ", first, mark | 127, size)
    # A mask of zeros is a mask: the payload stays as it is.
    return head + (b"\0\0\0\0" if masked else b"") + payload


class Raw:
    """A socket, a handshake, and then bytes."""

    def __init__(self, server: Server, receive_bytes: int | None = None, seconds: float = 10) -> None:
        self.socket = socket.socket()
        if receive_bytes is not None:
            # Before connecting, or the window is already larger.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(seconds)
        self.socket.connect(("127.0.0.1", server.port))
        self.address = server.address
        self.pending = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def handshake(self, path: str, *headers: str) -> bytes:
        """Upgrades and answers the head of the response."""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1", f"Host: {self.address}", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers,
        ]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode())
        return self.head()

    def head(self) -> bytes:
        while b"\r\n\r\n" not in self.pending:
            if not self.read_more():
                return self.pending
        head, _, self.pending = self.pending.partition(b"\r\n\r\n")
        return head

    def read_more(self, size: int = 65536) -> bool:
        """Waits for bytes and keeps them in `pending`; false at the end."""
        data = self.socket.recv(size)
        self.pending += data
        return bool(data)

    def _take(self, count: int) -> bytes:
        while len(self.pending) < count:
            if not self.read_more():
                raise EOFError
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        first, second = self._take(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        assert not second & 0x80, "the server masks its frames"
        return first & 0x0F, self._take(size)

    def close_code(self) -> tuple[int, str] | None:
        """Reads up to the Close frame; none when the connection ends without one."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                opcode, payload = self.frame()
                if opcode == CLOSE:
                    return struct.unpack("!H", payload[:2])[0], payload[2:].decode()
        return None

    def is_ended(self) -> bool:
        """Reads to the end of the connection; false when it does not come within the socket's timeout."""
        try:
            while self.read_more():
                self.pending = b""
            return True
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def reset(self) -> None:
        """Closes without leaving the port in TIME_WAIT."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()
