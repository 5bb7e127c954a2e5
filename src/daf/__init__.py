"""DAF, the laboratory for CoGames policies."""
