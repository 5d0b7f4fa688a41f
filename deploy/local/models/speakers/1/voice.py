"""A voice as a vector: the encoder of the package Resemblyzer (GE2E, three LSTM layers of 256 cells), with numpy alone."""
import importlib.util
import pathlib

import numpy as np
from spectrum import BANDS
from tensors_file import read_tensors

WEIGHTS = "pretrained.pt"
LAYERS = 3
# What the encoder was trained on: 1.6 s. A shorter piece is repeated.
WINDOW = 160
# Windows of one pass. What the layers hold between them takes 650 kB a window.
BATCH = 64


def package_folder(name):
    """Where a package lies, without importing it: its own imports are not installed."""
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


class VoiceEncoder:
    def __init__(self):
        tensors = read_tensors(package_folder("resemblyzer") / WEIGHTS, "model_state")
        of = lambda layer, name: tensors[f"lstm.{name}_l{layer}"]  # noqa: E731
        self.layers = [
            (
                np.ascontiguousarray(of(layer, "weight_ih").T),
                np.ascontiguousarray(of(layer, "weight_hh").T),
                of(layer, "bias_ih") + of(layer, "bias_hh"),
            )
            for layer in range(LAYERS)
        ]
        self.linear, self.bias = tensors["linear.weight"].T, tensors["linear.bias"]

    def vectors(self, windows):
        """Of length 1, without negative numbers: [n, frames, bands] to [n, 256]."""
        steps = np.ascontiguousarray(windows.transpose(1, 0, 2))
        for layer in self.layers:
            steps = lstm(steps, *layer)
        vectors = np.maximum(steps[-1] @ self.linear + self.bias, 0)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def window_of(frames, start):
    """The frames of a window; a piece of speech that is shorter is repeated."""
    if len(frames) == 0:
        return np.zeros((WINDOW, BANDS), np.float32)
    return frames[(start + np.arange(WINDOW)) % len(frames)]


def lstm(steps, into, back, bias):
    """One layer, as PyTorch has it: the gates are input, forget, cell, output. [steps, n, width] to [steps, n, cells]."""
    count, cells = steps.shape[1], len(back)
    driven = steps @ into + bias
    hidden, cell = np.zeros((2, count, cells), np.float32)
    outputs = np.empty((len(steps), count, cells), np.float32)
    for step, gates in enumerate(driven):
        gates += hidden @ back
        enter, keep, leave = (sigmoid(gates[:, at * cells : (at + 1) * cells]) for at in (0, 1, 3))
        cell = keep * cell + enter * np.tanh(gates[:, 2 * cells : 3 * cells])
        hidden = leave * np.tanh(cell)
        outputs[step] = hidden
    return outputs


def sigmoid(values):
    # By tanh, which does not overflow.
    return 0.5 * np.tanh(0.5 * values) + 0.5
