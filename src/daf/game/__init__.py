"""The game: missions, policies and episodes of CoGames and mettagrid, which no other package imports."""

from daf.game.compat import keep_logging

keep_logging()  # before any module of this package imports mettagrid
