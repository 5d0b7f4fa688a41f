"""Where somebody speaks: Silero's voice activity v6 (MIT), the file in the package faster-whisper."""
import importlib.util
import pathlib

import numpy as np
import onnxruntime as ort
from spectrum import SAMPLE_RATE

WEIGHTS = "assets/silero_vad_v6.onnx"
# A probability for every 32 ms, which the model hears together with the 4 ms before.
CHUNK = 512
BEFORE = 64
STATE = (1, 1, 128)
# Chunks of one pass, two minutes.
MOST_CHUNKS = 4_000

BEGINS = 0.5
ENDS = 0.35
# A shorter pause ends nothing: people breathe. A shorter sound is no speech.
LEAST_PAUSE = SAMPLE_RATE * 25 // 100
LEAST_SPEECH = SAMPLE_RATE * 20 // 100
# Consonants at the ends are missed: a piece is longer by this on both sides.
MARGIN = SAMPLE_RATE // 10


class SpeechFinder:
    def __init__(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        folder = pathlib.Path(importlib.util.find_spec("faster_whisper").submodule_search_locations[0])
        self.session = ort.InferenceSession(str(folder / WEIGHTS), options, providers=["CPUExecutionProvider"])

    def pieces(self, samples, checked):
        """Pieces of speech, in order: first sample and end of each. `checked` is called between passes."""
        return pieces_of(self.probabilities(samples, checked), len(samples))

    def probabilities(self, samples, checked):
        h, c = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        found = [np.zeros(0, np.float32)]
        for at in range(0, len(samples), MOST_CHUNKS * CHUNK):
            checked()
            feed = {"input": chunks_of(samples, at), "h": h, "c": c}
            output, h, c = self.session.run(None, feed)
            found.append(output.reshape(-1))
        return np.concatenate(found)


def chunks_of(samples, at):
    """Chunks from a sample on, those of one pass, each with what comes before it; beyond the ends is silence."""
    count = min(MOST_CHUNKS, -(-(len(samples) - at) // CHUNK))
    heard = np.zeros(BEFORE + count * CHUNK, np.float32)
    known = samples[max(0, at - BEFORE) : at + count * CHUNK]
    first = BEFORE - min(at, BEFORE)
    heard[first : first + len(known)] = known
    return np.ascontiguousarray(np.lib.stride_tricks.sliding_window_view(heard, BEFORE + CHUNK)[::CHUNK])


def pieces_of(probabilities, length):
    """From probabilities of chunks to pieces of samples: it takes more to begin than to go on."""
    found, start, quiet = [], None, None
    for at, probability in enumerate(probabilities.tolist()):
        sample = at * CHUNK
        if probability >= BEGINS:
            start, quiet = sample if start is None else start, None
        elif start is not None and probability < ENDS:
            quiet = sample if quiet is None else quiet
            if sample + CHUNK - quiet >= LEAST_PAUSE:
                found.append((start, quiet))
                start = quiet = None
    if start is not None:
        found.append((start, length if quiet is None else quiet))
    found = [(start, end) for start, end in found if end - start >= LEAST_SPEECH]
    # Between two pieces the margins meet in the middle.
    middles = [(end + start) // 2 for (_, end), (start, _) in zip(found, found[1:])]
    firsts, lasts = [0, *middles], [*middles, length]
    return [
        (max(first, start - MARGIN), min(last, end + MARGIN))
        for (start, end), first, last in zip(found, firsts, lasts)
    ]
