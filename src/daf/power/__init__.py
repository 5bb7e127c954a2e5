"""How many episodes a comparison needs: `daf_power`, from a pilot or from given moments."""

from daf.power._rows import PowerRow
from daf.power.operation import PowerReport, daf_power

__all__ = ["PowerReport", "PowerRow", "daf_power"]
