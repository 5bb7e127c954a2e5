"""Hostile policy bundles, zipped and as folders."""

import io
import json
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.corpus import NOT_FILES, NOT_JSON, Input, Place, Spoiler, content

WARM_UP = ["evaluate", "-p", "none.zip", "-m", "training_facility_1,max_steps=5"]
SPEC = {"class_path": "mettagrid.policy.random_agent.RandomMultiAgentPolicy", "data_path": None, "init_kwargs": {}}
EVIL = "import pathlib\npathlib.Path('../../../../ran').write_text('x')\nraise SystemExit(0)\n"


def inputs() -> Iterator[Input]:
    """All of them."""
    for name, spoiler in NOT_FILES.items():
        yield _zip(name, spoiler, r"bad\.zip|policy")
    whole = _archive({})
    for name, data in (
        ("empty", b""),
        ("not an archive", b"PK\3\4 and nothing else"),
        ("text", b"policy"),
        ("cut in half", whole[: len(whole) // 2]),
        ("cut at its end", whole[:-10]),
        ("only its end", whole[-22:]),
        ("a directory that lies about its size", _lying(whole, 10, 2**32 - 2)),
        ("a directory that lies about its place", _lying(whole, 16, 2**32 - 2)),
        ("nothing in it", _archive({}, spec=None)),
    ):
        yield _zip(name, content(data), r"bad\.zip")
    for name, entry in (
        ("climbs", "../../ran"), ("climbs in the middle", "a/../../../ran"), ("climbs with backslashes", "..\\..\\ran"),
        ("is absolute", "/tmp/daf-hostile-ran"), ("has a drive", "C:\\ran"), ("is empty", ""),
        ("is 60,000 characters long", "x" * 60_000), ("is 20,000 folders deep", "a/" * 20_000 + "x"),
        ("is the specification's folder", "policy_spec.json/x"),
    ):  # fmt: skip
        yield _zip(f"an entry that {name}", content(_archive({entry: b"x"})), r"Error: .+")
    for name, target in (("outside", "../../../precious"), ("to the root", "/"), ("to its own name", "link")):
        yield _zip(f"a link {name}", content(_archive({}, links={"link": target})), r"Error: .+")
    yield _zip("a device", content(_archive({}, links={"device": "x"}, kind=stat.S_IFCHR)), r"Error: .+")
    yield _zip("300 MB of zeros", _packed(lambda: {"weights.pt": b"\0" * 300_000_000}), r"Error: .+")
    yield _zip("30,000 files", _packed(lambda: {f"f{i}": b"" for i in range(30_000)}), r"Error: .+")
    yield _zip("one file twice", content(_twice()), r"Error: .+")
    yield _zip("a wrong checksum", content(_wrong_checksum()), r"Error: .+")
    yield _zip("an encrypted entry", content(_flagged(1)), r"Error: .+")
    for name, spoiler in NOT_JSON.items():
        yield _folder(f"specification: {name}", spoiler, r"Error: .+")
    for name, spoiler in NOT_FILES.items():
        yield _folder(f"specification: {name}", spoiler, r"Error: .+")
    for name, changes in (
        ("a class that is a list", {"class_path": [1]}),
        ("a class that runs", {"class_path": "os.system"}),
        ("a class with slashes", {"class_path": "../../evil.Class"}),
        ("a class of 1 MB", {"class_path": "a." * 500_000 + "b"}),
        ("a class that is missing", {"class_path": "nowhere.Nobody"}),
        ("weights: /etc/passwd", {"data_path": "/etc/passwd"}),
        ("weights that climb", {"data_path": "../../precious/data.txt"}),
        ("weights that are a device", {"data_path": "/dev/zero"}),
        ("weights that are missing", {"data_path": "none.pt"}),
        ("weights that are a number", {"data_path": 7}),
        ("weights with NUL", {"data_path": "a\0b"}),
        ("arguments that are a list", {"init_kwargs": [1]}),
        ("a script that climbs", {"setup_script": "../../evil.py"}),
        ("a script that is absolute", {"setup_script": "/bin/sh"}),
        ("a script that is missing", {"setup_script": "none.py"}),
        ("a script that is a folder", {"setup_script": "."}),
    ):
        yield _folder(name, content(json.dumps(SPEC | changes)), r"Error: .+")
    for name, text in (
        ("not TOML", "[[["),
        ("without a policy", "x = 1"),
        ("a list", "policy = [1]"),
        ("deep", "a = " + "[" * 50_000),
    ):
        yield _manifest(f"cogames.toml: {name}", content(text))
    yield Input("describing runs no set-up script", _with_script, r"(?s).", (0, 1, 2))


def _with_script(place: Place) -> list[str]:
    folder = place.work / "bundle"
    folder.mkdir()
    (folder / "evil.py").write_text(EVIL)
    (folder / "policy_spec.json").write_text(json.dumps(SPEC | {"setup_script": "evil.py"}))
    return ["policies", "bundle"]


def _zip(name: str, spoiler: Spoiler, says: str) -> Input:
    def make(place: Place) -> list[str]:
        spoiler(place.work / "bad.zip")
        return ["evaluate", "-p", "bad.zip", "-m", "training_facility_1,max_steps=5", "--episodes", "1", "--jobs", "1"]

    return Input(f"zip: {name}", make, says)


def _folder(name: str, spoiler: Spoiler, says: str, file: str = "policy_spec.json") -> Input:
    def make(place: Place) -> list[str]:
        (place.work / "bundle").mkdir()
        spoiler(place.work / "bundle" / file)
        return ["evaluate", "-p", "bundle", "-m", "training_facility_1,max_steps=5", "--episodes", "1", "--jobs", "1"]

    return Input(f"folder: {name}", make, says)


def _manifest(name: str, spoiler: Spoiler) -> Input:
    return _folder(name, spoiler, r"Error: .+", "cogames.toml")


def _archive(
    entries: dict[str, bytes],
    *,
    spec: dict[str, Any] | None = SPEC,
    links: dict[str, str] | None = None,
    kind: int = stat.S_IFLNK,
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if spec is not None:
            archive.writestr("policy_spec.json", json.dumps(spec))
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
        for name, target in (links or {}).items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, (kind | 0o777) << 16
            archive.writestr(entry, target)
    return buffer.getvalue()


def _packed(entries: Callable[[], dict[str, bytes]]) -> Spoiler:
    """An archive that is packed only when it is needed."""
    return lambda path: content(_archive(entries()))(path)


def _lying(archive: bytes, offset: int, value: int) -> bytes:
    """The archive with a number in its last record changed."""
    end = archive.rindex(b"PK\5\6")
    data = bytearray(archive)
    struct.pack_into("<I", data, end + offset, value)
    return bytes(data)


def _twice() -> bytes:
    first = _archive({"a.py": b"1"})
    buffer = io.BytesIO(first)
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr("policy_spec.json", json.dumps(SPEC | {"class_path": "os.system"}))
    return buffer.getvalue()


def _wrong_checksum() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("policy_spec.json", json.dumps(SPEC))
    return buffer.getvalue().replace(b'"init_kwargs"', b'"InIt_kwargs"')


def _flagged(bit: int) -> bytes:
    data = bytearray(_archive({}))
    data[6] |= bit
    data[data.rindex(b"PK\1\2") + 8] |= bit
    return bytes(data)
