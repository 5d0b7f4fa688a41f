"""Reads the tensors of a file that an old PyTorch (before 1.6) has saved, without PyTorch.

The file has five pickles: a magic number, a version, sizes of types, the object, and the keys of its storages; then the numbers of
each storage. A pickle may call whatever it names; this reader knows three names, and none of them does more than hold values.
"""
import collections
import pickle
import struct

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
FLOAT = "torch.FloatStorage"


class Tensor:
    """A view of a storage, whose numbers come later in the file."""

    def __init__(self, storage, offset, shape, strides, *_):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self, storages):
        numbers = storages[self.storage]
        last = self.offset + sum((size - 1) * stride for size, stride in zip(self.shape, self.strides))
        if min(self.offset, last, *self.strides) < 0 or last >= len(numbers):
            raise ValueError("a tensor reaches beyond its storage")
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, [4 * stride for stride in self.strides])
        return np.ascontiguousarray(view)


KNOWN = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): Tensor,
    ("torch", "FloatStorage"): FLOAT,
}


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in KNOWN:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which this reader does not know")
        return KNOWN[module, name]

    def persistent_load(self, saved):
        """A storage: its key."""
        what, kind, key, _device, _count, view = saved
        if (what, kind, view) != ("storage", FLOAT, None):
            raise pickle.UnpicklingError("the file has another storage than one of 32-bit numbers")
        return key


def read_tensors(path, entry):
    """The tensors of one entry of the saved dictionary, by name."""
    with open(path, "rb") as file:
        load = lambda: Unpickler(file).load()  # noqa: E731
        if load() != MAGIC or load() != VERSION:
            raise ValueError(f"{path} is no file of tensors of the old format")
        load()
        saved = load()[entry]
        storages = {key: numbers(file) for key in load()}
    return {name: tensor.array(storages) for name, tensor in saved.items() if isinstance(tensor, Tensor)}


def numbers(file):
    (count,) = struct.unpack("<q", file.read(8))
    return np.frombuffer(file.read(4 * count), "<f4", count)
