"""Fixtures of the tests of replays."""

from replay_files import recorded, write

__all__ = ["recorded", "write"]
