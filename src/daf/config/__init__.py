"""Configuration: checked classes, strict files, and the source of every value."""

from daf.config._effective import Effective, EffectiveValue, effective_config
from daf.config._gpu import apply_gpu_settings
from daf.config._loading import daf_load_config
from daf.config._manager import (
    DAFConfigManager,
    create_development_config,
    create_production_config,
    load_config_from_environment,
)
from daf.config._operations import (
    DAFComparisonConfig,
    DAFDeploymentConfig,
    DAFPipelineConfig,
    DAFTournamentConfig,
    DAFVariantConfig,
)
from daf.config.base import ConfigModel
from daf.config.settings import DAFConfig
from daf.config.sweep import DAFEarlyStopping, DAFObjective, DAFParameterChoices, DAFParameterRange, DAFSweepConfig
from daf.config.training import DAFTrainingConfig

__all__ = [
    "ConfigModel",
    "DAFComparisonConfig",
    "DAFConfig",
    "DAFConfigManager",
    "DAFDeploymentConfig",
    "DAFEarlyStopping",
    "DAFObjective",
    "DAFParameterChoices",
    "DAFParameterRange",
    "DAFPipelineConfig",
    "DAFSweepConfig",
    "DAFTournamentConfig",
    "DAFTrainingConfig",
    "DAFVariantConfig",
    "Effective",
    "EffectiveValue",
    "apply_gpu_settings",
    "create_development_config",
    "create_production_config",
    "daf_load_config",
    "effective_config",
    "load_config_from_environment",
]
