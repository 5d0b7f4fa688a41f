"""The other side of bench:tensors: tritonclient. Reads lines "<bytes> <calls> <value|shared>", by value or by system
shared memory; answers each with the seconds that each call took, as JSON."""
import json
import os
import sys
import time
from contextlib import contextmanager

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.utils.shared_memory as shm

client = grpc.InferenceServerClient(sys.argv[1])


def call(data):
    tensor = grpc.InferInput("BYTES_IN", [data.size], "UINT8")
    tensor.set_data_from_numpy(data)
    result = client.infer("mirror", [tensor], outputs=[grpc.InferRequestedOutput("BYTES_OUT")])
    return result.as_numpy("BYTES_OUT")


def unregister(name):
    """A request counts as using its regions for a moment after its answer."""
    for _ in range(50):
        try:
            return client.unregister_system_shared_memory(name)
        except grpc.InferenceServerException:
            time.sleep(0.1)
    raise RuntimeError(f"{name} is still in use after 5 s")


@contextmanager
def shared(size):
    """Two regions that both processes map; the bytes are copied into one and out of the other, as a worker would."""
    regions = []
    for name in ("bench_in", "bench_out"):
        key = f"/{name}_{os.getpid()}"
        regions.append(shm.create_shared_memory_region(name, key, size))
        client.register_system_shared_memory(name, key, size)
    given, made = regions

    def call(data):
        shm.set_shared_memory_region(given, [data])
        tensor = grpc.InferInput("BYTES_IN", [size], "UINT8")
        tensor.set_shared_memory("bench_in", size)
        wanted = grpc.InferRequestedOutput("BYTES_OUT")
        wanted.set_shared_memory("bench_out", size)
        client.infer("mirror", [tensor], outputs=[wanted])
        return shm.get_contents_as_numpy(made, np.uint8, [size]).copy()

    try:
        yield call
    finally:
        # By name: without one the server forgets the other side's regions too.
        for name in ("bench_in", "bench_out"):
            unregister(name)
        for region in regions:
            shm.destroy_shared_memory_region(region)


@contextmanager
def by_value(_):
    yield call


for line in sys.stdin:
    size, calls, way = line.split()
    size = int(size)
    data = np.arange(size, dtype=np.uint64).astype(np.uint8)
    seconds = []
    with (shared if way == "shared" else by_value)(size) as send:
        send(data)
        for _ in range(int(calls)):
            start = time.perf_counter()
            answer = send(data)
            seconds.append(time.perf_counter() - start)
    assert np.array_equal(answer, data)
    print(json.dumps(seconds), flush=True)
