"""NVIDIA Dynamo's frontend and two of its mocked engines, with a model whose weights do not exist: their tokens are random."""

import json
import os
import subprocess
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

FOLDER = "model"
CONTEXT = 4096
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"]
# The engines choose tokens by number, whatever the vocabulary: each number has to be a word.
VOCABULARY = 16384
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write(name, value):
    with open(os.path.join(FOLDER, name), "w") as file:
        json.dump(value, file)


def make_model():
    """What a frontend reads of a model: its tokenizer, its configuration and its chat template."""
    os.makedirs(FOLDER)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    named = [*SPECIAL, *alphabet]
    tokens = [*named, *(f"\u0120word{i}" for i in range(VOCABULARY - len(named)))]
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    tokenizer.save(os.path.join(FOLDER, "tokenizer.json"))
    ends = {"bos_token_id": 0, "eos_token_id": 1}
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 4}
    architecture = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2}
    size = {"vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT}
    write("config.json", {**architecture, **shape, **size, **ends, "torch_dtype": "float32", "rms_norm_eps": 1e-5})
    write("generation_config.json", ends)
    tokens = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    write("tokenizer_config.json", {**tokens, "model_max_length": CONTEXT, "chat_template": TEMPLATE})


if __name__ == "__main__":
    make_model()
    mocker = [sys.executable, "-m", "dynamo.mocker", "--model-path", FOLDER, "--model-name", "assistant"]
    for _ in range(2):
        subprocess.Popen(mocker)
    frontend = ["-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", sys.argv[1], "--router-mode", "kv"]
    os.execv(sys.executable, [sys.executable, *frontend])
