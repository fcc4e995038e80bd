"""A Ray cluster of two nodes on this machine, which every process joins over the loopback."""

import contextlib
import os


@contextlib.contextmanager
def two_nodes(**resources):
    """Start two nodes with one core each and further resources; give their address."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 100 << 20, **resources}
    nodes = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    nodes.add_node(**node)
    try:
        yield nodes.address
    finally:
        nodes.shutdown()
