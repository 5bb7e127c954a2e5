"""Ask whether a Ray cluster answers: `python -m daf.compute._ray_probe HOST:PORT`.

A separate process, because Ray retries for 20 s and more, and writes each attempt to stderr. It prints "ready" when
Ray is imported, and "answers" when the cluster has answered; else it ends with 1, or its caller ends it.
"""

import sys


def main(address: str) -> None:
    """Connect to the cluster's control service and leave."""
    from ray._raylet import GcsClient  # type: ignore[attr-defined]

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    GcsClient(address=address)
    sys.stdout.write("answers\n")


if __name__ == "__main__":
    main(sys.argv[1])
