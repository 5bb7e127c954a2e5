"""Training jobs: the one way in which sweeps, adaptive experiments and background training run `daf train`.

`interface` defines jobs and their runner, `local` runs them on this machine. What decides which jobs there should be
(strategies, schedulers, pruners) is elsewhere. Cheap to import: every job's supervisor imports this package.
"""
