"""Experiments of many training runs: which runs (schedulers), where (dispatchers), and what happened (the journal).

Cheap to import: every worker's supervisor (`daf.core.adaptive._supervisor`) imports this package.
"""
