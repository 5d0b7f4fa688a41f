"""Returns its input: what is measured is the way there and back."""
import triton_python_backend_utils as pb


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb.InferenceResponse([pb.Tensor("BYTES_OUT", pb.get_input_tensor_by_name(request, "BYTES_IN").as_numpy())])
            for request in requests
        ]
