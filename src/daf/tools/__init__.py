"""Thin adapters with the call forms of the contract; DAF itself draws with `daf plot` and `daf replay`."""
