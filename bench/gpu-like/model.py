"""A cost model in place of an accelerator: a batch costs a fixed time, whatever its size, and a device computes one at a time.

in   X  FP32 [-1, 1]
out  Y  FP32 [-1, 1]  X + 1

It sleeps instead of computing, so that three "devices" work at once on a machine with two cores. Parameters of the model:

cost_ms      milliseconds of a batch
per_item_ms  milliseconds of each item of a batch besides
devices      files that stand for the devices of its instances, separated by commas: who holds one computes
"""
import fcntl
import json
import time

import triton_python_backend_utils as pb


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.cost = float(parameters["cost_ms"]["string_value"]) / 1_000
        self.per_item = float(parameters["per_item_ms"]["string_value"]) / 1_000
        devices = parameters["devices"]["string_value"].split(",")
        # "<model>_<group>_<index>" as the server names the instances of a group
        instance = int(args["model_instance_name"].rsplit("_", 1)[1])
        self.lock = open(devices[instance % len(devices)], "w")

    def execute(self, requests):
        inputs = [pb.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        items = sum(len(x) for x in inputs)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        try:
            time.sleep(self.cost + self.per_item * items)
        finally:
            fcntl.flock(self.lock, fcntl.LOCK_UN)
        return [pb.InferenceResponse([pb.Tensor("Y", x + 1)]) for x in inputs]
