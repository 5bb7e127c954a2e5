"""Experiments of many training runs: which runs there should be (schedulers), and what happened (the journal)."""
