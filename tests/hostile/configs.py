"""Hostile configuration files of every class: sweeps, training, comparisons, experiments, curricula and logs."""

from collections.abc import Iterator

from tests.hostile.corpus import NOT_FILES, Input, Place, Spoiler, content
from tests.hostile.logs import GOOD

MISSION = "training_facility_1,max_steps=5"
COMMANDS: dict[str, tuple[list[str], str]] = {
    "sweep": (
        ["sweep", "run", "FILE"],
        "name: x\nmissions: [arena]\npolicy_class_path: random\nsearch_space: {policy.vibe_action_p: [0.5]}\n",
    ),
    "training": (["train", "--config", "FILE"], "mission: arena\npolicy: token_lstm\ntotal_timesteps: 10\n"),
    "comparison": (["compare", "--config", "FILE"], "name: x\npolicies: [noop, random]\nmissions: [arena]\n"),
    "adaptive": (["adaptive", "run", "FILE"], "experiment_id: x\ntraining: {mission: arena, policy: token_lstm}\n"),
    "curriculum": (["train", "-p", "token_lstm", "--curriculum", "FILE"], "missions: [arena]\n"),
    "logs": (["logs", ".", "--config", "FILE"], "seed: 1\n"),
}
"""By kind of configuration: the command that reads it, and a valid beginning."""
WARM_UP = ["sweep", "run", "none.yaml"]

_CHAIN = "a0: &a0 [1]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 3000))
_LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)
)
_YAML: dict[str, tuple[str | bytes, str]] = {
    "a chain of aliases": (_CHAIN, "aliases expand to more than 64 levels"),
    "a billion laughs": (_LAUGHS, "aliases expand to more than"),
    "an alias of itself": ("a: &a [*a]\n", "no anchor"),
    "a merge key": ("a: &a {b: 1}\nc:\n  <<: *a\n", "merge keys"),
    "a tag that runs a command": ("a: !!python/object/apply:os.system ['touch ../../ran']\n", "the tag"),
    "a tag that makes an object": ("a: !!python/object/new:os.path.join [x]\n", "the tag"),
    "a binary tag": ("a: !!binary AAAA\n", "the tag"),
    "two documents": ("a: 1\n---\nb: 2\n", "second document"),
    "a tab": ("a:\n\tb: 1\n", "a tab"),
    "180,000 keys": ("\n".join(f"k{i}: 1" for i in range(180_000)), "more than 100,000"),
    "900,000 values in a row": ("a: [" + "1," * 900_000 + "1]", "more than 100,000"),
    "450,000 items": ("a:\n" + "- 1\n" * 450_000, "more than 100,000"),
    "deep lists": ("a: " + "[" * 100_000, "nested deeper"),
    "deep items": ("- " * 100_000, "nested deeper"),
    "hexadecimal digits": ("a: 0x" + "f" * 5000, "digits is too long"),
    "octal digits": ("a: 0o" + "7" * 5000, "digits is too long"),
    "decimal digits": ("a: " + "7" * 5000, "digits is too long"),
    "9 MB": ("a: " + "x" * 9_000_000, "larger than 8 MiB"),
    "8 MB of line breaks": ("a: 1\n" + "\n" * 8_000_000, ""),
    "8 MB of comments": ("#\n" * 4_000_000, "empty"),
    "not UTF-8": (b"name: \xff\xfe\n", "not UTF-8"),
    "UTF-16": ("name: x\n".encode("utf-16"), "not UTF-8"),
    "control characters": (b"a: \x1b[31m\x00\x07\n", "not YAML|special characters"),
    "empty": ("", "empty"),
    "a scalar": ("just words\n", "mapping|fields"),
    "a list": ("- 1\n- 2\n", "mapping|fields|text"),
    "a number as the file": ("17\n", "mapping|fields"),
    "a key of 1 MB": ("? " + "k" * 1_000_000 + "\n: 1\n", ""),
    "an unfinished quote": ('a: "x', "not YAML"),
    "a list as a key": ("? [1]\n: 2\n", "a key must be"),
    "a wrong indent": ("a: 1\n  b: 2\n", "not YAML"),
    "numbers as keys": ("1: 2\n3: 4\n", ""),
    "null as a key": ("~: 1\n", ""),
    "kind is a list": ("kind: [a, b]\n", "kind|mission"),
    "kind is a mapping": ("kind: {a: b}\n", "kind|mission"),
    "an unknown kind": ("kind: bomb\n", "kind"),
}
"""YAML that is wrong for every class, with what the refusal says."""

_FIELDS: dict[str, dict[str, tuple[str, str]]] = {
    "sweep": {
        "a grid of 10^12 cells": (
            "search_space: {" + ", ".join(f"policy.a{i}: {list(range(100))}" for i in range(6)) + "}", "cells",
        ),
        "trials without end": ("num_trials: .inf", "num_trials"),
        "a text number": ("num_trials: '9" + "9" * 5000 + "'", "num_trials"),
        "an empty space": ("search_space: {}", "search_space"),
        "a range upside down": ("search_space: {policy.a: {min: 1.0, max: 0.0}}", "search_space"),
        "a range of NaN": ("search_space: {policy.a: {min: .nan, max: 1.0}}", "search_space"),
        "a range of infinity": ("search_space: {policy.a: {min: 0.0, max: .inf}}", "search_space"),
        "an unknown strategy": ("strategy: [grid]", "strategy"),
        "a name with slashes": ("name: [../../escaped]", "name"),
        "a constraint that is code": ("constraints: ['__import__(\"os\").mkdir(\"../../ran\")']", "constraint"),
        "a mission that is a folder": ("missions: [../..]", "mission|folder"),
        "no missions": ("missions: []", "missions"),
        "an unknown field": ("num_trails: 3", "num_trails"),
    },
    "training": {
        "65536 × 65536": ("n_steps: 65536\nnum_envs: 65536", "num_envs 65,536 .* memory"),
        "n_steps 0": ("n_steps: 0", "n_steps"),
        "n_steps as text": ("n_steps: many", "n_steps"),
        "a negative size": ("num_envs: -5", "num_envs"),
        "a learning rate of NaN": ("learning_rate: .nan", "learning_rate"),
        "a learning rate of infinity": ("learning_rate: .inf", "learning_rate"),
        "a seed beyond 2^31": ("seed: 99999999999999999999", "seed"),
        "a huge network": ("network: {hidden_size: 10000000}", "hidden_size"),
        "a device that is a path": ("device: ../../cuda", "device"),
        "weights that are a device": ("initial_weights: /dev/zero", "weights|regular|zero"),
        "an unknown tracker": ("trackers: [everything]", "tracker"),
        "a curriculum that is a list": ("curriculum: [1, 2]", "curriculum"),
        "a batch of 10^18": ("batch_size: 1000000000000000000", "batch_size"),
    },
    "comparison": {
        "samples without end": ("bootstrap_samples: 1000000000000", "bootstrap_samples"),
        "no policies": ("policies: []", "policies"),
        "weights of another policy": ("policy_weights: {other: x}", "other"),
        "episodes below 1": ("episodes_per_mission: 0", "episodes_per_mission"),
        "a level above 1": ("significance_level: 7", "significance_level"),
    },
    "adaptive": {
        "runs without end": ("num_runs: 1000000000", "num_runs"),
        "a climbing name": ("experiment_id: ../../escaped", "experiment_id"),
        "a negative delay": ("retry_delay: -1", "retry_delay"),
        "an unknown scheduler": ("scheduler: {name: none}", "scheduler"),
    },
    "curriculum": {
        "no missions": ("missions: []", "missions"),
        "a sampler that is unknown": ("sampler: {name: oracle}", "sampler"),
        "a window beyond the bound": ("window: 99999999999", "window"),
        "an unknown mission": ("missions: [nowhere]", "nowhere"),
    },
    "logs": {
        "an unknown option": ("sed: 1", "sed"),
        "a sample below 1": ("sample_size: 0", "sample_size"),
        "a seed that is text": ("seed: x", "seed"),
        "a comparison of one": ("compare: [a]", "compare"),
        "a list as the variant": ("variant: [1]", "variant"),
        "jobs in millions": ("jobs: 10000000", "jobs"),
        "a format that is a number": ("formats: 7", "format"),
    },
}  # fmt: skip
"""Fields that are wrong for one class; written over those of its valid beginning."""


def inputs() -> Iterator[Input]:
    """All of them: every wrong text for two classes each, wrong files and JSON for one, wrong fields for each."""
    kinds = list(COMMANDS)
    for number, (name, (text, says)) in enumerate(_YAML.items()):
        for kind in (kinds[number % len(kinds)], kinds[(number + 1) % len(kinds)]):
            yield _input(kind, f"{kind}: {name}", content(text), says)
    for number, (name, spoiler) in enumerate(NOT_FILES.items()):
        kind = kinds[number % len(kinds)]
        yield _input(kind, f"{kind}: {name}", spoiler, "bad.yaml|loop|directory")
    for name, text, says in (
        ("JSON with a key twice", '{"name": "a", "name": "b"}', "twice|duplicate"),
        ("JSON nested deep", '{"a":' * 50_000, "nested too deep"),
        ("JSON of two million objects", "[" + "{}," * 2_000_000 + "1]", "values"),
        ("JSON with NaN", '{"a": NaN}', "NaN"),
        ("JSON with 10,000 digits", '{"a": ' + "9" * 10_000 + "}", "digits"),
        ("JSON that is cut", '{"a": [1', "not JSON"),
        ("JSON with a lone surrogate", '{"name": "\\ud800", "a": 1}', ""),
    ):
        yield _input("sweep", name, content(text), says, "bad.json")
    for kind, fields in _FIELDS.items():
        for name, (text, says) in fields.items():
            own = {line.split(":")[0] for line in text.splitlines()}
            beginning = [line for line in COMMANDS[kind][1].splitlines() if line.split(":")[0] not in own]
            yield _input(kind, f"{kind}: {name}", content("\n".join([*beginning, text, ""])), says)


def _input(kind: str, name: str, spoiler: Spoiler, says: str, file: str = "bad.yaml") -> Input:
    def make(place: Place) -> list[str]:
        if kind == "logs":
            (place.work / "good.jsonl").write_text(GOOD)
        spoiler(place.work / file)
        return [file if part == "FILE" else part for part in COMMANDS[kind][0]]

    return Input(name, make, says)
