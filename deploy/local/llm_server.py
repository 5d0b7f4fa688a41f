"""The embedded LLM server: llama.cpp's own HTTP server (OpenAI API, continuous batching) out of the package xllamacpp.

usage: python llm_server.py --model FILE.gguf --port N [--alias NAME] [--context TOKENS] [--threads N] [--template FILE.jinja]
                            [--draft-tokens N]

It binds loopback only and needs no key. Answers are greedy (temperature 0, fixed seed) unless a request says
otherwise, so that a demo and a test see the same answer twice. `/health` is 503 while the weights load,
`/metrics` is Prometheus text.
"""
import argparse
import os
import signal
import threading

import xllamacpp

# Requests decoded at once; each has its own share of the context.
PARALLEL = 4
# llama.cpp keeps prompts of ended requests in RAM for reuse: its default of 8 GiB is not for a laptop.
PROMPT_CACHE_MIB = 256
# Tokens that must have occurred before in this order for those behind them to be drafted.
NGRAM = 4


def parameters(args):
    p = xllamacpp.CommonParams()
    p.model.path = args.model
    p.model_alias = {args.alias}
    p.hostnames = ["127.0.0.1"]
    p.port = args.port
    p.n_parallel = PARALLEL
    p.n_ctx = args.context * PARALLEL
    p.cache_ram_mib = PROMPT_CACHE_MIB
    p.cpuparams.n_threads = args.threads or max(1, min(4, os.cpu_count() or 1))
    p.sampling.temp = 0.0
    p.sampling.seed = 0
    p.use_jinja = True
    if args.template:
        with open(args.template, encoding="utf-8") as file:
            p.chat_template = file.read()
    if args.draft_tokens:
        p.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
        p.speculative.ngram_simple.size_n = NGRAM
        p.speculative.ngram_simple.size_m = args.draft_tokens
    p.endpoint_metrics = True
    p.endpoint_slots = False  # it shows other callers' prompts
    p.offline = True
    p.ui = False
    return p


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--alias", default="assistant")
    parser.add_argument("--context", type=int, default=4096, help="tokens of context for one request")
    parser.add_argument("--threads", type=int, help="threads that compute; default: the processors, at most 4")
    parser.add_argument("--template", help="chat template in place of the one in the weights")
    parser.add_argument("--draft-tokens", type=int, help="tokens drafted by n-gram look-up; default: none")
    args = parser.parse_args()

    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    server = xllamacpp.Server(parameters(args))
    print("listening on", server.listening_address, flush=True)
    stop.wait()
    # The server's own threads may be in the middle of a decode; nothing here has state worth saving.
    os._exit(0)


if __name__ == "__main__":
    main()
