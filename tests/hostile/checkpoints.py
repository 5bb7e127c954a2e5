"""Hostile checkpoints: played, trained from and branched from."""

import json
import pickle
import shutil
import struct
from collections.abc import Iterator
from pathlib import Path

from tests.hostile.corpus import NOT_FILES, NOT_JSON, Input, Place, Spoiler, changed, content, cut, flipped

MISSION = "training_facility_1,max_steps=5"
WARM_UP = ["evaluate", "-p", "MADE/checkpoint", "-m", MISSION, "--episodes", "1", "--jobs", "1", "--executor", "serial"]
FILES = ("weights.safetensors", "weights.pt", "policy_spec.json", "state.json", "checksums.json")
PLAY = ["evaluate", "-p", "bad", "-m", MISSION, "--episodes", "1", "--jobs", "1", "--executor", "serial"]
TRAIN = [
    "train", "-p", "token_lstm", "-m", MISSION, "--steps", "64", "--envs", "2", "--set", "n_steps=16", "--set",
    "hidden_size=8", "--eval-every", "never", "--workers", "1",
]  # fmt: skip


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("../../ran"),)  # type: ignore[return-value]


def inputs() -> Iterator[Input]:
    """All of them."""
    ways = {**NOT_FILES, "empty": content(b""), "half": cut(0.5), "a flipped byte": flipped(0.1)}
    for number, file in enumerate(FILES):
        for name, spoiler in ways.items():
            yield _input(f"{file}: {name}", file, spoiler, [PLAY, [*TRAIN, "--initial-weights", "bad"]][number % 2])
    for file in ("state.json", "checksums.json", "policy_spec.json"):
        for name, spoiler in list(NOT_JSON.items())[1::2]:
            command = [*TRAIN, "--branch-from", "bad"] if file == "state.json" else PLAY
            yield _input(f"{file}: {name}", file, spoiler, command)
    for name, spoiler in ways.items():
        yield _input(f"state.pt: {name}", "state.pt", spoiler, [*TRAIN, "--branch-from", "bad"])
    for name, data in (
        ("a pickle that runs", pickle.dumps(_Evil())),
        ("a header of 2^63 bytes", struct.pack("<Q", 2**63) + b"{}"),
        ("a header that is text", struct.pack("<Q", 4) + b"text"),
        ("a tensor beyond the file", _safetensors("F32", [10**9], 4 * 10**9)),
        ("a tensor of 2^60 elements", _safetensors("F32", [2**30, 2**30], 4)),
        ("an unknown type", _safetensors("X99", [1], 4)),
        ("another network", _safetensors("F32", [1], 4)),
    ):  # fmt: skip
        yield _alone(f"weights: {name}", "bad.safetensors" if name != "a pickle that runs" else "bad.pt", data)
    for name, edit in (
        ("checksums that climb", lambda sums: sums | {"../../../precious/data.txt": "0" * 64}),
        ("checksums of a device", lambda sums: sums | {"/dev/zero": "0" * 64}),
        ("checksums of another file", lambda sums: sums | {"more.bin": "0" * 64}),
        ("checksums that are numbers", lambda sums: dict.fromkeys(sums, 1)),
        ("no checksums", lambda sums: {}),
    ):
        yield _input(name, "checksums.json", changed(edit), PLAY)
    yield Input("a folder without anything", _nothing, r"Error: .+")


def _nothing(place: Place) -> list[str]:
    (place.work / "bad").mkdir()
    return PLAY


def _input(name: str, file: str, spoiler: Spoiler, command: list[str]) -> Input:
    def make(place: Place) -> list[str]:
        shutil.copytree(place.made / "checkpoint", place.work / "bad")
        spoiler(place.work / "bad" / file)
        return command

    return Input(name, make, r"Error: .+")


def _alone(name: str, file: str, data: bytes) -> Input:
    def make(place: Place) -> list[str]:
        (place.work / file).write_bytes(data)
        return [*TRAIN, "--initial-weights", file]

    return Input(name, make, r"Error: .+")


def _safetensors(kind: str, shape: list[int], size: int) -> bytes:
    text = json.dumps({"a": {"dtype": kind, "shape": shape, "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 4
