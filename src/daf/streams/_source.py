"""Bytes of a log file, plain or compressed, up to the size that it had when it was opened.

A file that still grows is thus read as it was, whole, at one moment. A compressed stream that ends early or is damaged
yields what can be read, and `trouble` states it; it is never taken for a complete one. Offsets are those of the
content. Little is decompressed at once, so that content that shrank ten thousandfold needs no more memory than other.
Content in UTF-16 (as PowerShell's `>` writes it) comes out as UTF-8. Only regular files are opened.
"""

import codecs
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Protocol

from daf.errors import StorageError
from daf.storage.atomic import explain
from daf.storage.reading import open_regular

MAX_WINDOW = 1 << 28
"""Bytes of earlier content that a zstd stream may refer to; all of them are held in memory."""
MAX_BARREN = 64 * 1024 * 1024
"""Bytes without a record after which reading stops: at the start of a file, which then cannot be a log, and anywhere in
compressed content, as a few KB can unpack to terabytes."""
BARREN = f"no record in {MAX_BARREN >> 20} MiB of content; the rest is not read"
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
        """Raises `StorageError` where the file cannot be opened, `DamagedFileError` where it is not a regular file."""
        self.trouble: str | None = None
        """What went wrong with the compression, once it has."""
        try:
            self._file = open_regular(path).detach()  # type: ignore[attr-defined]
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
        self._text: codecs.IncrementalDecoder | None = None
        self._begun = start > 0

    @property
    def is_compressed(self) -> bool:
        """Whether the content can be far larger than the file."""
        return self._kind is not None

    def __enter__(self) -> "Source":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def readinto(self, target: memoryview) -> int:
        """Fill `target` from the front with the next bytes; returns their number, 0 only at the end."""
        if self._kind is None and self._begun and self._text is None and not self._ready:
            return self._raw(target)
        while not self._ready:
            piece, final = self._piece()
            self._ready = memoryview(self._decoded(piece, final=final))
            if final:
                break
        n = min(len(target), len(self._ready))
        target[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    def _piece(self) -> tuple[bytes, bool]:
        """Some bytes of the content, and whether they are the last."""
        if self._kind is None:
            buffer = bytearray(_PIECE)
            n = self._raw(memoryview(buffer))
            return bytes(buffer[:n]), n == 0
        if self.trouble:
            return b"", True
        if not self._rest:
            buffer = bytearray(_PIECE)
            self._rest = memoryview(buffer)[: self._raw(memoryview(buffer))]
        if not self._rest:
            if self._stream is not None and not self._stream.eof:
                self.trouble = f"the {self._kind} stream ends early"
            return b"", True
        step = _STEP[self._kind]
        piece, self._rest = bytes(self._rest[:step]), self._rest[step:]
        return self._decompress(piece), False

    def _decoded(self, piece: bytes, *, final: bool) -> bytes:
        """`piece` as UTF-8, whatever the content's encoding."""
        if not self._begun and piece:
            self._begun = True
            encoding = _utf16(piece[:4])
            self._text = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
        return piece if self._text is None else self._text.decode(piece, final).encode("utf-8", "replace")

    def _decompress(self, piece: bytes) -> bytes:
        import zstandard

        if self._stream is None or self._stream.eof:
            if self._stream is not None and not piece.strip(b"\0"):
                return b""
            self._stream = (
                zlib.decompressobj(wbits=31)
                if self._kind == "gzip"
                else zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
            )
        before = self._stream.copy() if isinstance(self._stream, _Deflated) else None
        try:
            content = self._stream.decompress(piece)
        except (zlib.error, zstandard.ZstdError) as error:
            self.trouble = f"damaged {self._kind} stream: {error}"
            if "too much memory" in str(error):
                self.trouble = (
                    f"compressed with a window of more than {MAX_WINDOW >> 20} MiB (zstd --long or --ultra), which "
                    f"takes as much memory to read. Repack it: zstd -d --long=31 -c {self._path.name} | "
                    f"zstd -o repacked-{self._path.name}"
                )
            return _content_before_error(before, piece) if before else b""
        if self._stream.eof:
            self._rest = self._stream.unused_data + bytes(self._rest)
        return content

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


def is_streamed(path: Path) -> bool:
    """Whether the content of a file can only be read from its start: it is compressed or in UTF-16."""
    if compression(path) is not None:
        return True
    try:
        with open_regular(path) as file:
            return _utf16(file.read(4)) is not None
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error


def _utf16(first: bytes) -> str | None:
    """The encoding of content in UTF-16 by its first four bytes: a mark, or two characters of ASCII without one."""
    zeros = tuple(byte == 0 for byte in first)
    little, big = (False, True), (True, False)
    if first[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16" if zeros[2:] in (little, big) else None
    if zeros == little * 2:
        return "utf-16-le"
    return "utf-16-be" if zeros == big * 2 else None


def _content_before_error(stream: "zlib._Decompress", piece: bytes) -> bytes:
    """What `stream` makes of the bytes of `piece` before the one that it refuses."""
    content = b""
    for at in range(len(piece)):
        try:
            content += stream.decompress(piece[at : at + 1])
        except zlib.error:
            break
    return content
