"""The call forms that the contract promises: paths as text or `Path`, devices as torch has them, words and mappings."""

import io
import json
import logging
import tarfile
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from daf import output_utils
from daf.config import DAFConfigManager, DAFSweepConfig, DAFTrainingConfig
from daf.errors import ConfigError, UsageError
from daf.evaluation import Settings
from daf.game.device import resolve_device
from daf.logging_config import DAFLogger, create_daf_logger
from daf.output_manager import OutputManager, find_run


@pytest.fixture
def logger(tmp_path: Path) -> Any:
    made = create_daf_logger("call_forms", log_dir=tmp_path)
    yield made
    standard = logging.getLogger("daf.call_forms")
    for handler in list(standard.handlers):
        standard.removeHandler(handler)
        handler.close()


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "call_forms.jsonl").read_text().splitlines()]


def printed(write: Any) -> str:
    text = io.StringIO()
    write(Console(file=text, width=200))
    return text.getvalue()


def test_a_torch_device_stands_wherever_a_device_is_named() -> None:
    torch = pytest.importorskip("torch")
    cpu = torch.device("cpu")
    assert DAFTrainingConfig(device=cpu).device == "cpu"
    assert DAFTrainingConfig(device=torch.device("cuda", 1)).device == "cuda:1"
    assert Settings(device=cpu).device == "cpu"
    assert resolve_device(cpu) == "cpu"
    space: Any = {"learning_rate": [0.1]}
    sweep = DAFSweepConfig(name="s", missions=["arena"], policy_class_path="starter", search_space=space, device=cpu)
    assert sweep.device == "cpu"
    with pytest.raises(ConfigError, match='no device "meta"'):
        DAFTrainingConfig(device=torch.device("meta"))


@pytest.mark.parametrize("device", ["cdua", 1, None])
def test_an_unknown_device_is_refused_in_one_sentence(device: Any) -> None:
    with pytest.raises(ConfigError, match=r"^DAFTrainingConfig: device: no device \"\S+\"\. (Nearest|Known): [^\n]+$"):
        DAFTrainingConfig(device=device)


def test_a_run_is_found_exported_and_shown_by_id_folder_path_and_run_info(tmp_path: Path) -> None:
    output = OutputManager(tmp_path / "out")
    with output.operation("evaluations", title="a run") as folder:
        pass
    run = find_run(output.session_id, tmp_path / "out")
    for given in (folder, str(folder), run):
        assert find_run(given).path == folder  # a folder needs no base_dir
        shown = printed(lambda console, given=given: output_utils.print_session_info(given, console))
        assert output.session_id in shown
    for number, given in enumerate((folder, run)):
        archive = output_utils.export_session(given, tmp_path / f"{number}.tar.gz")
        with tarfile.open(archive) as packed:
            assert any(name.endswith("execution_log.json") for name in packed.getnames())
    with pytest.raises(UsageError, match="no such run directory"):
        find_run(tmp_path / "nowhere", tmp_path / "out")


def test_results_are_saved_without_a_file_name_and_under_paths(tmp_path: Path) -> None:
    output = OutputManager(tmp_path)
    assert output.save_json_results({"a": 1}, operation="sweep").name == "results.json"
    assert output.save_text_results("text", "sweep").name == "results.txt"
    placed = output.save_json_results([1], "sweep", Path("tables") / "one.json", Path("stats"))
    assert placed == output.run_dir("sweep") / "stats" / "tables" / "one.json"
    assert output.get_operation_dir("sweep", Path("logs")).is_dir()
    with pytest.raises(UsageError, match="lead out of"):
        output.save_json_results([1], "sweep", Path("..") / "one.json")


def test_a_logger_takes_fields_as_a_mapping_and_whatever_they_are_called(logger: DAFLogger, tmp_path: Path) -> None:
    logger.info("progress", {"episode": 3, "event": "x", "message": "m"})
    logger.warning("progress", {"episode": 3}, episode=4, message="n")
    with logger.track_operation("training", name="mine"):
        pass
    first, second, begun, _ = lines(tmp_path)
    assert (first["event"], first["episode"], first["field_event"], first["message"]) == ("progress", 3, "x", "m")
    assert (second["episode"], second["message"]) == (4, "n")
    assert (begun["operation"], begun["metadata_name"]) == ("training", "mine")


def test_a_metrics_summary_without_metrics_is_of_the_operations_so_far(logger: DAFLogger, tmp_path: Path) -> None:
    with logger.track_operation("training"):
        pass
    with pytest.raises(ValueError, match="boom"), logger.track_operation("evaluation"):
        raise ValueError("boom")
    text = printed(lambda console: logger.print_metrics_summary(console=console))
    assert "training" in text
    assert "completed" in text
    assert "ValueError: boom" in text
    assert [row[:2] for row in lines(tmp_path)[-1]["rows"]] == [["training", "completed"], ["evaluation", "failed"]]
    assert "loss" in printed(lambda console: logger.print_metrics_summary({"loss": 0.5}, console=console))


def test_a_sweep_section_has_its_own_name() -> None:
    manager = DAFConfigManager(environ={})
    space = {"learning_rate": [0.1]}
    manager.configure_component(
        "sweep", name="mine", missions=["arena"], policy_class_path="starter", search_space=space
    )
    section = manager.get_component_config("sweep")
    assert isinstance(section, DAFSweepConfig)
    assert section.name == "mine"


def test_a_section_is_registered_by_a_mapping_of_defaults_and_holds_its_types(tmp_path: Path) -> None:
    manager = DAFConfigManager(environ={"DAF_MINE__STEPS": "7"})
    manager.register_component("mine", {"steps": 5, "rate": 0.5, "words": ["a"], "anything": None})
    manager.register_component("mine", {"steps": 5, "rate": 0.5, "words": ["a"], "anything": None})
    manager.configure_component("mine", rate=0.25, anything="x")
    section: Any = manager.get_component_config("mine")
    assert (section.steps, section.rate, section.words, section.anything) == (7, 0.25, ["a"], "x")
    assert manager.get_effective_config()["mine.words"].source == "default"
    manager.save_to_file(tmp_path / "all.yaml")
    again = DAFConfigManager(environ={})
    again.register_component("mine", {"steps": 5, "rate": 0.5, "words": ["a"], "anything": None})
    again.load_from_file(tmp_path / "all.yaml")
    assert again.get_component_config("mine").to_data() == section.to_data()
    for fields, said in [({"steps": "many"}, "an integer"), ({"stepz": 1}, "Nearest: steps")]:
        with pytest.raises(ConfigError, match=said):
            manager.configure_component("mine", **fields)
    with pytest.raises(UsageError, match="taken"):
        manager.register_component("mine", {"steps": 6})
    with pytest.raises(UsageError, match="cannot name a field"):
        manager.register_component("other", {"model fields": 1})
