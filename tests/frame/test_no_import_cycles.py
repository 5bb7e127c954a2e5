"""No module of DAF imports itself through others: neither when it runs nor for its types.

Imports inside functions count. They only postpone a cycle until the call, and a reader still has to hold both modules
in mind at once.
"""

import grimp
import pytest


@pytest.fixture(scope="module", params=[False, True], ids=["with types", "at run time"])
def graph(request):
    return grimp.build_graph("daf", exclude_type_checking_imports=request.param, cache_dir=None)


def test_no_module_imports_itself_through_others(graph):
    edges = {module: set(graph.find_modules_directly_imported_by(module)) for module in sorted(graph.modules)}
    cycles = ["; ".join(_imports(graph, edges, cycle)) for cycle in _cycles(edges)]
    assert not cycles, "\n".join(cycles)


def test_a_cycle_of_three_is_found_and_a_diamond_is_none():
    assert _cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert _cycles({"a": {"b", "c"}, "b": {"d"}, "c": {"d"}, "d": set()}) == []


def _cycles(edges):
    """The strongly connected components with several members: what is left when ends are cut off, split by reach."""
    left = dict(edges)
    while ends := {node for node, out in left.items() if not out & left.keys()}:
        left = {node: out for node, out in left.items() if node not in ends}
    reached = {node: _reached(left, node) for node in left}
    found = {tuple(sorted(other for other in reached[node] if node in reached[other])) for node in left}
    return [list(cycle) for cycle in sorted(found) if cycle]


def _reached(edges, start):
    """All nodes that a path of at least one edge leads to."""
    seen, waiting = set(), [start]
    while waiting:
        new = (edges[waiting.pop()] & edges.keys()) - seen
        seen |= new
        waiting.extend(new)
    return seen


def _imports(graph, edges, cycle):
    for module in cycle:
        for imported in sorted(edges[module] & set(cycle)):
            for line in graph.get_import_details(importer=module, imported=imported):
                yield f"{module}:{line['line_number']} {line['line_contents']}"
