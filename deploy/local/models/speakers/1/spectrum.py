"""Mel spectrum as the voice encoder was trained on: librosa's `melspectrogram` with 40 bands, of power, without a logarithm."""
import numpy as np

SAMPLE_RATE = 16_000
# 25 ms of sound, every 10 ms.
FRAME = 400
HOP = 160
BANDS = 40
# Frames of one pass: numpy's transform returns 16 bytes for each of 201 frequencies.
MOST_FRAMES = 4_096

# Slaney's mel scale: linear up to 1 kHz, then logarithmic.
LINEAR = 200 / 3
KNEE = 1_000
STEP = np.log(6.4) / 27


def to_mel(hertz):
    return np.where(hertz < KNEE, hertz / LINEAR, KNEE / LINEAR + np.log(np.maximum(hertz, KNEE) / KNEE) / STEP)


def to_hertz(mel):
    knee = KNEE / LINEAR
    return np.where(mel < knee, mel * LINEAR, KNEE * np.exp((np.maximum(mel, knee) - knee) * STEP))


def filters():
    """Triangles of area 1 over the frequencies of a frame: [frequencies, bands]."""
    corners = to_hertz(np.linspace(0, to_mel(np.array(SAMPLE_RATE / 2)), BANDS + 2))
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    frequencies = np.linspace(0, SAMPLE_RATE / 2, FRAME // 2 + 1)
    triangles = np.minimum((frequencies - low) / (peak - low), (high - frequencies) / (high - peak))
    return (np.maximum(triangles, 0) * 2 / (high - low)).T.astype(np.float32)


FILTERS = filters()
WINDOW = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME)).astype(np.float32)


def mel_frames(samples):
    """[frames, bands]: one frame around every 160th sample; beyond the ends is silence."""
    padded = np.pad(samples, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    parts = [mel(frames[at : at + MOST_FRAMES]) for at in range(0, len(frames), MOST_FRAMES)]
    return np.concatenate(parts)


def mel(frames):
    return (np.abs(np.fft.rfft(frames * WINDOW)) ** 2).astype(np.float32) @ FILTERS
