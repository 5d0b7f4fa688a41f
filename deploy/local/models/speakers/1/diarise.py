"""Who speaks when: pieces of speech, voices of windows of them, clusters, and who is heard in each moment."""
from dataclasses import dataclass

import numpy as np
from clusters import voices
from spectrum import SAMPLE_RATE, mel_frames
from speech import SpeechFinder
from voice import BATCH, WINDOW, VoiceEncoder, window_of

# Frames between two windows, and of a moment that belongs to one speaker: 0.4 s.
STEP = 40
# A shorter piece, a "yes", says little about a voice: it is given to one that is known from longer pieces. In frames, a second.
CLEAR = 100
# Mean distance (1 - cosine) up to which two clusters are one voice. Of recordings of six people, and of the test's two voices, one voice was
# up to 0.37 apart, two were from 0.43.
MOST_APART = 0.4
LEAST_SECONDS = 1.5
MOST_SPEAKERS = 8
# Nobody speaks for less: a shorter turn is the neighbour's, in moments.
LEAST_TURN = 2
# Turns of one speaker with a shorter pause between them are one, in seconds.
LEAST_PAUSE = 0.5
# Quiet speech is made as loud as what the encoder was trained on; loud speech stays: -30 dBFS.
LEAST_LOUD = 10 ** (-30 / 20)


class Stopped(Exception):
    """Nobody waits for the answer."""


@dataclass
class Turn:
    """Start and end in seconds; speakers are numbered in the order in which they begin."""

    start: float
    end: float
    speaker: int
    score: float


@dataclass
class Piece:
    """Frames of a piece of speech, and the windows in it by their first frames."""

    start: int
    end: int
    frames: np.ndarray

    def starts(self):
        last = len(self.frames) - WINDOW
        return [0] if last <= 0 else [*range(0, last, STEP), last]


class Diariser:
    def __init__(self):
        self.finder, self.encoder = SpeechFinder(), VoiceEncoder()

    def warm_up(self):
        """One pass of each model, through noise that lasts a second."""
        noise = np.random.default_rng(0).normal(0, 0.01, SAMPLE_RATE).astype(np.float32)
        self.finder.pieces(noise, lambda: None)
        self.encoder.vectors(window_of(mel_frames(noise), 0)[None])

    def turns(self, samples, is_cancelled):
        """`is_cancelled` is asked about once a second: half an hour of speech takes one core half a minute."""

        def checked():
            if is_cancelled():
                raise Stopped

        pieces = [piece_of(samples, start, end) for start, end in self.finder.pieces(samples, checked)]
        if not pieces:
            return []
        vectors = self.vectors(pieces, checked)
        seconds = np.concatenate([share(piece) for piece in pieces])
        clear = np.concatenate([np.full(len(piece.starts()), len(piece.frames) >= CLEAR) for piece in pieces])
        if not clear.any():
            clear[:] = True
        checked()
        middles = voices(vectors[clear], seconds[clear], MOST_APART, LEAST_SECONDS, MOST_SPEAKERS)
        turns, at = [], 0
        for piece in pieces:
            count = len(piece.starts())
            turns += turns_of(piece, vectors[at : at + count] @ middles.T)
            at += count
        return renumbered(joined(turns))

    def vectors(self, pieces, checked):
        windows = [(piece, start) for piece in pieces for start in piece.starts()]
        parts = []
        for at in range(0, len(windows), BATCH):
            checked()
            batch = np.stack([window_of(piece.frames, start) for piece, start in windows[at : at + BATCH]])
            parts.append(self.encoder.vectors(batch))
        return np.concatenate(parts)


def piece_of(samples, start, end):
    part = samples[start:end]
    loud = float(np.sqrt(np.dot(part, part) / len(part)))
    gain = LEAST_LOUD / max(loud, 1e-6)
    return Piece(start, end, mel_frames(part * np.float32(gain) if gain > 1 else part))


def share(piece):
    """Seconds of the piece that each of its windows stands for."""
    count = len(piece.starts())
    return np.full(count, (piece.end - piece.start) / SAMPLE_RATE / count)


def turns_of(piece, likeness):
    """Who speaks in a piece, by how like each window is to each voice: [windows, voices]."""
    count = max(1, round(len(piece.frames) / STEP))
    middles = (np.array(piece.starts()) + min(WINDOW, len(piece.frames)) / 2) / STEP - 0.5
    # Before the first middle of a window, and behind the last, are those windows.
    moments = np.clip(np.arange(count), middles[0], middles[-1])
    heard, all_weights = np.zeros((count, likeness.shape[1])), np.zeros((count, 1))
    for middle, row in zip(middles, likeness):
        # Of a window its middle counts most: at its ends another may speak.
        weights = np.maximum(0.0, 1 - np.abs(moments - middle) * STEP / (WINDOW / 2))[:, None]
        heard += weights * row
        all_weights += weights
    heard /= all_weights
    seconds = (piece.end - piece.start) / SAMPLE_RATE / count
    begin = piece.start / SAMPLE_RATE
    return [
        Turn(begin + first * seconds, begin + end * seconds, speaker, float(heard[first:end, speaker].mean()))
        for first, end, speaker in runs(heard)
    ]


def runs(heard):
    """Moments in a row with the same speaker: first, end, speaker. One that is too short is given to a neighbour."""
    labels = heard.argmax(1)
    while True:
        found = stretches(labels)
        at = min(range(len(found)), key=lambda i: found[i][1] - found[i][0])
        first, end, _ = found[at]
        if len(found) == 1 or end - first >= LEAST_TURN:
            return found
        beside = [found[i][2] for i in (at - 1, at + 1) if 0 <= i < len(found)]
        labels[first:end] = max(beside, key=lambda speaker: heard[first:end, speaker].sum())


def stretches(labels):
    cuts = [0, *(np.nonzero(np.diff(labels))[0] + 1).tolist(), len(labels)]
    return [(first, end, int(labels[first])) for first, end in zip(cuts, cuts[1:])]


def joined(turns):
    """Turns of one speaker with hardly a pause between them are one."""
    found = []
    for turn in turns:
        last = found[-1] if found else None
        if last and last.speaker == turn.speaker and turn.start - last.end < LEAST_PAUSE:
            long, more = last.end - last.start, turn.end - turn.start
            last.score = (last.score * long + turn.score * more) / (long + more)
            last.end = turn.end
        else:
            found.append(turn)
    return found


def renumbered(turns):
    numbers = {}
    for turn in turns:
        turn.speaker = numbers.setdefault(turn.speaker, len(numbers))
        turn.score = min(1.0, max(0.0, turn.score))
    return turns
