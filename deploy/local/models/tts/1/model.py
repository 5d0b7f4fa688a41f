"""hibari (Kokoro-82M distilled, English, one voice inside the package hibari-tts): text to speech.

in   TEXT         STRING [1, 1]        UTF-8, at most 20 000 characters
out  AUDIO        INT16  [1, samples]  mono PCM
     SAMPLE_RATE  INT32  [1, 1]        24000

The noise of the voice is seeded, so the same text gives the same samples and may be cached.
Text that has nothing to pronounce ("...") gives a tenth of a second of silence: an answer need not be a failure.
Errors: INVALID_ARG for text that is empty, too long or not UTF-8, UNKNOWN for a failure inside the model.
"""
import numpy as np
import triton_python_backend_utils as pb
from hibari import SAMPLE_RATE, Hibari

MAX_CHARACTERS = 20_000
SEED = 0


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class TritonPythonModel:
    def initialize(self, args):
        # One thread is 100 times faster than real time, and leaves the other cores to the other models.
        self.voice = Hibari(threads=1)
        self.voice("Warm up.", seed=SEED)

    def speak(self, request):
        cell = pb.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)[0]
        try:
            text = cell.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise BadInput("TEXT is not valid UTF-8") from None
        if not text:
            raise BadInput("TEXT is empty")
        if len(text) > MAX_CHARACTERS:
            raise BadInput(f"TEXT has {len(text)} characters; at most {MAX_CHARACTERS} are accepted")
        wave = np.nan_to_num(self.voice(text, seed=SEED))
        if wave.size == 0:
            wave = np.zeros(SAMPLE_RATE // 10, np.float32)
        return (np.clip(wave, -1.0, 1.0) * 32767).astype(np.int16)

    def answer(self, request):
        try:
            audio = pb.Tensor("AUDIO", self.speak(request)[None, :])
            rate = pb.Tensor("SAMPLE_RATE", np.array([[SAMPLE_RATE]], np.int32))
            return pb.InferenceResponse([audio, rate])
        except BadInput as error:
            return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        except Exception as error:  # noqa: BLE001  INTERNAL is what a dead stub answers, so a failed call says UNKNOWN
            return pb.InferenceResponse(error=pb.TritonError(f"tts: {error!r}", pb.TritonError.UNKNOWN))

    def execute(self, requests):
        return [self.answer(request) for request in requests]
