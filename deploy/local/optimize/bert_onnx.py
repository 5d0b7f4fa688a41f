"""A BERT encoder as an ONNX graph, made from weights in the safetensors format, without PyTorch.

The graph has the inputs input_ids, attention_mask and token_type_ids, all INT64 [batch, tokens], and the output last_hidden_state,
FLOAT [batch, tokens, hidden].
"""
import json
import math
import struct

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
# The oldest format of files that has this opset: every ONNX Runtime since 1.13 reads it.
IR_VERSION = 8
# Added to the scores of padding, as BERT does it.
MASKED = -10_000.0


def tensors_of(data):
    """The tensors of a safetensors file by name: a header of JSON, then the data."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    start = 8 + length
    found = {}
    for name, entry in header.items():
        if entry["dtype"] != "F32":
            continue  # positions, which the graph counts by itself
        first, last = entry["data_offsets"]
        found[name] = np.frombuffer(data[start + first : start + last], np.float32).reshape(entry["shape"])
    return found


class Graph:
    def __init__(self):
        self.nodes = []
        self.initializers = []
        self.count = 0

    def constant(self, value, name=None):
        self.count += 1
        name = name or f"constant_{self.count}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator, *inputs, **attributes):
        self.count += 1
        output = f"{operator}_{self.count}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output


def bert(config, weights):
    """The model of `config` (a config.json of BERT) with these tensors."""
    graph = Graph()
    heads = config["num_attention_heads"]
    hidden = config["hidden_size"]
    width = hidden // heads
    epsilon = float(config["layer_norm_eps"])
    if config["hidden_act"] != "gelu":
        raise ValueError(f"the activation {config['hidden_act']} is not known here: only gelu")

    def norm(value, prefix):
        scale = graph.constant(weights[f"{prefix}.weight"], f"{prefix}.weight")
        bias = graph.constant(weights[f"{prefix}.bias"], f"{prefix}.bias")
        return graph.add("LayerNormalization", value, scale, bias, axis=-1, epsilon=epsilon)

    def dense(value, prefix):
        weight = graph.constant(weights[f"{prefix}.weight"].T, f"{prefix}.weight")
        bias = graph.constant(weights[f"{prefix}.bias"], f"{prefix}.bias")
        return graph.add("Add", graph.add("MatMul", value, weight), bias)

    def gathered(name, ids):
        return graph.add("Gather", graph.constant(weights[name], name), ids, axis=0)

    shape = graph.add("Shape", "input_ids")
    tokens = graph.add("Slice", shape, graph.constant(np.array([1])), graph.constant(np.array([2])))
    positions = graph.add(
        "Slice",
        graph.constant(weights["embeddings.position_embeddings.weight"], "embeddings.position_embeddings.weight"),
        graph.constant(np.array([0])),
        tokens,
        graph.constant(np.array([0])),
    )
    words = gathered("embeddings.word_embeddings.weight", "input_ids")
    types = gathered("embeddings.token_type_embeddings.weight", "token_type_ids")
    state = norm(graph.add("Add", graph.add("Add", words, types), positions), "embeddings.LayerNorm")

    mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.add("Unsqueeze", mask, graph.constant(np.array([1, 2])))
    mask = graph.add("Sub", graph.constant(np.array(1, np.float32)), mask)
    mask = graph.add("Mul", mask, graph.constant(np.array(MASKED, np.float32)))

    split = graph.constant(np.array([0, 0, heads, width]))
    joined = graph.constant(np.array([0, 0, hidden]))
    scale = graph.constant(np.array(math.sqrt(width), np.float32))
    half, one, root = (graph.constant(np.array(value, np.float32)) for value in (0.5, 1.0, math.sqrt(2.0)))
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}"

        def head(name, order):
            value = dense(state, f"{prefix}.attention.self.{name}")
            return graph.add("Transpose", graph.add("Reshape", value, split), perm=order)

        query, key, value = head("query", [0, 2, 1, 3]), head("key", [0, 2, 3, 1]), head("value", [0, 2, 1, 3])
        scores = graph.add("Div", graph.add("MatMul", query, key), scale)
        attention = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
        context = graph.add("Transpose", graph.add("MatMul", attention, value), perm=[0, 2, 1, 3])
        context = dense(graph.add("Reshape", context, joined), f"{prefix}.attention.output.dense")
        state = norm(graph.add("Add", context, state), f"{prefix}.attention.output.LayerNorm")

        inner = dense(state, f"{prefix}.intermediate.dense")
        gelu = graph.add("Add", graph.add("Erf", graph.add("Div", inner, root)), one)
        inner = graph.add("Mul", graph.add("Mul", inner, gelu), half)
        inner = dense(inner, f"{prefix}.output.dense")
        state = norm(graph.add("Add", inner, state), f"{prefix}.output.LayerNorm")
    graph.nodes.append(helper.make_node("Identity", [state], ["last_hidden_state"]))

    whole = helper.make_graph(
        graph.nodes,
        "bert",
        [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        ],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", hidden])],
        graph.initializers,
    )
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="millrace")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
