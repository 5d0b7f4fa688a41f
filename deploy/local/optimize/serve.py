"""Serves one variant of a model to `millrace optimize`, in a process of its own, with the code that Triton runs.

usage: python serve.py SPEC    SPEC is JSON: {"runtime": "onnx" or "ctranslate2", "weights": …, "threads": N, …}
       python serve.py         prints what the runtimes offer on this processor

Requests and answers are lines of JSON. {"inputs": [...]} is answered by {"ms", "units", "outputs"}: what the model took for
all inputs together, and how much of its unit they were (texts, seconds of audio). The first line is {"ready": …}.
"""
import json
import os
import pathlib
import sys
import time

MODELS = pathlib.Path(__file__).parent.parent / "models"
SAMPLE_RATE = 16_000


class Onnx:
    """A text encoder: a text to a vector."""

    def __init__(self, spec):
        sys.path.insert(0, str(MODELS / "minilm" / "1"))
        from encoder import Encoder

        self.encoder = Encoder(
            weights=spec["weights"], tokenizer=spec["tokenizer"], threads=spec["threads"], level=spec["level"]
        )

    def prepared(self, text):
        return text

    def run(self, texts):
        vectors = self.encoder.embed(self.encoder.tokens(texts))
        return len(texts), lambda: [[round(float(value), 6) for value in vector] for vector in vectors]


class CTranslate2:
    """Speech recognition: the path of a recording to its text."""

    def __init__(self, spec):
        sys.path.insert(0, str(MODELS / "whisper" / "1"))
        from recogniser import Recogniser

        self.recogniser = Recogniser(spec["weights"], spec["compute"], spec["threads"])
        self.decoded = {}

    def prepared(self, path):
        """Decoding the file is not the model's time."""
        if path not in self.decoded:
            from faster_whisper.audio import decode_audio

            self.decoded[path] = decode_audio(path, sampling_rate=SAMPLE_RATE)
        return self.decoded[path]

    def run(self, recordings):
        texts = [self.recogniser.recognise(audio)[0] for audio in recordings]
        return sum(audio.size for audio in recordings) / SAMPLE_RATE, lambda: texts


def probe():
    import ctranslate2
    import onnxruntime

    versions = {"onnxruntime": onnxruntime.__version__, "ctranslate2": ctranslate2.__version__}
    return {"computeTypes": sorted(ctranslate2.get_supported_compute_types("cpu")), "versions": versions}


RUNTIMES = {"onnx": Onnx, "ctranslate2": CTranslate2}


def main():
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**fields):
        answers.write(json.dumps(fields) + "\n")
        answers.flush()

    if len(sys.argv) == 1:
        answer(**probe())
        return
    spec = json.loads(sys.argv[1])
    runtime = RUNTIMES[spec["runtime"]](spec)
    answer(ready=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            inputs = [runtime.prepared(each) for each in request["inputs"]]
            started = time.perf_counter()
            units, outputs = runtime.run(inputs)
            ms = 1_000 * (time.perf_counter() - started)
            answer(ms=ms, units=units, outputs=outputs())
        except Exception as error:  # noqa: BLE001  the next input may be better
            answer(error=f"{type(error).__name__}: {error}"[:500])


if __name__ == "__main__":
    main()
