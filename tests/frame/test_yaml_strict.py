"""YAML and JSON are read by one strict meaning, and every refusal names the line."""

import json
import math
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daf.config import DAFSweepConfig
from daf.errors import ConfigError, StorageError
from daf.storage.yaml_strict import MAX_BYTES, dump_yaml, load_yaml, parse_json, parse_yaml, read_document

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufeff\ufffe\uffff"), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
DATA = st.dictionaries(
    TEXT.filter(lambda key: key != "<<"),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)),
    min_size=1,
    max_size=5,
).filter(lambda data: "<<" not in json.dumps(data))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("12:30:00", "12:30:00"),
        ("2026-11-20", "2026-11-20"),
        ("~", None),
        ("True", True),
        ("'1e-4'", "1e-4"),
        ("-.inf", -math.inf),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    read = parse_yaml(f"a: {text}").value["a"]
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a:\n\tb: 1\n", "x.yaml:2: a tab before the content"),
        ("a: 1\nb: 2\na: 3\n", 'x.yaml:3: duplicate key "a", first at x.yaml:1'),
        ("s:\n  a: 1\n  a: 3\n", 'x.yaml:3: duplicate key "a" in s, first at x.yaml:2'),
        ("a: !!python/name:os.system x\n", "x.yaml:1: the tag !!python/name:os.system is not supported"),
        ("a: !!python/object/apply:os.system [ls]\n", "x.yaml:1: the tag"),
        ("a: !custom {b: 1}\n", "x.yaml:1: the tag !custom"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "x.yaml:3: merge keys"),
        ("a: &x [*x]\n", 'x.yaml:1: no anchor "x" is complete before'),
        ("a: 1\n---\nb: 2\n", "x.yaml:2: a second document"),
        ("", "x.yaml: the file is empty"),
        ("# only words\n\n", "x.yaml: the file is empty"),
        ("a: [1, 2\nb: 3\n", "x.yaml:2: not YAML"),
        ("? [1]\n: 2\n", "x.yaml:1: a key must be text"),
        ("[" * 10_000, "x.yaml:1: nested deeper than 64"),
    ],
)
def test_what_is_ambiguous_or_dangerous_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_yaml(text, name="x.yaml")
    assert sentence in str(raised.value)


def test_a_python_tag_does_not_run_anything(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    with pytest.raises(ConfigError):
        parse_yaml(f"a: !!python/object/apply:os.mkdir ['{witness}']\n")
    assert not witness.exists()


def test_aliases_cannot_fill_the_memory() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match=r"aliases expand to more than"):
        parse_yaml("\n".join(layers))


def test_an_alias_repeats_its_value() -> None:
    assert parse_yaml("a: &x [1, {b: 2}]\nc: *x\n").value == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


def test_files_that_are_no_utf8_are_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("a: 1\nname: Zürich\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: not UTF-8 \(byte 0xfc\)"):
        load_yaml(path)
    path.write_bytes(b"a: 1\n".decode().encode("utf-16"))
    with pytest.raises(ConfigError, match=r":1: not UTF-8"):
        load_yaml(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    path = tmp_path / "mark.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_yaml(path) == {"a": 1}


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ConfigError, match=r"larger than 8 MiB"):
        load_yaml(path)


def test_a_missing_file_is_a_storage_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"none.yaml"):
        load_yaml(tmp_path / "none.yaml")


def test_json_knows_its_lines_even_with_tabs(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n\t"a": 1,\n\t"b": {\n\t\t"c": "x\\ty"\n\t}\n}')
    document = read_document(path)
    assert document.value == {"a": 1, "b": {"c": "x\ty"}}
    assert document.where(("b", "c")) == f"{path}:4"
    assert document.where(("b", "missing")) == f"{path}:3"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"a": 1, "a": 2}', 'duplicate key "a" in one object'),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{\n"a": }', "x.json:2: not JSON"),
        (" ", "the file is empty"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_json_is_strict_too(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_json(text, name="x.json")
    assert sentence in str(raised.value)


YAML_LIKE = st.text(alphabet=list("abc:-?[]{}#&*!|>%@'\"\\\t\n ,.0123456789eE~<ä\ud800"), max_size=60)


@settings(deadline=None)
@given(YAML_LIKE | st.text(max_size=40))
def test_any_text_is_either_read_or_refused_by_name(text: str) -> None:
    for parse in (parse_yaml, parse_json):
        try:
            shown = parse(text, name="x").where()
        except ConfigError as error:
            shown = str(error)
        assert shown.startswith("x")


@pytest.mark.parametrize("number", ["9" * 5000, "0x" + "f" * 5000, "0o" + "7" * 5000])
def test_an_integer_of_thousands_of_digits_is_refused_in_any_base(number: str) -> None:
    with pytest.raises(ConfigError, match=r"x:2: an integer of 5,00\d digits is too long"):
        parse_yaml(f"a: 1\nb: {number}\n", name="x")


def test_a_json_integer_of_thousands_of_digits_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"x: an integer of 5,000 digits is too long"):
        parse_json("9" * 5000, name="x")


def test_a_number_of_thousands_of_digits_in_quotes_is_refused_as_text() -> None:
    with pytest.raises(ConfigError, match=r"num_trials"):
        DAFSweepConfig.from_document(parse_yaml(f"num_trials: '{'9' * 5000}'"))


def test_a_chain_of_aliases_is_refused_where_it_nests_too_deep() -> None:
    chain = "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 3000))
    with pytest.raises(ConfigError, match=r"x:6\d: aliases expand to more than 64 levels"):
        parse_yaml(f"a0: &a0 [1]\n{chain}\n", name="x")


@pytest.mark.parametrize(
    "text",
    [f"a: [{'1,' * 900_000}1]", "\n".join(f"k{i}: 1" for i in range(180_000)), "- 1\n" * 450_000],
    ids=["flow", "keys", "items"],
)
def test_a_wide_file_is_refused_before_the_rest_is_parsed(text: str) -> None:
    began = time.process_time()
    with pytest.raises(ConfigError, match=r"more than 100,000 keys and values"):
        parse_yaml(text)
    assert time.process_time() - began < 6  # 0.8 s on an idle machine; it took 8 s without the bound


def test_json_with_millions_of_values_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(ConfigError, match=r"about 1,800,001 values; at most 1,000,000 are read"):
        parse_json("[" + "{}," * 900_000 + "1]")
    assert parse_json(f'["{"," * 2_000_000}"]').value == ["," * 2_000_000]


def test_a_pipe_as_a_configuration_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"pipe.yaml: not a regular file"):
        load_yaml(tmp_path / "pipe.yaml")


@settings(deadline=None)
@given(DATA)
def test_what_is_dumped_reads_back_as_it_was(data: dict[str, object]) -> None:
    read = parse_yaml(dump_yaml(data)).value
    assert json.dumps(read) == json.dumps(data)
