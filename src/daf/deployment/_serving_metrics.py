"""What a policy server did so far, in Prometheus' text format. Counters may be read and changed from any thread."""

import threading
import time
from collections.abc import Mapping
from typing import get_args

from daf.deployment.serving_records import EpisodeEnd
from daf.processes.memory_use import resident_mib

STEP_BUCKETS_MS = (0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counters of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.time()
        self.sessions = 0
        self._ended = dict.fromkeys(get_args(EpisodeEnd), 0)
        self._turned_away = {"full": 0, "token": 0, "stopping": 0}
        self._reloads = {"done": 0, "failed": 0}
        self._steps = 0
        self._step_seconds = 0.0
        self._buckets = [0] * (len(STEP_BUCKETS_MS) + 1)

    def entered(self, limit: int) -> bool:
        """Count a session; False, and nothing counted, if there are `limit` already."""
        with self._lock:
            if self.sessions >= limit:
                self._turned_away["full"] += 1
                return False
            self.sessions += 1
            return True

    def left(self, end: EpisodeEnd) -> None:
        """A session ended."""
        with self._lock:
            self.sessions -= 1
            self._ended[end] += 1

    def turned_away(self, reason: str) -> None:
        """A connection was refused before it became a session."""
        with self._lock:
            self._turned_away[reason] += 1

    def reloaded(self, result: str) -> None:
        """Another version of the policy was loaded, or failed to."""
        with self._lock:
            self._reloads[result] += 1

    def stepped(self, milliseconds: float) -> None:
        """A batch was answered."""
        place = next((i for i, bound in enumerate(STEP_BUCKETS_MS) if milliseconds <= bound), len(STEP_BUCKETS_MS))
        with self._lock:
            self._steps += 1
            self._step_seconds += milliseconds / 1e3
            self._buckets[place] += 1

    def text(self, info: Mapping[str, str]) -> str:
        """All metrics. info: labels of the policy that new sessions get."""
        with self._lock:
            lines = [
                *_metric("policy_info", "gauge", "The policy that new sessions get.", {_labels(info): 1}),
                *_metric("sessions", "gauge", "Open sessions.", {"": self.sessions}),
                *_metric("episodes_total", "counter", "Ended sessions.", _by("end", self._ended)),
                *_metric("refused_total", "counter", "Connections refused.", _by("reason", self._turned_away)),
                *_metric("reloads_total", "counter", "Loads of another version.", _by("result", self._reloads)),
                *self._histogram(),
                *_metric("start_time_seconds", "gauge", "Unix time of the start.", {"": self._started}),
                *_metric("resident_memory_bytes", "gauge", "Memory.", {"": int(resident_mib() * 2**20)}),
            ]
        return "\n".join(lines) + "\n"

    def _histogram(self) -> list[str]:
        name = "daf_serve_step_seconds"
        lines = [f"# HELP {name} From a batch's arrival to its response.", f"# TYPE {name} histogram"]
        below = 0
        for bound, count in zip([*STEP_BUCKETS_MS, None], self._buckets, strict=True):
            below += count
            lines.append(f'{name}_bucket{{le="{"+Inf" if bound is None else f"{bound / 1e3:g}"}"}} {below}')
        return [*lines, f"{name}_sum {self._step_seconds:.9g}", f"{name}_count {self._steps}"]


def _metric(name: str, kind: str, help_text: str, values: Mapping[str, float]) -> list[str]:
    name = f"daf_serve_{name}"
    rows = [f"{name}{labels} {value}" for labels, value in values.items()]
    return [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", *rows]


def _by(label: str, counts: Mapping[str, int]) -> dict[str, float]:
    return {_labels({label: value}): count for value, count in counts.items()}


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
