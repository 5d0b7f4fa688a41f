"""A model that takes a while to load, as one with weights does.

in   X  FP32 [-1, 1]
out  Y  FP32 [-1, 1]  X + 1

Parameters of the model:

load_ms   milliseconds that it sleeps when it is loaded, in place of reading weights
cost_ms   milliseconds of a batch
"""
import json
import time

import triton_python_backend_utils as pb


class TritonPythonModel:
    def initialize(self, args):
        parameters = json.loads(args["model_config"])["parameters"]
        self.cost = float(parameters["cost_ms"]["string_value"]) / 1_000
        time.sleep(float(parameters["load_ms"]["string_value"]) / 1_000)

    def execute(self, requests):
        time.sleep(self.cost)
        inputs = [pb.get_input_tensor_by_name(request, "X").as_numpy() for request in requests]
        return [pb.InferenceResponse([pb.Tensor("Y", x + 1)]) for x in inputs]
