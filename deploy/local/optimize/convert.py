"""Makes variants of a model's weights for `millrace optimize`. It runs in a venv of its own and serves nothing.

usage: python convert.py    the request is JSON on the standard input: {"op": …, "from": FILE, "to": FILE, …}

  bert          ONNX in float32 out of the safetensors of a BERT encoder, in a zip
  onnx-dynamic  int8 weights; activations are quantised while it runs ("perChannel": a scale for each column)
  onnx-static   int8 weights and activations, with ranges taken from "texts"
  gguf-types    says of which types the tensors of a GGUF file are, as JSON on the standard output
  gguf          the same model with another type of tensors ("type": "Q8_0", …)
"""
import json
import pathlib
import sys
import zipfile


def bert(request):
    import onnx
    from bert_onnx import bert as graph_of
    from bert_onnx import tensors_of

    with zipfile.ZipFile(request["from"]) as archive:
        config = json.loads(archive.read("config.json"))
        weights = tensors_of(archive.read("model.safetensors"))
    onnx.save(graph_of(config, weights), request["to"])


def prepared(request):
    """The graph with its shapes, as the quantiser wants it; ONNX Runtime optimises it again when it loads it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    file = f"{request['to']}.prepared"
    # Optimised operators of ONNX Runtime hide their weights from the quantiser.
    quant_pre_process(request["from"], file, skip_optimization=True, skip_symbolic_shape=True)
    return file


def onnx_dynamic(request):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    file = prepared(request)
    quantize_dynamic(file, request["to"], weight_type=QuantType.QInt8, per_channel=request["perChannel"])
    pathlib.Path(file).unlink()


def onnx_static(request):
    import numpy as np
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(request["tokenizer"])
    tokenizer.enable_truncation(request["maxTokens"])
    tokenizer.no_padding()

    class Texts(CalibrationDataReader):
        def __init__(self):
            self.rest = iter(request["texts"])

        def get_next(self):
            text = next(self.rest, None)
            if text is None:
                return None
            ids = np.array([tokenizer.encode(text).ids], np.int64)
            return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}

    file = prepared(request)
    quantize_static(
        file,
        request["to"],
        Texts(),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["MatMul"],
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        per_channel=True,
        # Products of two activations, those of attention, stay in float: they gain little and lose most.
        extra_options={"MatMulConstBOnly": True},
    )
    pathlib.Path(file).unlink()


def gguf_types(request):
    from gguf import GGUFReader

    counts = {}
    rows = []
    for tensor in GGUFReader(request["from"]).tensors:
        if len(tensor.shape) < 2:
            continue
        counts[tensor.tensor_type.name] = counts.get(tensor.tensor_type.name, 0) + int(tensor.n_elements)
        rows.append(int(tensor.shape[0]))
    # Types of llama.cpp with K in their name have blocks of 256.
    print(json.dumps({"elements": counts, "rowsOf256": all(row % 256 == 0 for row in rows)}))


def gguf(request):
    import gguf
    import numpy as np

    wanted = gguf.GGMLQuantizationType[request["type"]]
    reader = gguf.GGUFReader(request["from"])
    architecture = reader.get_field("general.architecture").contents()
    writer = gguf.GGUFWriter(request["to"], architecture)
    for field in reader.fields.values():
        # The writer adds these by itself.
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        if field.name == "general.file_type":
            writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{request['type']}"])
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=inner)
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        # Vectors, norms and biases, stay in float32, as llama.cpp leaves them.
        if values.ndim < 2:
            writer.add_tensor(tensor.name, values)
        elif wanted == gguf.GGMLQuantizationType.F16:
            writer.add_tensor(tensor.name, values.astype(np.float16))
        else:
            writer.add_tensor(tensor.name, gguf.quants.quantize(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


OPERATIONS = {
    "bert": bert,
    "onnx-dynamic": onnx_dynamic,
    "onnx-static": onnx_static,
    "gguf-types": gguf_types,
    "gguf": gguf,
}


def main():
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    request = json.loads(sys.stdin.buffer.read())
    OPERATIONS[request["op"]](request)


if __name__ == "__main__":
    main()
