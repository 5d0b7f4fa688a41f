"""Speaks texts with the embedded voice, one file of WAV for each: recordings whose words are known.

usage: python speak.py    the request is JSON on the standard input: {"texts": [...], "folder": FOLDER}
It prints the paths as JSON, in the order of the texts.
"""
import json
import pathlib
import sys
import wave

import numpy as np
from hibari import SAMPLE_RATE, Hibari

SEED = 0


def main():
    request = json.loads(sys.stdin.buffer.read())
    folder = pathlib.Path(request["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    voice = Hibari(threads=1)
    paths = []
    for number, text in enumerate(request["texts"], 1):
        samples = np.clip(np.nan_to_num(voice(text, seed=SEED)), -1.0, 1.0)
        paths.append(str(folder / f"{number:02}.wav"))
        with wave.open(paths[-1], "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes((samples * 32767).astype("<i2").tobytes())
    print(json.dumps(paths))


if __name__ == "__main__":
    main()
