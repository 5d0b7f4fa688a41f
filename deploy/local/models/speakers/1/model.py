"""Who speaks when: Silero's voice activity (MIT) and the voice encoder of the package Resemblyzer (Apache-2.0), clustered.

in   AUDIO   INT16   [samples]  mono PCM at 16 kHz, at most half an hour
out  SPANS   FP32    [n, 2]     where somebody speaks: start and end in seconds, in order of time, without overlap
     LABELS  STRING  [n]        `speaker-0` for the first one to speak, `speaker-1`, …; at most 8
     SCORES  FP32    [n]        how like the speaker's other speech it is, 0 to 1 (cosine)

Audio without speech gives no spans. The same audio gives the same spans.
Errors: INVALID_ARG for audio that is too long, CANCELLED when the caller has left, UNKNOWN for a failure inside the model.
"""
import numpy as np
import triton_python_backend_utils as pb
from diarise import SAMPLE_RATE, Diariser, Stopped

MAX_SECONDS = 1_800


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class TritonPythonModel:
    def initialize(self, args):
        self.diariser = Diariser()
        # The first pass through both models is slow: the first caller does not wait for it.
        self.diariser.warm_up()

    def turns(self, request):
        audio = pb.get_input_tensor_by_name(request, "AUDIO").as_numpy().reshape(-1)
        if audio.size > MAX_SECONDS * SAMPLE_RATE:
            raise BadInput(f"AUDIO is {audio.size / SAMPLE_RATE:.0f} s long; at most {MAX_SECONDS} s are accepted")
        samples = audio.astype(np.float32)
        samples /= 32_768
        return self.diariser.turns(samples, request.is_cancelled)

    def answer(self, request):
        try:
            turns = self.turns(request)
            spans = np.array([[turn.start, turn.end] for turn in turns], np.float32).reshape(-1, 2)
            labels = np.array([f"speaker-{turn.speaker}".encode() for turn in turns], np.object_)
            scores = np.array([turn.score for turn in turns], np.float32)
            return pb.InferenceResponse([pb.Tensor("SPANS", spans), pb.Tensor("LABELS", labels), pb.Tensor("SCORES", scores)])
        except BadInput as error:
            return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        except Stopped:
            return pb.InferenceResponse(error=pb.TritonError("the caller has left", pb.TritonError.CANCELLED))
        except Exception as error:  # noqa: BLE001  INTERNAL is what a dead stub answers, so a failed call says UNKNOWN
            return pb.InferenceResponse(error=pb.TritonError(f"speakers: {error!r}", pb.TritonError.UNKNOWN))

    def execute(self, requests):
        return [self.answer(request) for request in requests]
