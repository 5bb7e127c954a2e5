"""Strict YAML and JSON with one meaning each, and the line number of every part.

`load_yaml(path)` gives the value of a file as plain Python (dict, list, str, int, float, bool, None) under YAML 1.2's
core rules: `1e-4` is a float, `yes` is text and `010` is ten. Refused, with `file:line`: tabs before content, a
duplicate key (both lines), tags such as `!!python/…`, merge keys, several documents, empty files, encodings other than
UTF-8; nesting, size and alias expansion beyond the bounds below. Every refusal is a `ConfigError`.

`read_document` gives the value together with the line of every part, for callers that report errors by field.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from daf.errors import ConfigError, DamagedFileError, StorageError
from daf.storage.atomic import explain
from daf.storage.reading import open_regular

MAX_BYTES = 8 * 1024 * 1024
"""Largest file that is read; a mission's whole config has 1.6 MB."""
MAX_DEPTH = 64
"""Deepest nesting of mappings and sequences, after aliases are expanded."""
MAX_VALUES = 100_000
"""Maximum keys and values in YAML, after aliases are expanded: about a second of parsing."""
MAX_JSON_VALUES = 1_000_000
"""Maximum values in JSON, which parses faster."""
MAX_DIGITS = 300
"""Maximum digits of an integer. A float has no more before its point."""

KeyPath = tuple[str | int, ...]
"""The position of a value: keys of mappings and indices of sequences, from the root."""

_INTEGER = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_TAB = re.compile(r"^ *\t[ \t]*[^\s]", re.MULTILINE)
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, float | bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_STRING_TAG = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Document:
    """A file's value, and the line (from 1) at which each of its parts begins, by `KeyPath`."""

    name: str
    value: Any
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def where(self, path: KeyPath = ()) -> str:
        """`name:line` of the part at `path`, or of the nearest part around it; only the name if no line is known."""
        for length in range(len(path), -1, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return f"{self.name}:{line}"
        return self.name


def load_yaml(path: str | Path) -> Any:
    """The value of the YAML file at `path`.

    Raises `ConfigError` for its content, `StorageError` if it can't be read.
    """
    return parse_yaml(read_text(path), name=str(path)).value


def read_document(path: str | Path, *, most: int = MAX_VALUES) -> Document:
    """The YAML file at `path`, or JSON if it is called `*.json`, with lines.

    most: keys and values that YAML may have. Raises `ConfigError`, `StorageError`.
    """
    text = read_text(path)
    if Path(path).suffix.lower() == ".json":
        return parse_json(text, name=str(path))
    return parse_yaml(text, name=str(path), most=most)


def read_text(path: str | Path) -> str:
    """The file's text, at most `MAX_BYTES`, UTF-8 with or without a byte order mark. Raises `ConfigError`,
    `StorageError`.
    """
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except DamagedFileError as error:
        raise ConfigError(f"{path}: {error.reason}. Write the configuration to a file.") from error
    except OSError as error:
        raise StorageError(explain(error, f"reading {path}")) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES // 1024**2} MiB, the limit for configuration files.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 (byte 0x{data[error.start]:02x}). Save the file as UTF-8."
        ) from error


def parse_yaml(text: str, *, name: str = "<text>", most: int = MAX_VALUES) -> Document:
    """`text` as one YAML document; `name` stands for the file in messages, `most` is how many keys and values it may
    have. Raises `ConfigError`.
    """
    tab = _TAB.search(text) if "\t" in text else None
    if tab is not None:
        number = text.count("\n", 0, tab.start()) + 1
        raise ConfigError(f"{name}:{number}: a tab before the content. Indent with spaces.")
    return _Builder(name, most).document(text)


def parse_json(text: str, *, name: str = "<text>") -> Document:
    """`text` as strict JSON: no duplicate key, no NaN. Raises `ConfigError`."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise ConfigError(f'{name}: duplicate key "{key}" in one object. Keep one of them.')
            found[key] = value
        return found

    def no_constant(constant: str) -> float:
        raise ConfigError(f"{name}: {constant} is not JSON. Write null, or leave the field out.")

    def short_integer(digits: str) -> int:
        if len(digits) > MAX_DIGITS:
            raise ConfigError(f"{name}: an integer of {len(digits):,} digits is too long; at most {MAX_DIGITS}.")
        return int(digits)

    if not text.strip():
        raise ConfigError(f"{name}: the file is empty.")
    values = _json_values(text)
    if values > MAX_JSON_VALUES:
        raise ConfigError(f"{name}: about {values:,} values; at most {MAX_JSON_VALUES:,} are read.")
    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=no_constant, parse_int=short_integer)
    except json.JSONDecodeError as error:
        raise ConfigError(f"{name}:{error.lineno}: not JSON: {error.msg} (column {error.colno}).") from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply for a configuration.") from error
    return Document(name, value, _JsonLines(text, name, values))


def _json_values(text: str) -> int:
    """About how many values `text` has if it is JSON: each but the first follows one of these characters."""

    def marks(part: str) -> int:
        return part.count(",") + part.count(":") + part.count("[") + part.count("{")

    count = marks(text)
    return marks(_JSON_STRING.sub("", text)) if count > MAX_JSON_VALUES else count


class _JsonLines(Mapping[KeyPath, int]):
    """The lines of a JSON text, computed on first use: only a message needs them, and they take long."""

    def __init__(self, text: str, name: str, values: int) -> None:
        self._text, self._name, self._values = text, name, values

    @cached_property
    def _lines(self) -> Mapping[KeyPath, int]:
        if self._values > MAX_VALUES:
            return {}
        try:  # JSON is YAML except for its tabs, which a JSON string cannot contain: the YAML events know the lines.
            return _Builder(self._name).document(self._text.replace("\t", " ")).lines
        except ConfigError:
            return {}  # JSON that YAML parses differently (some escapes): messages then name the file without a line

    def __getitem__(self, path: KeyPath) -> int:
        return self._lines[path]

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)


def plain_scalar(text: str) -> str | int | float | bool | None:
    """The value of unquoted `text` under YAML 1.2's core rules. Raises `ValueError` for an integer that is too long."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"an integer of {len(text):,} digits is too long; at most {MAX_DIGITS}")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


class Lines(str):
    """Text that `dump_yaml` writes line by line, as scripts are read best."""


class _Dumper(yaml.SafeDumper):
    """Quotes every text that either YAML 1.1 or 1.2 would read as another type, and repeats values instead of
    aliasing.
    """

    def ignore_aliases(self, data: object) -> bool:
        return True


for _first in "-+.0123456789":
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, [_first])
    _Dumper.add_implicit_resolver("tag:yaml.org,2002:int", _INTEGER, [_first])


_Dumper.add_representer(
    Lines, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


def dump_yaml(value: Any) -> str:
    """Plain Python data as YAML that reads back equal under any YAML version, with keys in order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return text


class _Builder:
    """Turns a parser's events into a `Document`; composing nodes would overflow the stack on deep nesting."""

    def __init__(self, name: str, most: int = MAX_VALUES) -> None:
        self.name = name
        self.most = most
        self.lines: dict[KeyPath, int] = {}
        self.anchors: dict[str, Any] = {}
        self.values = 0

    def document(self, text: str) -> Document:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        events: Iterator[Any] = yaml.parse(text, Loader=loader)
        try:
            value: Any = None
            documents = 0
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        self.refuse(event, "a second document starts. Keep one per file.")
                    value = self.value(next(events), events, ())
        except yaml.YAMLError as error:
            raise ConfigError(self.sentence(error)) from error
        except UnicodeEncodeError as error:
            raise ConfigError(f"{self.name}: contains a lone surrogate, which is not valid text.") from error
        if documents == 0 or (value is None and not _has_content(text)):
            raise ConfigError(f"{self.name}: the file is empty.")
        return Document(self.name, value, self.lines)

    def value(self, event: Any, events: Iterator[Any], path: KeyPath) -> Any:
        self.count(event, f"more than {self.most:,} keys and values.")
        if len(path) > MAX_DEPTH:
            self.refuse(event, f"nested deeper than {MAX_DEPTH} levels.")
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.AliasEvent):
            anchor = str(event.anchor)
            if anchor not in self.anchors:
                self.refuse(event, f'no anchor "{anchor}" is complete before this alias.')
            return self.copied(event, self.anchors[anchor], len(path))
        result: Any
        if isinstance(event, yaml.ScalarEvent):
            result = self.scalar(event)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.known_tag(event, "seq")
            result = []
            while not isinstance(item := next(events), yaml.SequenceEndEvent):
                result.append(self.value(item, events, (*path, len(result))))
        else:
            self.known_tag(event, "map")
            result = self.mapping(events, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = result
        return result

    def mapping(self, events: Iterator[Any], path: KeyPath) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        first: dict[Any, int] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.refuse(event, "a key must be text or a number.")
            self.count(event, f"more than {self.most:,} keys and values.")
            key = self.scalar(event)
            line = event.start_mark.line + 1
            if key == "<<":
                self.refuse(event, "merge keys (<<) are not supported. Write the fields out.")
            if key in first:
                inside = f" in {dotted(path)}" if path else ""
                self.refuse(
                    event, f'duplicate key "{key}"{inside}, first at {self.name}:{first[key]}. Keep one of them.'
                )
            first[key] = line
            self.lines[(*path, key)] = line
            result[key] = self.value(next(events), events, (*path, key))
        return result

    def scalar(self, event: Any) -> Any:
        text: str = event.value
        if event.tag in (None, "!") and event.implicit[0]:
            try:
                return plain_scalar(text)
            except ValueError as error:
                self.refuse(event, f"{error}.")
        if event.tag in (None, "!", _STRING_TAG):
            return text
        return self.refuse(event, f"the tag {_shown(event.tag)} is not supported. Remove it, or quote the text.")

    def known_tag(self, event: Any, kind: str) -> None:
        if event.tag not in (None, "!", f"tag:yaml.org,2002:{kind}"):
            self.refuse(event, f"the tag {_shown(event.tag)} is not supported. Remove it.")

    def copied(self, event: Any, value: Any, depth: int) -> Any:
        self.count(event, f"aliases expand to more than {self.most:,} values.")
        if depth > MAX_DEPTH:
            self.refuse(event, f"aliases expand to more than {MAX_DEPTH} levels.")
        if isinstance(value, dict):
            return {key: self.copied(event, part, depth + 1) for key, part in value.items()}
        if isinstance(value, list):
            return [self.copied(event, part, depth + 1) for part in value]
        return value

    def count(self, event: Any, refusal: str) -> None:
        self.values += 1
        if self.values > self.most:
            self.refuse(event, refusal)

    def refuse(self, event: Any, what: str) -> Any:
        raise ConfigError(f"{self.name}:{event.start_mark.line + 1}: {what}")

    def sentence(self, error: yaml.YAMLError) -> str:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error).strip()
        if mark is None:
            return f"{self.name}: not YAML: {problem}."
        if "cannot start any token" in problem and "\t" in _line(mark):
            return f"{self.name}:{mark.line + 1}: a tab before the content. Indent with spaces."
        return f"{self.name}:{mark.line + 1}: not YAML: {problem} (column {mark.column + 1})."


def dotted(path: KeyPath) -> str:
    """`path` as people write it: `stages[2].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def _has_content(text: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith(("#", "---", "...", "%")) for line in text.splitlines())


def _shown(tag: str) -> str:
    return tag.replace("tag:yaml.org,2002:", "!!")


def _line(mark: Any) -> str:
    return getattr(mark, "buffer", None) or "\t"
