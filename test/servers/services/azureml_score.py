"""A scoring script of Azure Machine Learning's inference server that answers with fixed outputs, for the contract tests."""

import json
import time

from azureml_inference_server_http.api.aml_response import AMLResponse
from flask import Response

WORDS = ["Paris,", " of", " course"]


def init():
    pass


def run(data, request_headers):
    given = json.loads(data)
    if "messages" in given:
        return Response(completion(), mimetype="text/event-stream")
    if "texts" in given:
        return [[3, 4] for _ in given["texts"]]
    if "data" in given:
        return given["data"]
    text = given["text"]
    if text == "slow":
        time.sleep(3)
    if text == "endless":
        time.sleep(60)
    if text == "bad":
        return AMLResponse({"message": "the text must not be bad"}, 400, json_str=True)
    if text == "full":
        return AMLResponse({"message": "no room for another call"}, 429, json_str=True)
    if text == "away":
        return AMLResponse("the feature store is away", 503)
    if text == "broken":
        raise RuntimeError("the weights are gone")
    if text == "traced":
        return {"yes": int(request_headers.get("Traceparent", "").startswith("00-")), "no": 0}
    return {"yes": 0.75, "no": 0.25}


def completion():
    """Chunks of a chat completion, as containers of language models send them."""
    for i, word in enumerate(WORDS):
        finish = "stop" if i == len(WORDS) - 1 else None
        choice = {"index": 0, "delta": {"content": word}, "finish_reason": finish}
        yield f"data: {json.dumps({'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
        time.sleep(0.05)
    yield "data: [DONE]\n\n"
