"""Which runs to start: a fixed list, successive halving, population-based training."""

from daf.core.adaptive.config import DAFAdaptiveConfig
from daf.core.adaptive.schedulers._fixed import FixedList
from daf.core.adaptive.schedulers._halving import SuccessiveHalving
from daf.core.adaptive.schedulers._population import PopulationBased
from daf.core.adaptive.schedulers.interface import Known, Scheduler, Wanted
from daf.core.adaptive.schedulers.space import first_settings


def scheduler_of(config: DAFAdaptiveConfig) -> FixedList | SuccessiveHalving | PopulationBased:
    """The scheduler that `config` asks for. `targets` are the steps at which runs may be compared, ascending."""
    settings = first_settings(config)
    total = config.trains.total_timesteps
    if config.halving is not None:
        return SuccessiveHalving(settings, total, config.halving.min_timesteps, config.halving.reduction_factor)
    if config.population is not None:
        return PopulationBased(settings, total, config.search_space, config.population, config.seed)
    return FixedList(settings, total)


__all__ = ["FixedList", "Known", "PopulationBased", "Scheduler", "SuccessiveHalving", "Wanted", "scheduler_of"]
