"""A model that answers texts, numbers, audio and conversations, for the contract tests."""

import json
import time

from sagemaker_inference.errors import GenericInferenceToolkitError


def model_fn(model_dir):
    return None


def input_fn(body, content_type):
    return json.loads(body) if content_type == "application/json" else bytes(body)


def chunk(text, finish=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return f"data: {json.dumps({'choices': [choice]})}\n\n"


def predict_fn(given, model):
    if isinstance(given, bytes):
        return {"text": f"{given[:4].decode()} heard"}
    if "messages" in given:
        return chunk("Paris,") + chunk(" of course") + chunk("", "length")
    if "instances" in given:
        return {"predictions": given["instances"]}
    inputs = given["inputs"]
    if isinstance(inputs, list):
        return [[3, 4] for _ in inputs]
    if inputs == "slow":
        time.sleep(3)
    if inputs == "bad":
        raise GenericInferenceToolkitError(400, "the text must not be bad")
    if inputs == "broken":
        raise RuntimeError("the weights are gone")
    return [{"label": "yes", "score": 0.75}, {"label": "no", "score": 0.25}]


def output_fn(prediction, accept):
    if isinstance(prediction, str):
        return prediction, "text/event-stream"
    return json.dumps(prediction), "application/json"
