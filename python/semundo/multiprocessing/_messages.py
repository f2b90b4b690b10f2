# SPDX-License-Identifier: Apache-2.0
"""A pipe of whole messages.

A message is one packet of a Unix socket that keeps the bounds of packets. The kernel puts it in
and takes it out as a whole, so whoever is killed, and when: it is there or it is not. What is
too long for a packet follows in a file without a name, of which the packet has the descriptor;
it goes when the packet goes. As nobody has to read or write twice for a message, readers and
writers need no lock either.
"""
from __future__ import annotations

import array
import errno
import fcntl
import io
import os
import select
import socket
import struct
import termios
import time
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any, List, Optional, Tuple, Type, TypeVar, Union

from .._broken import BrokenQueue

Bytes = Union[bytes, bytearray, memoryview]
_E = TypeVar("_E", bound="_End")

_HEAD = struct.Struct("=IIQ")  # magic, number of descriptors, length of the message
_MAGIC = 0x71736D73
_INLINE = 1 << 16              # so much of a message is in the packet itself
_UNIT = 512                    # lengths of counted packets are 1 modulo this
_PAD = bytes(_UNIT)
_ROOM = _HEAD.size + _INLINE + _UNIT
_EXTRA = socket.CMSG_SPACE(4 * struct.calcsize("i"))

# A counted pipe never has _UNIT packets in it: each weighs more than _UNIT bytes, and the kernel
# lets no packet in when the weight is above this.
_COUNTED = 212992
_ROOMY = 2 << 20


class _Socket(socket.socket):
    """It goes with the object that has it: nothing to warn of."""

    def __del__(self) -> None:
        self.close()


class Packet:
    """A message, ready to be sent."""

    def __init__(self, data: Bytes, counted: bool) -> None:
        self.file: int | None = None
        view = memoryview(data)
        if view.ndim != 1 or view.itemsize != 1:
            view = view.cast("B")
        size = len(view)
        if size > _INLINE:
            self.file = _write_file(view[_INLINE:])
            view = view[:_INLINE]
        # A copy: what is shown of a pickle must not outlive it.
        self.parts = [_HEAD.pack(_MAGIC, int(self.file is not None), size), bytes(view)]
        if counted:
            self.parts.append(_PAD[:(1 - _HEAD.size - len(view)) % _UNIT])

    def ancillary(self) -> List[Tuple[int, int, Any]]:
        if self.file is None:
            return []
        return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [self.file]))]

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None

    def __del__(self) -> None:
        self.close()


def _write_file(view: memoryview) -> int:
    file = os.memfd_create("semundo-message", os.MFD_CLOEXEC)
    try:
        while len(view):
            view = view[os.write(file, view):]
    except BaseException:
        os.close(file)
        raise
    return file


def _read_file(file: int, view: memoryview) -> None:
    at = 0
    while at < len(view):
        n = os.preadv(file, [view[at:]], at)
        if n == 0:
            raise BrokenQueue(errno.EBADMSG, "a message is lost: its file is too short")
        at += n


def _descriptors(ancillary: List[Tuple[int, int, bytes]]) -> List[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[:len(data) - len(data) % found.itemsize])
    return list(found)


class Received:
    """A message as it came, with its file if it has one."""

    def __init__(self, packet: bytes, files: List[int], flags: int) -> None:
        self._packet = packet
        self._files = files
        self._flags = flags

    def __del__(self) -> None:
        files, self._files = self._files, []
        for file in files:
            os.close(file)

    def open(self) -> Bytes:
        """The message itself."""
        packet, files = self._packet, self._files
        if self._flags & socket.MSG_CTRUNC:
            raise BrokenQueue(errno.EMFILE, "a message is lost: it came with a descriptor, and "
                              "this process can have no more of them (see ulimit -n)")
        if len(packet) < _HEAD.size or self._flags & socket.MSG_TRUNC:
            raise BrokenQueue(errno.EBADMSG, "what came is not a message")
        magic, count, size = _HEAD.unpack_from(packet)
        body = memoryview(packet)[_HEAD.size:]
        if magic != _MAGIC or count != len(files) or count != (size > _INLINE) \
                or len(body) < min(size, _INLINE):
            raise BrokenQueue(errno.EBADMSG, "what came is not a message")
        return _with_file(body, files[0], size) if files else body[:size]


def _with_file(body: memoryview, file: int, size: int) -> Bytes:
    if os.fstat(file).st_size != size - _INLINE:  # asked before memory is taken for it
        raise BrokenQueue(errno.EBADMSG, "a message is lost: its file has another size")
    whole = bytearray(size)
    view = memoryview(whole)
    view[:_INLINE] = body[:_INLINE]
    _read_file(file, view[_INLINE:])
    return whole


class _End(Connection):
    """One end. It is passed to other processes as any Connection is."""

    def __init__(self, handle: int, readable: bool, writable: bool, counted: bool) -> None:
        self._counted = counted
        self._socket = _Socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=handle)
        super().__init__(handle, readable, writable)

    def _close(self, *_: Any) -> None:
        self._socket.close()

    def __reduce__(self) -> Tuple[Any, ...]:
        return _rebuild, (type(self), reduction.DupFd(self.fileno()), self._counted)


def _rebuild(cls: Type[Any], duplicate: Any, counted: bool) -> Any:
    return cls(duplicate.detach(), counted)


class Reader(_End):
    """The end at which messages come out, for any number of processes and threads."""

    def __init__(self, handle: int, counted: bool) -> None:
        super().__init__(handle, True, False, counted)

    def receive(self, flags: int = 0) -> Received:
        """The next message as it comes out; waits for it. EOFError if none can come."""
        self.fileno()  # OSError if it is closed
        packet, ancillary, found, _ = self._socket.recvmsg(_ROOM, _EXTRA,
                                                           flags | socket.MSG_CMSG_CLOEXEC)
        received = Received(packet, _descriptors(ancillary), found)
        if not packet:
            raise EOFError
        return received

    def try_receive(self) -> Optional[Received]:
        """The next message as it comes out, or None if there is none now."""
        try:
            return self.receive(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None

    def take(self) -> Bytes:
        """The next message; waits for it. EOFError if none can come."""
        return self.receive().open()

    def try_take(self) -> Optional[Bytes]:
        """The next message, or None if there is none now."""
        received = self.try_receive()
        return None if received is None else received.open()

    def take_within(self, timeout: float) -> Optional[Bytes]:
        """The next message, or None if none comes in time."""
        data = self.try_take()
        if timeout <= 0:
            return data
        deadline = time.monotonic() + timeout
        while data is None and self.poll(max(0, deadline - time.monotonic())):
            data = self.try_take()  # somebody else may have been faster
        return data

    def count(self) -> int:
        """How many messages there are, in a counted pipe."""
        found = bytearray(4)
        fcntl.ioctl(self.fileno(), termios.FIONREAD, found)
        return int(struct.unpack("i", found)[0]) % _UNIT

    def _recv_bytes(self, maxsize: Optional[int] = None) -> Optional[io.BytesIO]:
        data = self.take()
        if maxsize is not None and len(data) > maxsize:
            return None
        buffer = io.BytesIO()
        buffer.write(data)
        return buffer


class Writer(_End):
    """The end at which messages go in, for any number of processes and threads."""

    def __init__(self, handle: int, counted: bool) -> None:
        super().__init__(handle, False, True, counted)

    def pack(self, data: Bytes) -> Packet:
        return Packet(data, self._counted)

    def post(self, packet: Packet, flags: int = 0) -> None:
        """Puts it in; waits for room. BrokenPipeError if nobody can read it."""
        self.fileno()  # OSError if it is closed
        try:
            self._socket.sendmsg(packet.parts, packet.ancillary(), flags)
        except ConnectionResetError:  # what the kernel says the first time, if there was more
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None

    def try_post(self, packet: Packet) -> bool:
        """Puts it in and gives True, if there is room now."""
        try:
            self.post(packet, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        return True

    def wait_room(self) -> None:
        """Until three quarters are empty, or nobody can read."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLOUT)
        poll.poll()

    def _send_bytes(self, buf: Bytes) -> None:
        packet = self.pack(buf)
        try:
            if packet.file is not None:
                self.wait_room()  # what is in files takes no room, but memory
            self.post(packet)
        finally:
            packet.close()


def pipe(counted: bool = False) -> Tuple[Reader, Writer]:
    """Both ends. A counted pipe knows how many messages it has, and takes fewer."""
    out, into = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # The kernel doubles what it is told.
    into.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, (_COUNTED if counted else _ROOMY) // 2)
    return Reader(out.detach(), counted), Writer(into.detach(), counted)
