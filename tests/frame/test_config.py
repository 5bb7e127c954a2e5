"""Configuration: every class refuses what it does not know, and every value knows where it came from."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daf.config import (
    ConfigModel,
    DAFComparisonConfig,
    DAFConfig,
    DAFConfigManager,
    DAFDeploymentConfig,
    DAFPipelineConfig,
    DAFSweepConfig,
    DAFTournamentConfig,
    DAFTrainingConfig,
    DAFVariantConfig,
    apply_gpu_settings,
    create_development_config,
    create_production_config,
    daf_load_config,
    effective_config,
    load_config_from_environment,
)
from daf.environment_checks import daf_get_recommended_device
from daf.errors import ConfigError, UsageError

NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=15).filter(
    lambda text: text == text.strip() and text.strip() != ""
)
SEEDS = st.integers(0, 2**31 - 1)
CHOICES = st.lists(
    st.booleans() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    min_size=1,
    max_size=4,
)
RANGES = st.tuples(st.floats(0.1, 1), st.floats(2, 9)).map(lambda pair: {"min": pair[0], "max": pair[1], "step": 0.5})
TRAINING = st.builds(
    DAFTrainingConfig,
    mission=st.none() | NAMES,
    learning_rate=st.floats(1e-300, 1, exclude_min=True),
    gamma=st.floats(0, 1),
    total_timesteps=st.integers(1, 10**15),
    device=st.sampled_from(["auto", "cpu", "cuda", "mps"]),
    seed=SEEDS,
)
CONFIGS = st.one_of(
    st.builds(
        DAFConfig,
        output_dir=NAMES.filter(lambda t: "~" not in t),
        checkpoint_dir=st.none() | st.just("ckpt") | st.just("/elsewhere"),
        max_parallel_jobs=st.integers(1, 64),
        gpu_memory_fraction=st.floats(0.01, 1),
        verbose=st.booleans(),
    ),
    TRAINING,
    st.builds(
        DAFSweepConfig,
        name=NAMES,
        missions=st.lists(NAMES, min_size=1, max_size=3),
        policy_class_path=NAMES,
        search_space=st.dictionaries(NAMES, CHOICES | RANGES, min_size=1, max_size=3),
        seed=SEEDS,
        training=st.none() | TRAINING,
    ),
    st.builds(
        DAFComparisonConfig,
        name=NAMES,
        policies=st.lists(NAMES, min_size=1, max_size=3),
        missions=st.lists(NAMES, min_size=1, max_size=3),
        significance_level=st.floats(0.001, 0.5),
    ),
    st.builds(DAFDeploymentConfig, policy_name=NAMES, policy_class_path=NAMES, version=NAMES),
    st.builds(DAFTournamentConfig, submission_name=NAMES, server_url=st.just("https://example.org")),
    st.builds(DAFVariantConfig, variant_names=st.lists(NAMES, min_size=1, max_size=3), num_cogs=st.none() | st.just(4)),
    TRAINING.map(lambda t: DAFPipelineConfig(name="p", stages=["training"], training_config=t)),
)

SWEEP = """\
name: lr
missions: [arena]
policy_class_path: lstm
search_space:
  learning_rate:
    min: 1e-4
    max: 1e-2
    step: 1e-3
"""


@pytest.fixture(autouse=True)
def _no_daf_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("DAF_"):
            monkeypatch.delenv(name)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@settings(deadline=None)
@given(CONFIGS)
def test_every_config_survives_yaml_and_json(tmp_path_factory: pytest.TempPathFactory, config: ConfigModel) -> None:
    folder = tmp_path_factory.mktemp("round")
    config.to_yaml(folder / "c.yaml")
    config.to_json(folder / "c.json")
    assert type(config).from_yaml(folder / "c.yaml") == config
    assert type(config).from_json(folder / "c.json") == config
    assert daf_load_config(folder / "c.yaml") == config


def test_the_defaults_are_those_of_the_contract() -> None:
    config = DAFConfig()
    assert config.output_dir == Path("daf_output")
    assert (config.max_checkpoints_to_keep, config.max_parallel_jobs, config.gpu_memory_fraction) == (5, 4, 0.8)
    flags = (config.organize_by_operation, config.enable_gpu, config.log_to_file, config.monitor_system_stats)
    assert all((*flags, config.track_experiments))
    assert not config.verbose


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"outptu_dir": "x"}, 'no field "outptu_dir". Nearest: output_dir'),
        ({"max_parallel_jobs": 0}, "max_parallel_jobs: 0 is below the minimum 1"),
        ({"gpu_memory_fraction": 1.5}, "gpu_memory_fraction: 1.5 is above the maximum 1"),
        ({"gpu_memory_fraction": float("nan")}, "gpu_memory_fraction: expected a finite number, got nan"),
        ({"gpu_memory_fraction": "1e-4"}, "Write 1e-4 without quotes"),
        ({"max_parallel_jobs": "1_000"}, "Write 1000."),
        ({"max_parallel_jobs": 1.5}, "max_parallel_jobs: expected an integer, got 1.5"),
        ({"max_parallel_jobs": True}, "max_parallel_jobs: expected an integer, got True"),
        ({"verbose": "yes"}, "Write true."),
        ({"output_dir": ""}, "output_dir: an empty path"),
    ],
)
def test_a_wrong_field_is_reported_with_value_bound_and_way_out(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        DAFConfig(**fields)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("max: 1e-2", "max: 1e-5", ":5: search_space.learning_rate: min 0.0001 is above max 1e-05"),
        ("max: 1e-2", 'max: "1e-2"', ':7: search_space.learning_rate.max: expected a number, got the text "1e-2"'),
        ("step: 1e-3", "stp: 1e-3", ':8: search_space.learning_rate.stp: no field "stp". Nearest: step'),
        ("    step: 1e-3\n", "", "strategy grid needs a step"),
        ("[arena]", "arena", ':2: missions: expected a list, got the text "arena"'),
        ("[arena]", "[]", ":2: missions: has 0 entries; needs at least 1"),
        ("missions: [arena]\n", "", ":1: missions: is missing"),
        ("name: lr", "name: lr\nstrategy: bayesan", 'strategy: no choice "bayesan". Nearest: bayesian'),
        ("name: lr", "name: lr\ntraining:\n  gama: 0.9", ':3: training.gama: no field "gama". Nearest: gamma'),
        ("name: lr", "name: lr\nkind: comparison", ':2: kind: expected sweep for DAFSweepConfig, got "comparison"'),
    ],
)
def test_an_error_in_a_file_begins_with_its_line_and_field(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    assert old in SWEEP
    path = write(tmp_path / "sweep.yaml", SWEEP.replace(old, new))
    with pytest.raises(ConfigError) as raised:
        DAFSweepConfig.from_yaml(path)
    assert f"{path}:" in str(raised.value)
    assert sentence in str(raised.value)


def test_all_errors_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "t.yaml", "kind: training\ngamma: 2\nseed: -1\n")
    with pytest.raises(ConfigError) as raised:
        daf_load_config(path)
    assert str(raised.value).splitlines() == [
        f"{path}:2: gamma: 2 is above the maximum 1.0.",
        f"{path}:3: seed: -1 is below the minimum 0.",
    ]


def test_a_file_is_recognised_by_its_fields_or_its_kind(tmp_path: Path) -> None:
    assert isinstance(daf_load_config(write(tmp_path / "a.yaml", SWEEP)), DAFSweepConfig)
    assert isinstance(daf_load_config(write(tmp_path / "b.yaml", "verbose: true\n")), DAFConfig)
    assert isinstance(daf_load_config(write(tmp_path / "c.yaml", "kind: training\n")), DAFTrainingConfig)


def test_a_file_that_fits_several_kinds_is_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"do not identify the kind of configuration.*kind: sweep.*kind: comparison"):
        daf_load_config(write(tmp_path / "a.yaml", "name: x\n"))
    with pytest.raises(ConfigError, match=r'no kind "swep". Nearest: sweep'):
        daf_load_config(write(tmp_path / "b.yaml", "kind: swep\n"))


def test_a_pipeline_needs_a_section_per_stage_and_no_other() -> None:
    with pytest.raises(ConfigError, match=r'the stage "training" needs a section training_config'):
        DAFPipelineConfig(name="p", stages=["training"])
    with pytest.raises(ConfigError, match=r'"sweep" is not among the stages|"training" is not among the stages'):
        DAFPipelineConfig(
            name="p",
            stages=["deployment"],
            training_config={},
            deployment_config={"policy_name": "a", "policy_class_path": "b"},
        )


def test_weights_of_a_policy_that_does_not_compete_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r'policy_weights: no policy "lstn". Nearest: lstm'):
        DAFComparisonConfig(name="c", policies=["lstm"], missions=["arena"], policy_weights={"lstn": "w.pt"})


def test_relative_paths_hang_off_the_output_folder() -> None:
    config = DAFConfig(output_dir="/out", checkpoint_dir="c", experiments_log_path="/log/e.jsonl")
    assert config.checkpoint_dir == Path("/out/c")
    assert config.experiments_log_path == Path("/log/e.jsonl")
    moved = config.replace(output_dir="/new")
    assert (moved.checkpoint_dir, moved.experiments_log_path) == (Path("/new/c"), Path("/log/e.jsonl"))
    assert DAFConfig(output_dir="/a").replace(output_dir="/b").experiments_log_path == Path("/b/experiments.jsonl")


def test_a_config_does_not_change_but_can_be_replaced() -> None:
    config = DAFConfig()
    with pytest.raises(ConfigError, match=r"verbose is read-only; replace\(verbose=…\)"):
        config.verbose = True  # type: ignore[misc]
    assert config.replace(verbose=True).verbose is True
    assert config.verbose is False
    with pytest.raises(ConfigError, match="max_parallel_jobs: 0 is below"):
        config.replace(max_parallel_jobs=0)


def test_parallel_jobs_never_exceed_the_setting() -> None:
    assert DAFConfig(max_parallel_jobs=1).parallel_jobs() == 1
    assert 1 <= DAFConfig(max_parallel_jobs=4096).parallel_jobs() <= 4096


def test_later_places_win_and_each_value_names_its_place(tmp_path: Path) -> None:
    path = write(
        tmp_path / "daf.yaml", "verbose: true\nmax_parallel_jobs: 3\nmax_checkpoints_to_keep: 7\nlog_to_file: false\n"
    )
    environ = {"DAF_MAX_PARALLEL_JOBS": "5", "DAF_ENABLE_GPU": "false", "DAF_TRAINING__GAMMA": "0.5"}
    manager = DAFConfigManager(DAFConfig(enable_gpu=True), environ=environ)
    manager.load_from_file(path)
    manager.setup_environment("production")
    values = manager.get_effective_config()
    found = {name: (effective.value, effective.source) for name, effective in values.items()}
    assert found["gpu_memory_fraction"] == (0.8, "default")
    assert found["log_to_file"] == (False, f"{path}:4")
    assert found["max_checkpoints_to_keep"] == (10, "profile production")
    assert found["max_parallel_jobs"] == (5, "variable DAF_MAX_PARALLEL_JOBS")
    assert found["enable_gpu"] == (True, "argument")
    assert found["training.gamma"] == (0.5, "variable DAF_TRAINING__GAMMA")
    assert found["training.seed"] == (42, "default")
    assert "sweep.num_trials" not in found


def test_an_error_names_the_place_that_brought_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"variable DAF_MAX_PARALLEL_JOBS: max_parallel_jobs: 0 is below"):
        _ = DAFConfigManager(environ={"DAF_MAX_PARALLEL_JOBS": "0"}).config
    with pytest.raises(
        ConfigError, match=r'variable DAF_SWEEP__NUM_TRAILS: no field "num_trails". Nearest: num_trials'
    ):
        DAFConfigManager(environ={"DAF_SWEEP__NUM_TRAILS": "3"}).get_component_config("sweep")
    path = write(tmp_path / "c.yaml", "training:\n  gama: 0.5\n")
    with pytest.raises(ConfigError, match=r'c\.yaml:2: training: no field "gama"'):
        DAFConfigManager().load_from_file(path)
    path = write(tmp_path / "d.yaml", "trainning:\n  gamma: 0.5\n")
    with pytest.raises(ConfigError, match=r'd\.yaml:1: no field "trainning". Nearest: training'):
        DAFConfigManager().load_from_file(path)


def test_a_text_field_takes_a_variable_as_it_is_written() -> None:
    assert load_config_from_environment().verbose is False
    manager = DAFConfigManager(environ={"DAF_OUTPUT_DIR": "123", "DAF_VERBOSE": "true"})
    assert manager.config.output_dir == Path("123")
    assert manager.config.verbose is True


def test_arguments_win_over_the_file_and_none_means_not_given(tmp_path: Path) -> None:
    path = write(tmp_path / "c.yaml", "kind: comparison\nname: n\npolicies: [a]\nmissions: [m]\nseed: 7\n")
    arguments = {"policies": ["b", "c"], "seed": None}
    effective = effective_config(DAFComparisonConfig, path=path, arguments=arguments, environ={})
    assert effective.config.policies == ["b", "c"]
    assert effective.config.seed == 7
    assert effective.sources["policies"] == "argument"
    assert effective.sources["seed"] == f"{path}:5"


def test_one_file_can_serve_all_commands_by_sections(tmp_path: Path) -> None:
    path = write(tmp_path / "daf.yaml", "verbose: true\ncomparison:\n  seed: 7\n  missions: [arena]\n")
    given = {"name": "n", "policies": ["a"]}
    comparison = effective_config(DAFComparisonConfig, path=path, arguments=given, environ={})
    assert (comparison.config.seed, comparison.config.missions) == (7, ["arena"])
    assert comparison.sources["seed"] == f"{path}:3"
    assert effective_config(DAFConfig, path=path, environ={}).config.verbose is True
    assert effective_config(DAFTrainingConfig, path=path, environ={}).config == DAFTrainingConfig()
    with pytest.raises(ConfigError, match=r"daf.yaml:2: a file with sections \(comparison\)"):
        daf_load_config(write(path, "kind: config\ncomparison: {seed: 7}\n"))


def test_a_file_of_one_operation_gives_the_shared_settings_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "sweep.yaml", f"kind: sweep\n{SWEEP}")
    assert effective_config(DAFConfig, path=path, environ={}).config == DAFConfig()
    with pytest.raises(ConfigError, match=r"sweep.yaml:1: kind: expected comparison, got sweep"):
        effective_config(DAFComparisonConfig, path=path, environ={})
    path = write(tmp_path / "typo.yaml", "sed: 7\n")
    with pytest.raises(ConfigError, match=r'typo.yaml:1: no field "sed". Nearest: seed'):
        effective_config(DAFComparisonConfig, path=path, environ={})


def test_validate_configuration_lists_every_problem() -> None:
    manager = DAFConfigManager(environ={"DAF_VERBOS": "1", "DAF_SWEP__X": "1", "DAF_CACHE_DIR": "/c"})
    manager.configure_component("sweep", num_trials=3)
    problems = manager.validate_configuration()
    assert "variable DAF_VERBOS: nothing reads it. Nearest: DAF_VERBOSE." in problems
    assert 'variable DAF_SWEP__X: no section "swep". Nearest: sweep.' in problems
    assert any(problem.startswith("sweep: ") and "missions: is missing" in problem for problem in problems)
    assert DAFConfigManager(environ={}).validate_configuration() == []


def test_a_wrong_component_is_refused_and_the_earlier_one_stays() -> None:
    manager = DAFConfigManager(environ={})
    manager.configure_component("training", gamma=0.5)
    with pytest.raises(ConfigError, match=r"gamma: 2.0 is above"):
        manager.configure_component("training", gamma=2.0)
    with pytest.raises(ConfigError, match=r"num_trials: 0 is below"):
        manager.configure_component("sweep", num_trials=0)
    training = manager.get_component_config("training")
    assert isinstance(training, DAFTrainingConfig)
    assert training.gamma == 0.5


def test_a_registered_component_has_a_section_in_files_and_variables(tmp_path: Path) -> None:
    manager = DAFConfigManager(environ={"DAF_SECOND_TRAINING__SEED": "9"})
    manager.register_component("second_training", DAFTrainingConfig)
    manager.load_from_file(write(tmp_path / "c.yaml", "second_training:\n  gamma: 0.25\n"))
    section = manager.get_component_config("second_training")
    assert isinstance(section, DAFTrainingConfig)
    assert (section.gamma, section.seed) == (0.25, 9)
    with pytest.raises(UsageError, match=r"taken"):
        manager.register_component("sweep", DAFTrainingConfig)


@pytest.mark.parametrize("name", ["saved.yaml", "saved.json"])
def test_a_saved_configuration_loads_as_the_same(tmp_path: Path, name: str) -> None:
    manager = DAFConfigManager(DAFConfig(output_dir="/out", verbose=True), environ={})
    manager.configure_component("training", gamma=0.5)
    manager.save_to_file(tmp_path / name)
    again = DAFConfigManager(environ={})
    again.load_from_file(tmp_path / name)
    assert again.config == manager.config
    assert again.get_component_config("training") == manager.get_component_config("training")


def test_experiments_have_their_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAF_OUTPUT_DIR", "/out")
    development, production = create_development_config("try"), create_production_config("real")
    assert development.output_dir == Path("/out/try")
    assert development.verbose
    assert production.experiments_log_path == Path("/out/real/experiments.jsonl")
    assert not production.verbose
    with pytest.raises(ConfigError, match=r"cannot name an experiment"):
        create_development_config("../escape")


def test_daf_output_dir_redirects_a_plain_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAF_OUTPUT_DIR", "/elsewhere")
    assert DAFConfig().output_dir == Path("/elsewhere")
    assert DAFConfig().experiments_log_path == Path("/elsewhere/experiments.jsonl")
    assert DAFConfig(output_dir="/here").output_dir == Path("/here")


def test_without_enable_gpu_no_cuda_device_is_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert apply_gpu_settings(DAFConfig(enable_gpu=False)) == "cpu"
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""


def test_with_enable_gpu_the_device_is_the_one_recommended() -> None:
    pytest.importorskip("torch")
    assert apply_gpu_settings(DAFConfig()) == daf_get_recommended_device()


def test_importing_the_frame_imports_nothing_heavy() -> None:
    code = (
        "import sys, daf.config, daf.output_manager, daf.output_utils, daf.logging_config, daf.environment_checks\n"
        "heavy = ('torch', 'cogames', 'mettagrid', 'pandas', 'numpy', 'structlog', 'rich')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"
