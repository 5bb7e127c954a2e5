"""Hostile replay files."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from tests.hostile.corpus import NOT_FILES, NOT_JSON, Input, Place, Spoiler, content
from tests.replays.replay_files import minimal

WARM_UP = ["replay", "info", "MADE/replay.json.z"]


FIELDS = ("version", "action_names", "item_names", "type_names", "map_size", "num_agents", "max_steps", "objects")


def inputs() -> Iterator[Input]:
    """All of them."""
    for name, spoiler in {**NOT_FILES, **NOT_JSON}.items():
        yield _file(name, spoiler, r"bad\.json\.z")
    whole = zlib.compress(json.dumps(minimal()).encode())
    for part in (1, 2, len(whole) // 2, len(whole) - 1):
        yield _file(f"zlib cut at byte {part}", content(whole[:part]), "ends early|byte|damaged")
    yield _file("zlib with a wrong checksum", content(whole[:-1] + b"\0"), "damaged")
    yield _file("zlib with bytes behind it", content(whole + b"more"), "bytes follow the end")
    packed = gzip.compress(json.dumps(minimal()).encode())
    yield _file("gzip cut in its header", content(packed[:9]), "ends early")
    yield _file("gzip with a wrong length", content(packed[:-1] + b"\7"), "damaged")
    yield _file("zlib of nothing", content(zlib.compress(b"")), "malformed|truncated|no replay|byte")
    yield _file("zlib of zlib", content(zlib.compress(whole)), "invalid|malformed|UTF-8")
    for field in FIELDS:
        yield _changed(f"without {field}", lambda d, field=field: d.pop(field), field)
        for value in ("text", [{}], -1, None):
            yield _changed(
                f"{field}: {value!r}",
                lambda d, f=field, v=value: d.update({f: v}),
                f"{field}|replay of format|outside|agent|has no",
            )
    for field in ("tags", "infos", "mg_config", "capacity_names"):
        yield _changed(f"{field}: 7", lambda d, field=field: d.update({field: 7}), field)
    for field, value, says in (
        ("version", 10**30, "version|beyond|range|number"),
        ("version", 99, "versions 2, 3 and 4"),
        ("map_size", [10**9, 10**9], "map_size"),
        ("map_size", [0, 0], "map_size"),
        ("max_steps", 10**18, "max_steps"),
        ("num_agents", 10**9, "num_agents"),
        ("num_agents", 2, "num_agents is 2"),
    ):
        yield _changed(f"{field}: {value}", lambda d, f=field, v=value: d.update({f: v}), says)
    for field, value in (
        ("agent_id", -1), ("agent_id", 10**25), ("agent_id", "x"), ("agent_id", [[1, 0]]),
        ("location", []), ("location", [1]), ("location", [10**18, 0]), ("location", [[5, [0, 0]]]), ("location", "x"),
        ("inventory", [[0, 0, 0, 0]]), ("inventory", {"a": 1}), ("total_reward", [[0, 0], [0, 1]]),
        ("total_reward", [[0, 1], [10**12, 1]]), ("action_id", [[-5, 1]]), ("action_id", 10**30), ("tag_ids", 5),
        ("id", None), ("type_name", 5), ("alive", "yes"), ("action_success", [[0, "yes"]]),
    ):  # fmt: skip
        agent = lambda d, f=field, v=value: d["objects"][0].update({f: v})  # noqa: E731
        yield _changed(f"agent's {field}: {str(value)[:40]}", agent, field)
    million = 1_000_000
    for name, where, text, says in (
        ("ten million empty objects", '"objects": [', "{}," * 10 * million, "number of objects"),
        ("ten million agents", '"objects": [', '{"agent_id":0},' * 2 * million, "objects are agents"),
        ("an object with a million keys", '"objects": [', _keys(million, "{") + "},", "has no id"),
        ("lists in infos", '"infos": {', '"x":[' + "[]," * 10 * million + "0],", "infos has"),
        ("objects in infos", '"infos": {', '"x":[' + "{}," * 10 * million + "0],", "infos has"),
        ("item names", '"item_names": [', '"",' * 10 * million, "item_names has"),
        ("action names", '"action_names": [', '"",' * 10 * million, "action_names has"),
        ("type names", '"type_names": [', '"",' * 10 * million, "type_names has"),
        ("tags", '"tags": {', _keys(million, "") + ",", "tags has"),
        ("vibes", '"vibe_names": [', '"",' * 10 * million, "vibe_names has"),
        ("changes of place", '"location": [', "[]," * 8 * million, "location: about"),
        ("pairs of an inventory", '"inventory": [', "[0,0]," * 5 * million, "inventory: about"),
        ("numbers in policy_infos", '"policy_infos": [', "1," * 8 * million, "policy_infos: about"),
        ("a deep list in infos", '"infos": {', '"x":' + "[" * 100_000 + "]" * 100_000 + ",", "nested too deep"),
        ("a deep object", '"objects": [', '{"id":' + "[" * 100_000 + "]" * 100_000 + "},", "nested too deep|objects"),
        ("NaN after a million objects", '"infos": {', '"x":[' + "{}," * 9 * million + "NaN],", "not a number|infos"),
    ):  # fmt: skip
        text = json.dumps(minimal()).replace(where, where + text, 1)
        yield _file(name, _packed(text), says)
    yield _file("200 MB of spaces", _packed(" " * 200_000_000 + json.dumps(minimal())), "unpack to more than")
    yield _file("2 GB of zeros", _repeated(b"\0" * 10_000_000, 200), "unpack")
    yield Input("a folder", lambda place: ["replay", "info", "."], "is a directory")
    yield Input("no file", lambda place: ["replay", "info", "none.json.z"], "no replay file")
    yield Input("a name with NUL", lambda place: ["replay", "info", "a\0b"], "null|NUL|no replay|path")
    yield Input("a name of 100,000 characters", lambda place: ["replay", "info", "x" * 100_000], "too long|no replay")
    for command in ("gif", "html", "frames"):
        bomb = _packed(json.dumps(minimal()).replace('"objects": [', '"objects": [' + "{}," * 3 * million, 1))
        yield _file(f"{command} of a bomb", bomb, "number of objects", command)
        wide = _packed(json.dumps(minimal(map_size=[1024, 1024], max_steps=million)))
        drawn = command != "html"
        yield _file(
            f"{command} of an endless episode",
            wide,
            "1,000,000 frames" if drawn else "",
            command,
            (2,) if drawn else (0, 1, 2),
        )


def _keys(count: int, opening: str) -> str:
    return opening + ",".join(f'"k{number}":{number}' for number in range(count))


def _packed(text: str) -> Spoiler:
    return lambda path: content(zlib.compress(text.encode(), 1))(path)


def _repeated(piece: bytes, times: int) -> Spoiler:
    def write(path: Any) -> None:
        packing = zlib.compressobj(9)
        content(b"".join(packing.compress(piece) for _ in range(times)) + packing.flush())(path)

    return write


def _changed(name: str, edit: Callable[[dict[str, Any]], Any], says: str) -> Input:
    def write(path: Any) -> None:
        document = minimal()
        edit(document)
        content(json.dumps(document))(path)

    return _file(name, write, says)


def _file(name: str, spoiler: Spoiler, says: str, command: str = "info", codes: tuple[int, ...] = (1, 2)) -> Input:
    def make(place: Place) -> list[str]:
        spoiler(place.work / "bad.json.z")
        if command == "info":
            return ["replay", "info", "bad.json.z"]
        return ["replay", command, "bad.json.z", "--output-dir", "drawn"]

    return Input(name, make, says, codes)
