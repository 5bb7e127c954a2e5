"""The tokens of observations, for networks: which kinds a mission has, and what distinguishes two missions' tokens.

A token is (location, feature, value). Its kind is its feature; for features whose values are names (tags, vibes,
actions, groups) each value is a separate kind. The other features are numeric: a token of one also has a row scaled by
the value's logarithm, and a row for the bucket that the value is in.

This module imports torch and mettagrid only, so that a bundle may carry it to where DAF is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mettagrid.policy.policy_env_interface import PolicyEnvInterface

PADDING = 0xFF
GLOBAL = 0xFE
EXACT = 16
BUCKETS = EXACT + 4
"""Values below 16 each have a bucket; above, every doubling has one."""


class Kinds:
    """A mission's kinds of token. The tables are indexed by (feature << 8 | value).

    kind: (65536,) the kind; kind 0 is padding, and any feature that the mission does not name. earlier: (65536,) the
    count of numeric features before the token's feature. numeric: (65536,) whether the feature is numeric. size:
    (65536,) the value's logarithm, at most 1. bucket: (65536,) below `BUCKETS`. kinds, numerics: how many there are.
    view: rows and columns that an agent sees. described: as JSON values, what distinguishes two missions' tokens.
    """

    def __init__(self, info: PolicyEnvInterface) -> None:
        if tuple(info.observation_shape[1:]) != (3,):
            raise ValueError(f"the network needs observations of shape (tokens, 3), got {info.observation_shape}")
        names = {feature.name: feature.id for feature in info.obs_features}
        self.view: tuple[int, int] = info.egocentric_shape
        self.described: dict[str, Any] = {
            "features": [f"{number}:{name}" for name, number in sorted(names.items(), key=lambda item: item[1])],
            "tags": list(info.tags),
            "actions": list(info.action_names),
            "view": list(self.view),
        }
        named = {
            "tag": len(info.tags),
            "vibe": len(info.vibe_action_names),
            "last_action": len(info.all_action_names),
            "agent:group": 8,
        }
        values = torch.arange(256)
        kind, earlier = torch.zeros(256, 256, dtype=torch.int32), torch.zeros(256, 256, dtype=torch.int32)
        numeric = torch.zeros(256, 256, dtype=torch.bool)
        self.kinds, self.numerics = 1, 0
        for name, feature in names.items():
            count = max(1, named.get(name, 1))
            kind[feature] = self.kinds + values.clamp(max=count - 1)
            earlier[feature] = self.numerics
            numeric[feature] = name not in named
            self.kinds += count
            self.numerics += name not in named
        self.kind, self.earlier, self.numeric = kind.flatten(), earlier.flatten(), numeric.flatten()
        self.size = (torch.log2(1.0 + values) / 8).repeat(256)
        bucket = torch.where(values < EXACT, values, EXACT + torch.log2(values.clamp(min=1)).floor().long() - 4)
        self.bucket = bucket.int().repeat(256)


def check_tokens(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Raise `ValueError` with the differences if the tokens of two missions, as `described`, are not the same."""
    for what, named in theirs.items():
        if named != ours[what]:
            gone = [str(name) for name in named if name not in ours[what]]
            new = [str(name) for name in ours[what] if name not in named]
            difference = f"only there: {', '.join(gone[:5]) or 'none'}; only here: {', '.join(new[:5]) or 'none'}"
            raise ValueError(f"the weights are for a mission with other {what} ({difference})")
