"""TensorFlow's strategies: all devices of this machine, or of the hosts that TF_CONFIG names."""

import numpy as np
import tensorflow as tf
from tensorflow.compiler.xla.tsl.protobuf import coordination_config_pb2
from tensorflow.python.eager import context

SECONDS_TO_JOIN = 120  # for hosts that have met
SECONDS_TO_ANSWER = 900  # for one that compiles, reads its first batch or writes a checkpoint
SECONDS_OF_SILENCE = 30  # after which a host that is cut off counts as gone


def join_local_devices() -> tf.distribute.Strategy:
    """Return the strategy over all GPUs of this machine; without any, over its CPU devices."""
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def join_hosts(processes: int) -> tf.distribute.Strategy:
    """Return the strategy over all processes of TF_CONFIG, which have met."""
    # The strategy takes the service as it is, and has no setting for how long it waits.
    context.context().configure_coordination_service(
        "standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=1000 * SECONDS_TO_JOIN,
        heartbeat_timeout_in_ms=1000 * SECONDS_OF_SILENCE,
        shutdown_barrier_timeout_in_ms=1000 * SECONDS_OF_SILENCE,
        coordinated_jobs=[
            coordination_config_pb2.CoordinatedJob(name="worker", num_tasks=processes)
        ],
    )
    options = tf.distribute.experimental.CommunicationOptions(timeout_seconds=SECONDS_TO_ANSWER)
    return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)


def sum_over_processes(
    strategy: tf.distribute.Strategy, words: np.ndarray, local_replicas: int
) -> np.ndarray:
    """Sum int32 arrays of one shape over the processes, in each of them."""

    def brought(replica: tf.distribute.experimental.ValueContext) -> tf.Tensor:
        # The first device speaks for its process.
        is_first = replica.replica_id_in_sync_group % local_replicas == 0
        return tf.constant(words if is_first else np.zeros_like(words))

    def summed(value: tf.Tensor) -> tf.Tensor:
        here = tf.distribute.get_replica_context()
        # A tensor made here has a device, which the reduction asks for; an argument has none.
        return here.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(value))

    values = strategy.experimental_distribute_values_from_function(brought)
    results = tf.function(lambda brought: strategy.run(summed, args=(brought,)))(values)
    return strategy.experimental_local_results(results)[0].numpy()
