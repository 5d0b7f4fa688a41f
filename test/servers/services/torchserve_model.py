"""A handler of TorchServe that answers with fixed outputs, for the contract tests. REST calls the input `body`, gRPC `data`."""

import json
import os
import time

from ts.utils.util import PredictionException


def handle(batch, context):
    # TorchServe calls it once without a batch, to load the model.
    if batch is None:
        return None
    return [answer(item.get("body", item.get("data")), context, i) for i, item in enumerate(batch)]


def answer(given, context, i):
    if isinstance(given, (list, dict)):
        return given
    if bytes(given if isinstance(given, (bytes, bytearray)) else b"")[:3] == b"\x01\x02\x03":
        return [{"label": "cat", "score": 0.9}]
    text = given if isinstance(given, str) else bytes(given).decode("utf-8", "replace")
    if text.startswith("RIFF"):
        return f" RIFF of {len(given)} "
    if text.startswith("["):
        return json.loads(text)
    if text == "slow":
        time.sleep(3)
    if text == "bad":
        raise PredictionException("the text must not be bad", 400)
    if text == "full":
        raise PredictionException("too many requests", 429)
    if text == "broken":
        raise RuntimeError("the weights are gone")
    if text == "memory":
        raise MemoryError("no room")
    if text == "die":
        os._exit(1)
    if text == "no list":
        return {"not": "serializable", "set": object()}
    if text == "embed":
        return [3, 4]
    if text == "traced":
        trace = context.get_request_header(i, "traceparent") or ""
        return {"yes": int(trace.startswith("00-")), "no": 0}
    return {"yes": 0.75, "no": 0.25}
