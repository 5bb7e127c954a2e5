"""Start the nodes of a Ray cluster on this machine: `python -m daf.compute._ray_starter NODES CPUS STORE_BYTES`.

The nodes outlive this process. It runs in a separate session, so that no signal of a terminal reaches them, and prints
one JSON object: the address and the processes that it started, each with the time at which it started.
"""

import json
import sys

import psutil


def main(nodes: int, cpus: int, store_bytes: int) -> None:
    """Start them one after the other, the head first; whatever fails ends those that were started."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(shutdown_at_exit=False)
    try:
        for number in range(nodes):
            cluster.add_node(
                num_cpus=cpus,
                object_store_memory=store_bytes,
                node_ip_address="127.0.0.1",
                node_name=f"node {number}",
                include_dashboard=False,
            )
    except BaseException:
        cluster.shutdown()  # type: ignore[no-untyped-call]
        raise
    started = [
        psutil.Process(each.process.pid)
        for node in cluster.list_all_nodes()  # type: ignore[no-untyped-call]
        for processes in node.all_processes.values()
        for each in processes
    ]
    found = {
        "address": cluster.address,
        "processes": [{"pid": process.pid, "created": process.create_time()} for process in started],
    }
    sys.stdout.write(f"{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
