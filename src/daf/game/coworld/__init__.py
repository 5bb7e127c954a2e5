"""The bridge between a Coworld episode and a policy: the program in a Coworld project that `daf package` writes.

The modules are copied into the project as they are. They import mettagrid, websockets and each other, and nothing of
DAF.
"""
