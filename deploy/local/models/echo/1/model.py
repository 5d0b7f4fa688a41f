"""Answers with its input.

in   TEXT  STRING [batch, 1]  any bytes
out  OUT   STRING [batch, 1]  the same bytes
"""
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb.InferenceResponse([pb.Tensor("OUT", pb.get_input_tensor_by_name(request, "TEXT").as_numpy())])
            for request in requests
        ]
