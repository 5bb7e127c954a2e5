"""Mission strings to missions: the mission to play, with its options.

    arena   machina_1.clips   evals.energy_starved   tutorial.*   mission.yaml   arena,cogs=4,variants=no_clips

A resolved `Mission` carries its whole config; `config_hash` names that config everywhere (cache, records). Resolving
never changes upstream's objects, and two resolutions of one string give equal configs, in any process. A string that
was resolved before is looked up (`daf.game.answers`), without importing the game.
"""

import fnmatch
import functools
import logging
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daf.errors import DAFError, MissionError, quoted, unknown
from daf.game import answers, compat, isolated, mission_files
from daf.game.mission import Mission, mission_of, with_steps, without_label
from daf.game.reward_variants import add_rewards, check_names
from daf.storage import reading
from daf.storage.hashing import hash_bytes
from daf.storage.paths import existing

if TYPE_CHECKING:
    from cogames.core import CoGameMission
    from cogames.game import CoGame
    from mettagrid import MettaGridConfig
    from typing_extensions import TypeIs

logger = logging.getLogger(__name__)

DEFAULT_GAME = "cogs_vs_clips"
GAMES = ("cogs_vs_clips", "overcogged")
MOST = 2**31 - 1
"""Largest number that the simulator takes."""
OPTIONS = ("cogs", "max_steps", "variants", "rewards")
NAMED_OPTIONS = ("variants", "rewards")
"""Those that take names joined by +; the others take a number."""

_FOUR_SPAWNS = "it needs 8 cogs, but its map has 4 spawn points: add ,cogs=4 (or fewer)"
NOT_RUNNABLE: dict[str, str] = {
    "easy_hearts_training": "it needs 8 cogs on 4 spawn points, and an object type that this CoGames lacks",
    **{
        f"diagnostic_{name}": f"{_FOUR_SPAWNS}; every policy gets the same reward"
        for name in (
            "chest_navigation1", "chest_navigation2", "chest_navigation3", "chest_deposit_near",
            "chest_deposit_search", "charge_up", "memory", "chest_navigation1_hard", "chest_navigation2_hard",
            "chest_navigation3_hard", "chest_deposit_search_hard", "charge_up_hard", "memory_hard",
        )
    },
}  # fmt: skip
"""Missions of cogs_vs_clips that upstream cannot run with their defaults, and why (a test pins the list)."""


@dataclass(frozen=True, slots=True)
class MissionEntry:
    """A line of the catalogue. kind: mission, sub-mission or eval. problem: why it can't run with its defaults."""

    name: str
    kind: str
    default_cogs: int | None
    min_cogs: int
    max_cogs: int
    map_size: tuple[int, int] | None
    max_steps: int
    description: str
    problem: str | None


Elsewhere = Callable[[Callable[[Any], Any], Any], Any]
"""Calls a function with an argument in a process that has imported the game, and returns or raises what it does."""


def resolve(
    missions: "str | Path | Mission | MettaGridConfig | tuple[str, MettaGridConfig] | Iterable[Any]",
    *,
    game: str = DEFAULT_GAME,
    elsewhere: Elsewhere | None = None,
) -> list[Mission]:
    """The missions that `missions` names, in order, each once, also if it has several names (`each_once`).

    missions: a mission string, a path, a `MettaGridConfig`, a `(name, config)` pair, or several of these. Wildcards
    match every mission of the game that can run. elsewhere: where to work out what was not resolved before, instead of
    importing the game into this process. Raises `MissionError` with the nearest names.
    """
    if isinstance(missions, str | Path):
        found = _resolve_text(str(missions), game, elsewhere)
    elif isinstance(missions, Mission):
        found = [missions]
    elif _is_config(missions):
        found = [mission_of(missions.label or "mission", None, missions)]
    elif isinstance(missions, tuple) and len(missions) == 2 and _is_config(missions[1]):
        found = [mission_of(str(missions[0]), None, missions[1])]
    elif isinstance(missions, Iterable):
        found = [mission for item in missions for mission in resolve(item, game=game, elsewhere=elsewhere)]
    else:
        raise MissionError(
            f"{missions!r} is not a mission: give a name, a path, a MettaGridConfig or a (name, config) pair."
        )
    return each_once(found)


def check_runs(mission: Mission, *, seed: int = 0) -> None:
    """Build `mission`'s simulation once, without playing. Raises `MissionError` with upstream's own reason."""
    from mettagrid.runner.rollout import resolve_env_for_seed
    from mettagrid.simulator.simulator import Simulator

    silenced = logging.getLogger("mettagrid.simulator.simulator")
    level = silenced.level
    silenced.setLevel(logging.CRITICAL)
    try:
        Simulator().new_simulation(resolve_env_for_seed(mission.config, seed), seed).close()
    except Exception as error:
        reason = NOT_RUNNABLE.get(mission_files.split(mission.name)[0], "")
        why = f" ({reason})" if reason else ""
        raise MissionError(f'mission "{mission.name}" cannot be built: {_first_line(error)}{why}') from error
    finally:
        silenced.setLevel(level)


def catalogue(game: str = DEFAULT_GAME) -> list[MissionEntry]:
    """Every mission, sub-mission and eval of `game`, in upstream's order."""
    return answers.answer(["catalogue", game], list[MissionEntry], lambda: _entries(_game(game)))


def variants(game: str = DEFAULT_GAME) -> dict[str, str]:
    """The game's variants by name, with their descriptions."""
    return answers.answer(["variants", game], dict[str, str], lambda: _variant_texts(game))


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a mission string names, as it is kept. notes: what resolving it logs, with levels."""

    missions: list["_Kept"]
    notes: list[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A resolved mission. config: the compressed `Mission.config_json`."""

    name: str
    game: str | None
    config: bytes


_LARGEST_CONFIG = 256 * 2**20


def _kept(mission: Mission) -> _Kept:
    return _Kept(mission.name, mission.game, zlib.compress(mission.config_json, 1))


def _restored(kept: _Kept) -> Mission:
    return mission_of(kept.name, kept.game, zlib.decompressobj().decompress(kept.config, _LARGEST_CONFIG))


def _entries(loaded: "CoGame") -> list[MissionEntry]:
    entries: list[MissionEntry] = []
    for mission in loaded.missions:
        entries.append(_entry(mission.full_name(), "mission", mission, mission.description))
        for sub in mission.sub_missions:
            variant = loaded.variant_registry.get(sub)
            text = variant.description if variant else ""
            entries.append(_entry(f"{mission.full_name()}.{sub}", "sub-mission", mission, text))
    entries += [_entry(m.full_name(), "eval", m, m.description) for m in loaded.eval_missions]
    return entries


def _variant_texts(game: str) -> dict[str, str]:
    from daf.game._small_missions import small_variants

    own = small_variants() if game == DEFAULT_GAME else []
    return {variant.name: variant.description for variant in [*_game(game).variant_registry.all(), *own]}


def is_known(name: str, game: str = DEFAULT_GAME) -> bool:
    """Whether a mission of `game` has this name, also an older one."""
    known = {entry.name for entry in catalogue(game)}
    return _today(name, _game(game)).removeprefix("evals.") in known


def is_small(name: str, game: str = DEFAULT_GAME) -> bool:
    """Whether `name` is one of DAF's own missions, which take DAF's own variants only."""
    if game != DEFAULT_GAME:
        return False
    from daf.game._small_missions import small_missions

    return name in {mission.name for mission in small_missions()}


def options_of(text: str) -> dict[str, Any]:
    """The options that a mission string gives, by their own names. Raises `MissionError`."""
    return _options(text, mission_files.split(text)[1])


@dataclass(frozen=True, slots=True)
class _Question:
    """A mission string in its parts. is_file: head is a file's path."""

    head: str
    options: dict[str, Any]
    game: str
    is_file: bool


def _worked_out(asked: _Question) -> tuple[list[Mission], list[tuple[int, str]]]:
    notes: list[tuple[int, str]] = []
    if asked.is_file:
        found = [_from_file(asked.head, asked.options)]
    elif any(character in asked.head for character in "*?["):
        found = _wildcard(asked.head, asked.options, asked.game, notes)
    else:
        found = [_named(asked.head, asked.options, asked.game, notes)]
    return found, notes


def _answered(asked: _Question) -> _Answer:
    found, notes = _worked_out(asked)
    return _Answer([_kept(mission) for mission in found], notes)


def _resolve_text(text: str, game: str, elsewhere: Elsewhere | None) -> list[Mission]:
    mission_files.check_text(text)
    head, entries = mission_files.split(text)
    if not head:
        raise MissionError(f"{quoted(text)} is not a mission. Write for example arena or arena,cogs=4.")
    options = _options(text, entries)
    is_file = head.lower().endswith(mission_files.SUFFIXES)
    if head.lower().endswith(".py"):  # its config may depend on anything that its code reads
        return [_from_file(head, options)]
    made: list[Mission] = []

    asked = _Question(head, options, game, is_file)

    def work_out() -> _Answer:
        if elsewhere is not None and "mettagrid" not in sys.modules:
            answer: _Answer = elsewhere(_answered, asked)
            return answer
        found, notes = _worked_out(asked)
        made.extend(found)
        return _Answer([_kept(mission) for mission in found], notes)

    content = _content(head) if is_file else None
    question = ["mission", head, options, game if content is None else hash_bytes(content)]
    found = answers.answer(question, _Answer, work_out, lasting=lambda _: content is None or not _has_own_code(content))
    for level, note in found.notes:
        logger.log(level, "%s", note)
    return made or [_restored(kept) for kept in found.missions]


def _content(path: str) -> bytes:
    """The content of a mission file; empty for one that can't be read, whose reason `mission_files` gives."""
    file = existing(path)
    try:
        return (None if file is None else reading.read_bytes(file)) or b""
    except DAFError:
        return b""


_TYPE = re.compile(rb"""\btype["']?\s*:\s*["']?([^"'\s,}\]]*)""")
_PLAIN_TYPE = re.compile(rb"(mettagrid|cogames)\.[\w.]+|\w*")


def _has_own_code(content: bytes) -> bool:
    """Whether a mission file names classes outside CoGames, whose code its config may depend on."""
    return any(_PLAIN_TYPE.fullmatch(name) is None for name in set(_TYPE.findall(content)))


def _is_config(value: Any) -> "TypeIs[MettaGridConfig]":
    """Whether `value` is a config, which nobody has without importing mettagrid."""
    if not hasattr(value, "model_dump_json") or "mettagrid" not in sys.modules:
        return False
    compat.install()
    from mettagrid import MettaGridConfig

    return isinstance(value, MettaGridConfig)


def _options(text: str, entries: Sequence[str]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for entry in entries:
        key, separator, value = entry.partition("=")
        key = {"steps": "max_steps", "variant": "variants", "reward": "rewards", "num_cogs": "cogs"}.get(key, key)
        if key not in OPTIONS:
            raise MissionError(f"in {quoted(text)}: {unknown('mission option', key, OPTIONS)}")
        if not separator or not value:
            raise MissionError(f"in {quoted(text)}: {key} has no value. Write {key}=….")
        if key in options:
            raise MissionError(f"in {quoted(text)}: {key} is given twice.")
        if key in NAMED_OPTIONS:
            names = [name for name in value.split("+") if name]
            if not names:
                raise MissionError(f"in {quoted(text)}: {key} has no value. Write {key}=….")
            if len(set(names)) < len(names):
                raise MissionError(f"in {quoted(text)}: one of the {key} is given twice.")
            if key == "rewards":
                check_names(names, f"in {quoted(text)}")
            options[key] = names
            continue
        try:
            options[key] = int(value)
        except ValueError:
            raise MissionError(f"in {quoted(text)}: {key}={quoted(value)} is not an integer.") from None
        if not 1 <= options[key] <= MOST:
            raise MissionError(f"in {quoted(text)}: {key}={quoted(value)} must be from 1 to {MOST:,}.")
    return options


def _canonical(head: str, options: dict[str, Any]) -> str:
    parts = [head]
    for key in OPTIONS:
        if key in options:
            value = "+".join(options[key]) if key in NAMED_OPTIONS else options[key]
            parts.append(f"{key}={value}")
    return ",".join(parts)


def _named(head: str, options: dict[str, Any], game: str, notes: list[tuple[int, str]]) -> Mission:
    loaded = _game(game)
    name = _today(head, loaded)
    if name != head:
        notes.append((logging.INFO, f'mission "{head}" is now called "{name}"'))
    mission = _find(name, loaded, head)
    name = name.removeprefix("evals.")
    if "rewards" in options and game != DEFAULT_GAME:
        raise MissionError(f'mission "{name}" is of {game}; reward variants are for {DEFAULT_GAME}.')
    cogs = options.get("cogs")
    if cogs is not None and not mission.min_cogs <= cogs <= mission.max_cogs:
        bounds = f"{mission.min_cogs} to {mission.max_cogs}"
        raise MissionError(f'mission "{name}" takes {bounds} cogs, got {cogs}.')
    from cogames.cli.mission import apply_variants

    try:
        chosen = _variants(options.get("variants", []), mission, loaded)
        config = apply_variants(mission, chosen, cogs).make_env()
    except MissionError:
        raise
    except Exception as error:
        raise MissionError(f'mission "{_canonical(name, options)}" cannot be built: {_first_line(error)}') from error
    return _finish(_canonical(name, options), game, config, options)


def _find(name: str, loaded: "CoGame", asked: str) -> "CoGameMission":
    from cogames.cli.mission import find_mission

    known = {entry.name for entry in _entries(loaded)}
    if name.removeprefix("evals.") not in known:
        elsewhere = [other for other in GAMES if other != loaded.name and name in {e.name for e in catalogue(other)}]
        hint = f"`daf missions` lists all missions. --game {elsewhere[0]} has it." if elsewhere else ""
        raise MissionError(unknown("mission", asked, known, hint=hint or "`daf missions` lists all missions."))
    return find_mission(loaded, name, include_evals=True)


def _variants(names: Sequence[str], mission: "CoGameMission", loaded: "CoGame") -> list[Any]:
    from cogames.cli.mission import _resolve_cli_variants

    try:
        return list(_resolve_cli_variants(loaded, mission, list(names)))
    except ValueError as error:
        from daf.game._small_missions import SmallMission, small_variants

        own = small_variants() if isinstance(mission, SmallMission) else loaded.variant_registry.all()
        known = {variant.name for variant in own}
        wrong = next((name for name in names if name not in known), names[0])
        hint = "`daf missions --variants` lists all missions."
        raise MissionError(unknown("variant", wrong, known, hint=hint)) from error


def _today(name: str, loaded: "CoGame") -> str:
    """The present name of a mission that users may know by an older one."""
    known = {entry.name for entry in _entries(loaded)}
    present = name
    if present not in known and present.startswith("cogsguard_"):
        present = present.removeprefix("cogsguard_")
    if present not in known and present.endswith(".basic"):
        present = present.removesuffix(".basic")
    return present


def _wildcard(pattern: str, options: dict[str, Any], game: str, notes: list[tuple[int, str]]) -> list[Mission]:
    entries = _entries(_game(game))
    matching = [entry for entry in entries if fnmatch.fnmatchcase(entry.name, pattern.removeprefix("evals."))]
    if pattern.startswith("evals."):
        matching = [entry for entry in matching if entry.kind == "eval"]
    if not matching:
        raise MissionError(f"no mission matches {quoted(pattern)}. `daf missions` lists all missions.")
    left_out = [entry for entry in matching if entry.problem and "cogs" not in options]
    if len(left_out) == len(matching):
        raise MissionError(
            f"no mission that matches {quoted(pattern)} can run with its defaults: {left_out[0].problem}."
        )
    if left_out:
        names = ", ".join(entry.name for entry in left_out)
        notes.append(
            (logging.WARNING, f'excluded from "{pattern}", because they cannot run with their defaults: {names}')
        )
    return [_named(entry.name, options, game, notes) for entry in matching if entry not in left_out]


def _from_file(path: str, options: dict[str, Any]) -> Mission:
    for key in ("cogs", "variants"):
        if key in options:
            raise MissionError(f"{path}: {key} applies to named missions; in a config file write it into the config.")
    config = mission_files.load(path)
    return _finish(_canonical(path, options), None, config, options)


def _finish(name: str, game: str | None, config: "MettaGridConfig", options: dict[str, Any]) -> Mission:
    if options.get("rewards"):
        add_rewards(config, options["rewards"], f'mission "{name}"')
    if "max_steps" in options:
        config.game.max_steps = options["max_steps"]
    return mission_of(name, game, config)


def each_once(missions: Iterable[Mission]) -> list[Mission]:
    """The missions by content: one that occurs under several names is kept once, under the first of them.

    Episodes of equal missions are equal, so counting them twice would halve p-values and intervals without new
    evidence. The dropped names are kept in `also`, and logged. Raises `MissionError` if different missions share a
    name.
    """
    by_name: dict[str, Mission] = {}
    for mission in missions:
        other = by_name.setdefault(mission.name, mission)
        if other.config_hash != mission.config_hash:
            raise MissionError(f'two different missions are called "{mission.name}". Give them different names.')
    if len(by_name) < 2:
        return list(by_name.values())
    by_content: dict[str, Mission] = {}
    for mission in by_name.values():
        content = content_hash(mission)
        first = by_content.setdefault(content, mission)
        if first is not mission:
            also = tuple(dict.fromkeys([*first.also, mission.name, *mission.also]))
            by_content[content] = replace(first, also=also)
            logger.warning("%s", merged_note(replace(first, also=(mission.name,)))[0])
    return list(by_content.values())


def merged_note(mission: Mission) -> list[str]:
    """A note on the names that `each_once` dropped; empty if there are none."""
    if not mission.also:
        return []
    are = "is" if len(mission.also) == 1 else "are"
    return [f"{' and '.join(mission.also)} {are} the same mission as {mission.name}: it counts once."]


def content_hash(mission: Mission) -> str:
    """Equal for missions whose episodes are equal: `config_hash` without the label, which has no effect."""
    return hash_bytes(without_label(mission.config_json))


def _entry(name: str, kind: str, mission: "CoGameMission", description: str) -> MissionEntry:
    builder = mission.map_builder
    width, height = getattr(builder, "width", None), getattr(builder, "height", None)
    return MissionEntry(
        name=name,
        kind=kind,
        default_cogs=mission.num_cogs or getattr(mission, "num_agents", None),
        min_cogs=mission.min_cogs,
        max_cogs=mission.max_cogs,
        map_size=(int(width), int(height)) if width and height else None,
        max_steps=mission.max_steps,
        description=description,
        problem=NOT_RUNNABLE.get(name),
    )


@functools.cache
def _game(name: str) -> "CoGame":
    if name not in GAMES:
        raise MissionError(unknown("game", name, GAMES))
    compat.install()
    from cogames.game import CoGame, get_game

    loaded = get_game(name)
    if name != DEFAULT_GAME:
        return loaded
    from daf.game._small_missions import small_missions

    both = [*loaded.missions, *small_missions()]
    return CoGame(name, both, loaded.variant_registry.all(), loaded.eval_missions)


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def with_max_steps(mission: Mission, max_steps: int) -> Mission:
    """`mission` with another step limit, and a name that includes it."""
    if max_steps < 1:
        raise MissionError(f"max_steps must be at least 1, got {max_steps}.")
    if mission.max_steps == max_steps:
        return mission
    head, entries = mission_files.split(mission.name)
    options = [entry for entry in entries if not entry.startswith("max_steps=")]
    name = ",".join([head, *options, f"max_steps={max_steps}"])
    return mission_of(name, mission.game, with_steps(mission.config_json, max_steps), also=mission.also)


def unshaped(mission: Mission) -> Mission:
    """`mission` without the reward variants that its name adds: with its own rewards only."""
    own = without_rewards(mission.name)
    by_name = mission.game is not None or mission_files.split(own)[0].lower().endswith(mission_files.SUFFIXES)
    return resolve(own, game=mission.game or DEFAULT_GAME)[0] if by_name and own != mission.name else mission


def without_rewards(text: str) -> str:
    """The mission string without the option `rewards`."""
    head, entries = mission_files.split(text)
    return ",".join([head, *(entry for entry in entries if not entry.strip().startswith(("rewards=", "reward=")))])


def with_default_steps(mission: Mission, max_steps: int) -> Mission:
    """`mission` with a step limit, unless its own name sets one."""
    named = any(entry.startswith("max_steps=") for entry in mission_files.split(mission.name)[1])
    return mission if named else with_max_steps(mission, max_steps)


def describe(text: str, *, game: str = DEFAULT_GAME) -> list[dict[str, Any]]:
    """Name, description, `facts` and the problem, if any, of every mission that `text` names.

    A file is read in a separate process: it may be Python, and even its data may name code (a map builder's type).
    Raises `MissionError`.
    """
    mission_files.check_text(text)
    if not mission_files.split(text)[0].lower().endswith(mission_files.SUFFIXES):
        return _described((text, game))
    found: list[dict[str, Any]] = isolated.call(
        _described, (text, game), seconds=mission_files.SECONDS, doing=f"the mission {quoted(text)}",
        error=MissionError,
    )  # fmt: skip
    return found


def _described(asked: tuple[str, str]) -> list[dict[str, Any]]:
    text, game = asked
    described = []
    for mission in resolve(text, game=game):
        base = mission_files.split(mission.name)[0]
        entry = next((entry for entry in catalogue(game) if entry.name == base), None)
        problem = None
        try:
            check_runs(mission)
        except MissionError as error:
            problem = str(error)
        described.append(
            {"name": mission.name, "description": entry.description if entry else "", "problem": problem}
            | facts(mission)
            | ({"cogs_range": [entry.min_cogs, entry.max_cogs]} if entry else {})
        )
    return described


def facts(mission: Mission) -> dict[str, Any]:
    """The facts of a mission's config, for people: agents, steps, map, actions, resources, rewards, objects and
    more.
    """
    game = mission.config.game
    builder = game.map_builder
    size = [getattr(builder, "width", None), getattr(builder, "height", None)]
    return {
        "agents": mission.num_agents,
        "max_steps": mission.max_steps,
        "map_builder": type(builder).__qualname__.removesuffix("Config").removesuffix(".Config"),
        "map_size": size if all(size) else None,
        "map_seed": getattr(builder, "seed", None),
        "observation_tokens": game.obs.num_tokens,
        "view": [game.obs.width, game.obs.height],
        "actions": [action.name for action in game.actions.actions()],
        "resources": list(game.resource_names),
        "rewards": list(dict.fromkeys(name for agent in game.agents or [game.agent] for name in agent.rewards)),
        "objects": sorted(game.objects),
        "config_hash": mission.config_hash,
    }
