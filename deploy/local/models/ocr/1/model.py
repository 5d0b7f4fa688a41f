"""PP-OCRv6 small (weights of the package rapidocr, Apache-2.0): text in an image, with places and scores.

in   IMAGE   UINT8   [height, width, 3]  RGB, at most 8 million pixels
out  BOXES   FP32    [n, 4, 2]           corners in pixels of the image: where a line begins above, ends above, ends below, begins below
     TEXTS   STRING  [n]                 UTF-8, in reading order; 18 000 characters, Latin and Chinese among them
     SCORES  FP32    [n]                 mean score of the characters, 0 to 1

An image without text gives no boxes, one with more than 1000 lines the 1000 that are surest to be text. The same image gives the same text.
Errors: INVALID_ARG for an image that is empty, too large or has too much text, UNKNOWN for a failure inside the model.
"""
import numpy as np
import triton_python_backend_utils as pb
from reader import Reader, TooMuchText

MAX_PIXELS = 8_000_000


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class TritonPythonModel:
    def initialize(self, args):
        self.reader = Reader()

    def read(self, request):
        image = pb.get_input_tensor_by_name(request, "IMAGE").as_numpy()
        height, width = image.shape[:2]
        if height * width == 0:
            raise BadInput("IMAGE has no pixels")
        if height * width > MAX_PIXELS:
            raise BadInput(f"IMAGE has {width} x {height} pixels; at most {MAX_PIXELS} are accepted: make it smaller first")
        return self.reader.read(image)

    def answer(self, request):
        try:
            boxes, texts, scores = self.read(request)
            said = np.array([text.encode("utf-8") for text in texts], np.object_)
            return pb.InferenceResponse([pb.Tensor("BOXES", boxes), pb.Tensor("TEXTS", said), pb.Tensor("SCORES", scores)])
        except (BadInput, TooMuchText) as error:
            return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        except Exception as error:  # noqa: BLE001  INTERNAL is what a dead stub answers, so a failed call says UNKNOWN
            return pb.InferenceResponse(error=pb.TritonError(f"ocr: {error!r}", pb.TritonError.UNKNOWN))

    def execute(self, requests):
        return [self.answer(request) for request in requests]
