"""File names made from free text: names of missions, policies, files.

File systems bound a name in bytes (255 as a rule), and a character takes up to four: names are shortened by bytes here,
between characters, and end in a hash of the whole text, so that different texts keep different names.

Not guaranteed: texts of allowed length that differ only in characters that file names do not hold share a name.
"""

import hashlib

MOST_BYTES = 255
"""The longest file name on Linux file systems."""
_PLAIN = "._=+-"
_MARK = "~"


def file_name(text: str, *, most: int = 80) -> str:
    """`text` with letters, digits and `._=+-` kept and the rest as "_", in `most` bytes of UTF-8 at most."""
    plain = "".join(character if character.isalnum() or character in _PLAIN else "_" for character in text)
    return shortened(plain, most=most, whole=text)


def shortened(name: str, *, most: int = MOST_BYTES, whole: str | None = None) -> str:
    """`name` if it fits into `most` bytes of UTF-8, else its beginning and a hash. whole: the hashed text."""
    data = name.encode("utf-8", "surrogateescape")
    if len(data) <= most:
        return name
    text = name if whole is None else whole
    mark = _MARK + hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return data[: most - len(mark)].decode("utf-8", "ignore") + mark
