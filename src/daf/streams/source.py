"""Bytes of a log file, plain or compressed, up to the size that it had when it was opened.

A file that still grows is thus read as it was, whole, at one moment. A compressed stream that ends early or is damaged
gives what can be had, and says so in `trouble`; it is never taken for a complete one. Offsets are those of the content.
Little is decompressed at once, so that content that shrank ten thousandfold needs no more memory than other content.
"""

import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Protocol

from daf.errors import StorageError
from daf.storage.atomic import explain

_PIECE = 1 << 16
_STEP = {"gzip": 4_096, "zstd": 1_024}
"""Compressed bytes that are decompressed at once: at most 4 MB of content with gzip, mostly some 10 MB with zstd."""


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes) -> bytes: ...


_Deflated = type(zlib.decompressobj())


class Source:
    """Reads bytes [start, end) of a plain file's content, or all of a compressed one's; a context manager."""

    def __init__(self, path: Path, start: int = 0, end: int | None = None) -> None:
        """Raises `StorageError` where the file cannot be opened."""
        self.trouble: str | None = None
        """What went wrong with the compression, once it has."""
        try:
            self._file = path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size
            self._left = (self.size if end is None else min(end, self.size)) - start
            self._file.seek(start)
        except OSError as error:
            raise StorageError(explain(error, f"reading {path}")) from error
        self._path = path
        self._kind = compression(path)
        self._stream: _Decompressor | None = None
        self._ready = memoryview(b"")
        self._rest: memoryview | bytes = b""

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def readinto(self, target: memoryview) -> int:
        """Fill `target` from the front with what comes next; how many bytes, 0 only at the end."""
        if self._kind is None:
            return self._raw(target)
        while not self._ready and not self.trouble:
            if not self._rest:
                buffer = memoryview(bytearray(_PIECE))
                self._rest = buffer[: self._raw(buffer)]
            if not self._rest:
                if self._stream is not None and not self._stream.eof:
                    self.trouble = f"the {self._kind} stream ends early"
                break
            step = _STEP[self._kind]
            piece, self._rest = bytes(self._rest[:step]), self._rest[step:]
            self._decompress(piece)
        n = min(len(target), len(self._ready))
        target[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def _decompress(self, piece: bytes) -> None:
        import zstandard

        if self._stream is None or self._stream.eof:
            if self._stream is not None and not piece.strip(b"\0"):
                return
            self._stream = (
                zlib.decompressobj(wbits=31) if self._kind == "gzip" else zstandard.ZstdDecompressor().decompressobj()
            )
        before = self._stream.copy() if isinstance(self._stream, _Deflated) else None
        try:
            self._ready = memoryview(self._stream.decompress(piece))
        except (zlib.error, zstandard.ZstdError) as error:
            self.trouble = f"damaged {self._kind} stream: {error}"
            self._ready = memoryview(_content_before_error(before, piece) if before else b"")
            return
        if self._stream.eof:
            self._rest = self._stream.unused_data + bytes(self._rest)

    def _raw(self, target: memoryview) -> int:
        wanted = min(len(target), self._left)
        if wanted <= 0:
            return 0
        try:
            n = self._file.readinto(target[:wanted]) or 0
        except OSError as error:
            raise StorageError(explain(error, f"reading {self._path}")) from error
        self._left -= n
        return n


def compression(path: Path) -> str | None:
    """How a file of this name is compressed: `gzip`, `zstd`, or not at all."""
    return {".gz": "gzip", ".zst": "zstd"}.get(path.suffix.lower())


def _content_before_error(stream: "zlib._Decompress", piece: bytes) -> bytes:
    """What `stream` makes of the bytes of `piece` before the one that it refuses."""
    content = b""
    for at in range(len(piece)):
        try:
            content += stream.decompress(piece[at : at + 1])
        except zlib.error:
            break
    return content
