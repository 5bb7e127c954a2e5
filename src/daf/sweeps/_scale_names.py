"""Descriptions of the scale that a sweep's values are on.

`normalise` is the setting in the configuration: "none", "default", "auto" (default if there are several missions), or
bounds by mission. The description depends on it alone, so reading a run directory needs nothing else.
"""

from collections.abc import Mapping, Sequence


def by_default(normalise: object, missions: int) -> bool:
    """Whether the scale is derived from the episodes of the default configuration."""
    return normalise == "default" or (normalise == "auto" and missions > 1)


def scale_suffix(normalise: object, missions: int) -> str:
    """Suffix for the name of a metric whose values are scaled; empty if they are not."""
    if isinstance(normalise, Mapping):
        return "in parts of the given ranges"
    return "in the default's standard deviations" if by_default(normalise, missions) else ""


def scaled_name(name: str, normalise: object, missions: int) -> str:
    """The name of a metric or objective with its scale."""
    return f"{name} {scale_suffix(normalise, missions)}".rstrip()


def scale_note(normalise: object, missions: int, flat: Sequence[str]) -> str:
    """How scaled values were computed; empty if they are not scaled.

    flat: missions on which all episodes of the default configuration have the same value.
    """
    mean = ", averaged over the missions" if missions > 1 else ""
    if isinstance(normalise, Mapping):
        return f"Values are (value - low) / (high - low) with the ranges under normalise{mean}."
    if not by_default(normalise, missions):
        return ""
    text = "Values are (value - the default configuration's) / (standard deviation of the default's episodes)"
    text += f"{mean}: 0 is as the default."
    if flat:
        text += f" On {', '.join(flat)} these episodes do not differ, and the size of their mean (1 where it is 0) "
        text += "takes the deviation's place."
    return text
