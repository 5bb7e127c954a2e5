"""Missions with one change: an additional variant, or one role less. The given mission is never modified."""

from daf.errors import MissionError, unknown
from daf.game import mission_facts, mission_files
from daf.game import missions as game_missions
from daf.game.mission import Mission, mission_of


def with_variant(mission: Mission, variant: str) -> Mission:
    """`mission` with one more of the game's variants. Raises `MissionError` for a custom config or an unknown
    variant.
    """
    if mission.game is None:
        raise MissionError(f"{mission.name} is a custom config; variants apply only to named missions.")
    known = game_missions.variants(mission.game)
    if variant not in known:
        raise MissionError(unknown("variant", variant, known, hint="`daf missions --variants` lists them all."))
    head, options = mission_files.split(mission.name)
    own = next((option for option in options if option.startswith("variants=")), None)
    if own is None:
        name = ",".join([head, *options, f"variants={variant}"])
    else:
        name = ",".join([head, *(f"{option}+{variant}" if option is own else option for option in options)])
    return game_missions.resolve(name, game=mission.game)[0]


def with_cogs(mission: Mission, cogs: int) -> Mission:
    """`mission` with another number of agents. Raises `MissionError` if it can't have that many."""
    if mission.game is None:
        raise MissionError(f"{mission.name} is a custom config; its number of agents is fixed.")
    head, options = mission_files.split(mission.name)
    kept = [option for option in options if not option.startswith("cogs=")]
    return game_missions.resolve(",".join([head, f"cogs={cogs}", *kept]), game=mission.game)[0]


def without_role(mission: Mission, role: str) -> Mission:
    """`mission` where nobody can take the gear `role`: its stations remain on the map and have no effect.

    Raises `MissionError` if the mission has no such role, or no station that gives it.
    """
    roles = mission_facts.roles(mission)
    if role not in roles:
        raise MissionError(f"{mission.name}: {unknown('role', role, roles)}")
    config = mission.config.model_copy(deep=True)
    stations = [name for name in config.game.objects if name == role or name.endswith(f":{role}")]
    if not stations:
        raise MissionError(f"{mission.name} has no station that gives {role} gear.")
    for name in stations:
        station = config.game.objects[name]
        station.handlers = {}
        station.on_use_handler = None
    return mission_of(f"{mission.name},without_role={role}", None, config)
