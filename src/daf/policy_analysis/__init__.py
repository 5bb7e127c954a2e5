"""Analysis of policies: class, source, network, memory, speed, determinism, and rewards by number of cogs.

A policy is loaded and played in a separate process, with limits on time and memory, so that one that hangs, crashes
or exhausts memory becomes an error that names it. Speeds hold for this machine and moment; the rest is reproducible.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf import policies
from daf.errors import MissionError, UsageError
from daf.evaluation import Evaluation, Settings, default_cache, evaluate
from daf.evaluation.analysis_files import write_analysis
from daf.game import mission_files
from daf.game import missions as game_missions
from daf.game import policies as game_policies
from daf.game.device import check_device_name
from daf.game.isolated import MEMORY_MIB
from daf.game.known_policies import ALIASES, KNOWN
from daf.game.mission import Mission
from daf.game.mission_changes import with_cogs
from daf.game.policy_probe import SECONDS, probe
from daf.game.policy_probing import ProbeRequest
from daf.playing.run import command_line
from daf.policy_analysis._facts import CogsRow, Latency, PolicyAnalysis, analysis_from
from daf.policy_analysis.page import policy_page
from daf.storage import remote
from daf.storage.atomic import write_text
from daf.storage.console_tables import show
from daf.storage.jsonable import jsonable

if TYPE_CHECKING:
    import torch
    from rich.console import Console

    from daf.episodes.plan import Plan
    from daf.episodes.record import EpisodeRecord
    from daf.output_manager import OutputManager

__all__ = [
    "CogsRow",
    "Latency",
    "PolicyAnalyses",
    "PolicyAnalysis",
    "analyze_policies",
    "daf_analyze_policy",
    "daf_compare_policy_architectures",
    "daf_get_policy_spec",
    "daf_list_available_policies",
    "new_policy",
]

TEMPLATE = Path(policies.__file__).with_name("_template.py")
MISSION = "arena"
STEPS = 300


def new_policy(path: str | Path, *, shown: str | None = None) -> Path:
    """Write a commented policy to start from into a new Python file, and return its path.

    shown: how the commands in the file name it, `path` if None.
    Raises `UsageError` if the file exists or is not named as a Python file, `StorageError`.
    """
    file = Path(path).expanduser()
    if file.suffix != ".py":
        raise UsageError(f"{file}: a policy is a Python file. Name it {file.with_suffix('.py')}.")
    if file.exists():
        raise UsageError(f"{file} exists already. Choose another name, or delete it first.")
    write_text(file, TEMPLATE.read_text(encoding="utf-8").replace("-p FILE", f"-p {shown or file}"))
    return file


def daf_list_available_policies(*, console: "Console | None" = None) -> list[dict[str, Any]]:
    """The policies with short names: name, class_path, description, needs_torch, aliases, and playable here."""
    torch = game_policies.has_torch()
    found = [
        {
            "name": name,
            "class_path": known.class_path,
            "description": known.description,
            "needs_torch": known.needs_torch,
            "aliases": [alias for alias, of in ALIASES.items() if of == name],
            "playable": torch or not known.needs_torch,
        }
        for name, known in KNOWN.items()
    ]
    show(console, "Policies with short names", found)
    return found


def daf_analyze_policy(
    policy: Any,
    mission: Any = MISSION,
    *,
    steps: int = STEPS,
    seed: int = 42,
    cogs: Sequence[int] = (),
    episodes: int = 3,
    time_limit: float = SECONDS,
    memory_limit_mib: int = MEMORY_MIB,
    device: "str | torch.device" = "cpu",
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
) -> PolicyAnalysis:
    """What a policy is, needs and does: parameters, recurrence, trainable, memory, speed, determinism.

    mission, steps, seed: the episodes of the measurement. cogs: play `episodes` with each of these numbers of agents
    too, which leaves a run directory. Raises `PolicyError` if it cannot be loaded or played within the limits.
    """
    settings = _settings(steps, seed, episodes, device)
    found = analyze_policies(
        [policy], mission, settings=settings, cogs=cogs, time_limit=time_limit, memory_limit_mib=memory_limit_mib,
        output=output_manager,
    ).rows[0]  # fmt: skip
    show(console, f"Policy {found.name}", found, without=("name",))
    return found


def daf_compare_policy_architectures(
    policies: Sequence[Any],
    mission: Any = MISSION,
    *,
    steps: int = STEPS,
    seed: int = 42,
    cogs: Sequence[int] = (),
    episodes: int = 3,
    time_limit: float = SECONDS,
    memory_limit_mib: int = MEMORY_MIB,
    device: "str | torch.device" = "cpu",
    output_manager: "OutputManager | None" = None,
    console: "Console | None" = None,
) -> dict[str, Any]:
    """Several policies: per policy its analysis, and per fact where they differ.

    Options are those of `daf_analyze_policy`. Returns {"policies": [PolicyAnalysis], "differences": {fact: {name:
    value}}}. Raises `UsageError` for fewer than two.
    """
    if len(policies) < 2:
        raise UsageError("a comparison of architectures needs at least two policies.")
    found = analyze_policies(
        policies, mission, settings=_settings(steps, seed, episodes, device), cogs=cogs, time_limit=time_limit,
        memory_limit_mib=memory_limit_mib, output=output_manager,
    ).rows  # fmt: skip
    apart = differences(found)
    rows = [{"fact": fact, **values} for fact, values in apart.items()]
    show(console, f"Differences of {len(found)} policies", rows)
    return {"policies": found, "differences": apart}


def daf_get_policy_spec(policy: Any, *, cache_dir: str | Path | None = None, console: "Console | None" = None) -> Any:
    """Upstream's `PolicySpec` of a policy string, path or spec. cache_dir: where a zip is extracted."""
    from daf.output_manager.layout import base_folder

    base = base_folder(None)
    cache = remote.local(cache_dir) if cache_dir is not None else default_cache(base)
    spec = game_policies.upstream_spec(policy, cache=cache, runs=base)
    show(console, "Policy", spec)
    return spec


@dataclass(frozen=True)
class PolicyAnalyses:
    """Analyses of policies. evaluation, page: of the episodes by number of agents; None where none were asked for."""

    rows: list[PolicyAnalysis]
    evaluation: Evaluation | None = None
    page: Path | None = None

    def to_data(self) -> dict[str, Any]:
        """The content of analysis.json."""
        return {"policies": self.rows, "differences": differences(self.rows) if len(self.rows) > 1 else {}}


def analyze_policies(
    policies: Sequence[Any],
    mission: Any = MISSION,
    *,
    settings: Settings,
    cogs: Sequence[int] = (),
    time_limit: float = SECONDS,
    memory_limit_mib: int = MEMORY_MIB,
    output: "OutputManager | None" = None,
    on_plan: "Callable[[Plan], None] | None" = None,
    on_record: "Callable[[EpisodeRecord], None] | None" = None,
) -> PolicyAnalyses:
    """Measure each policy in a separate process, then play all with the numbers of agents in `cogs`.

    The policies play the same episodes, and the run directory also holds analysis.json and analysis.html.
    settings: its max_steps is the length of the episodes, by default 300 steps.
    """
    steps = STEPS if settings.max_steps is None else settings.max_steps
    _check(steps, settings.seed, time_limit, memory_limit_mib, settings.episodes)
    device = check_device_name(settings.device)
    resolved = game_missions.resolve(mission, game=settings.game)
    if len(resolved) != 1:
        raise MissionError(f"a policy is measured on one mission, got {len(resolved)} from {mission}.")
    one = resolved[0]
    changed = [with_cogs(one, count) for count in dict.fromkeys(cogs)]
    from daf.output_manager.layout import base_folder

    base = output.base_dir if output is not None else base_folder(None)
    requests = [
        ProbeRequest(
            policy, one.config_json, settings.seed, steps, default_cache(base) / "bundles", base, device,
            memory_limit_mib,
        )
        for policy in policies
    ]  # fmt: skip
    found = [analysis_from(probe(request, seconds=time_limit), one.name) for request in requests]
    found = [replace(row, name=name) for row, name in zip(found, _names(found), strict=True)]
    if not changed:
        return PolicyAnalyses(found)
    evaluation = evaluate(
        policies, changed, settings=replace(settings, max_steps=steps), output=output,
        title=f"analysis of {', '.join(row.name for row in found)}", on_plan=on_plan, on_record=on_record,
        rerun=None,  # the analysis adds files to the run directory
    )  # fmt: skip
    names = [contender.name for contender in evaluation.result.plan.contenders]
    rows = [replace(row, cogs=_by_cogs(evaluation, name)) for row, name in zip(found, names, strict=True)]
    data = PolicyAnalyses(rows).to_data()
    page = policy_page(rows, jsonable(data["differences"]), command=command_line(), run_id=evaluation.run_id)
    return PolicyAnalyses(rows, evaluation, write_analysis(evaluation, data, page))


def _settings(steps: int, seed: int, episodes: int, device: "str | torch.device") -> Settings:
    return Settings(episodes=episodes, seed=seed, max_steps=steps, device=str(device), report=False, resamples=2_000)


def differences(found: Sequence[PolicyAnalysis]) -> dict[str, dict[str, Any]]:
    """The facts in which policies differ, by fact and policy, without the measured speeds."""
    facts = (
        "class_path", "network", "parameters", "trainable_parameters", "trainable", "recurrent", "recurrence", "parts",
        "layers", "observes", "arguments", "kwargs", "data_path", "deterministic",
    )  # fmt: skip
    by_fact = {fact: {row.name: getattr(row, fact) for row in found} for fact in facts}
    return {fact: values for fact, values in by_fact.items() if len({repr(value) for value in values.values()}) > 1}


def cogs_to_try(mission: Mission) -> list[int]:
    """Numbers of agents worth trying on a named mission: powers of two up to its own number; none on a fixed one."""
    known = game_missions.catalogue(mission.game) if mission.game else []
    entry = next((entry for entry in known if entry.name == mission_files.split(mission.name)[0]), None)
    if entry is None or entry.min_cogs == entry.max_cogs:
        return []
    powers = [2**power for power in range(8) if entry.min_cogs <= 2**power < mission.num_agents]
    return [*powers, mission.num_agents]


def _by_cogs(evaluation: Evaluation, name: str) -> tuple[CogsRow, ...]:
    rows = []
    for mission in evaluation.result.plan.missions:
        summary = next((row for row in evaluation.analysis.by_mission.get(mission.name, ()) if row.name == name), None)
        if summary is not None:
            rows.append(CogsRow(mission.num_agents, mission.name, summary.n, summary.mean, summary.ci))
    return tuple(sorted(rows, key=lambda row: row.agents))


def _names(found: Sequence[PolicyAnalysis]) -> list[str]:
    counts: dict[str, int] = {}
    names = []
    for row in found:
        counts[row.name] = counts.get(row.name, 0) + 1
        names.append(row.name if counts[row.name] == 1 else f"{row.name}#{counts[row.name]}")
    return names


def _check(steps: int, seed: int, time_limit: float, memory_limit_mib: int, episodes: int) -> None:
    if steps < 1:
        raise UsageError(f"steps must be at least 1, got {steps}.")
    if episodes < 1:
        raise UsageError(f"episodes must be at least 1, got {episodes}.")
    if seed < 0:
        raise UsageError(f"seed must be at least 0, got {seed}.")
    if not time_limit > 0:
        raise UsageError(f"the time limit must be above 0 s, got {time_limit:g} s.")
    if memory_limit_mib < 64:
        raise UsageError(f"the memory limit must be at least 64 MiB for Python itself, got {memory_limit_mib} MiB.")
