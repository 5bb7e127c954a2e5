"""What a sweep's values are counted in, for people.

`normalise` is the configuration's: "none", "default", "auto" (default where there are several missions), or bounds by
mission. The words follow from it alone, so that a sweep's folder needs no more to be read.
"""

from collections.abc import Mapping, Sequence


def by_default(normalise: object, missions: int) -> bool:
    """Whether the default configuration's episodes are the scale."""
    return normalise == "default" or (normalise == "auto" and missions > 1)


def scale_words(normalise: object, missions: int) -> str:
    """What follows a metric's name where its values are scaled; empty where they are as they are."""
    if isinstance(normalise, Mapping):
        return "in parts of the given ranges"
    return "in the default's standard deviations" if by_default(normalise, missions) else ""


def told(name: str, normalise: object, missions: int) -> str:
    """A metric's or objective's name with its scale."""
    return f"{name} {scale_words(normalise, missions)}".rstrip()


def scale_note(normalise: object, missions: int, flat: Sequence[str]) -> str:
    """How a scaled value came about; empty where values are as they are.

    flat: missions on which the default configuration's episodes do not differ.
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
