"""How many episodes a comparison needs: `daf_power`, from a pilot or from given moments."""

from daf.power.operation import PowerReport, PowerRow, daf_power

__all__ = ["PowerReport", "PowerRow", "daf_power"]
