"""The rule by which failed jobs get another attempt: limited, with a delay that doubles."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RetryRule:
    """max_retries: attempts after the first. delay, max_delay: seconds before the first retry, and before any."""

    max_retries: int
    delay: float = 0.0
    max_delay: float = 0.0

    def seconds_until_retry(self, earlier_failures: int) -> float | None:
        """Seconds to wait after a failure that `earlier_failures` preceded; None if no attempt is left."""
        if earlier_failures >= self.max_retries:
            return None
        return min(self.max_delay, self.delay * 2.0**earlier_failures)
