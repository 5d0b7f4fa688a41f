"""The other side of bench:tensors: tritonclient. Reads lines "<bytes> <calls>", answers each with the seconds that each call took, as JSON."""
import json
import sys
import time

import numpy as np
import tritonclient.grpc as grpc

client = grpc.InferenceServerClient(sys.argv[1])


def call(data):
    tensor = grpc.InferInput("BYTES_IN", [data.size], "UINT8")
    tensor.set_data_from_numpy(data)
    result = client.infer("mirror", [tensor], outputs=[grpc.InferRequestedOutput("BYTES_OUT")])
    return result.as_numpy("BYTES_OUT")


for line in sys.stdin:
    size, calls = (int(word) for word in line.split())
    data = np.arange(size, dtype=np.uint64).astype(np.uint8)
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        answer = call(data)
        seconds.append(time.perf_counter() - start)
    assert np.array_equal(answer, data)
    print(json.dumps(seconds), flush=True)
