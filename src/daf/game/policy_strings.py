"""The language of policy strings: parts between commas, each `key=value`, and values with YAML's types.

    class=lstm,data=weights.pt,kw.hidden_size=64,kw.title='a, b',name=wide

A value in quotes, and the path of existing weights, may hold commas.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from daf.errors import PolicyError, quoted, unknown
from daf.storage.paths import leading_path
from daf.storage.yaml_strict import MAX_DIGITS

LONGEST_TEXT = 65_536
"""Characters of a policy string."""


def check_text(text: str) -> None:
    """Refuse what can't be a policy string, before it reaches the file system."""
    if len(text) > LONGEST_TEXT:
        raise PolicyError(
            f"{quoted(text)} has {len(text):,} characters; a policy string has at most {LONGEST_TEXT:,}. Pass large "
            "arguments in a file that the policy reads."
        )
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise PolicyError(f"{quoted(text)} is not a policy: it has bytes that are not text (UTF-8).")


def entries_of(text: str) -> list[str]:
    """The parts of a policy string between commas; not those in quotes, nor in the path of existing weights."""
    entries: list[str] = []
    rest: str | None = text
    while rest is not None:
        entry, rest = _first_entry(rest)
        entries.append(entry.strip())
    return entries


def _first_entry(text: str) -> tuple[str, str | None]:
    """The first part of `text`, and what follows its comma: None where none follows."""
    key, separator, value = text.partition("=")
    end = text.find(",")
    if separator and (end < 0 or len(key) < end):
        start = len(key) + 1
        leading = leading_path(value) if key.strip() in ("data", "registry") else None
        quote = re.match(r"\s*(['\"]).*?\1\s*(?=,|$)", value, re.DOTALL) if key.strip().startswith("kw.") else None
        if leading is not None:
            end = len(text) - len(leading[1])
        elif quote is not None:
            end = start + quote.end()
    if end < 0 or end >= len(text):
        return text, None
    return text[:end], text[end + 1 :]


def fields_of(text: str, entries: Iterable[str], *, allowed: Sequence[str]) -> dict[str, Any]:
    """The values of `key=value` entries by key, constructor arguments in "kw.". Raises `PolicyError`.

    text: the whole policy string, for messages. allowed: keys, and "kw." for constructor arguments.
    """
    fields: dict[str, Any] = {"kw.": {}}
    for entry in entries:
        key, separator, value = (part.strip() for part in entry.partition("="))
        if key == "proportion":
            raise PolicyError(f"{quoted(text)}: use --team {text.split(',')[0]}=N instead of proportion=.")
        if not separator or not value:
            raise PolicyError(
                f"{quoted(text)}: {quoted(entry)} is not of the form key=value. Known keys: {', '.join(allowed)}NAME."
            )
        if key.startswith("kw.") and len(key) > 3 and "kw." in allowed:
            fields["kw."][key[3:].replace("-", "_")] = typed(value)
        elif key in allowed and key != "kw.":
            if key in fields:
                raise PolicyError(f"{quoted(text)}: {key}= is given twice.")
            fields[key] = value
        else:
            hint = f"To pass it to the policy's constructor write kw.{key}={value}."
            raise PolicyError(f"{quoted(text)}: {unknown('policy field', key, allowed, hint=hint)}")
    return fields


def typed(text: str) -> Any:
    """The value that `text` is in YAML 1.2's core schema: null, a boolean, an integer, a float, else the text."""
    if text in ("null", "~", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", text):
        if len(text) > MAX_DIGITS:
            raise PolicyError(f"{quoted(text)}: an integer of {len(text):,} digits is too long; at most {MAX_DIGITS}.")
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan", text):
        return float(text.replace(".inf", "inf").replace(".nan", "nan"))
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    return text


def untyped(value: bool | int | float | str | None) -> str:
    """`value` as policy and mission strings have it, so that `typed` reads it back as the same value.

    Raises `PolicyError` for text that needs quotes and holds both kinds of them.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        if value and typed(value) == value and value == value.strip() and "," not in value and value[0] not in "'\"":
            return value
        quote = next((quote for quote in "'\"" if quote not in value), None)
        if quote is None:
            raise PolicyError(f"{quoted(value)} can't stand in a policy string: it needs quotes and holds both kinds.")
        return f"{quote}{value}{quote}"
    return repr(value)


def with_arguments(text: str, arguments: Mapping[str, Any]) -> str:
    """The policy string with more constructor arguments."""
    return ",".join([text, *(f"kw.{name}={untyped(value)}" for name, value in arguments.items())])
