"""A handler of TorchServe whose answer arrives in parts, for the contract tests."""

import time

from ts.handler_utils.utils import send_intermediate_predict_response

PARTS = ["Paris,", " of"]


def handle(batch, context):
    # TorchServe calls it once without a batch, to load the model.
    if batch is None:
        return None
    for part in PARTS:
        send_intermediate_predict_response([part] * len(batch), context.request_ids, "Intermediate Prediction success", 200, context)
        time.sleep(0.05)
        if asked(batch[0]) == "cut":
            raise RuntimeError("the weights are gone")
    return [" course"] * len(batch)


def asked(item):
    given = item.get("body", item.get("data"))
    return given if isinstance(given, str) else bytes(given).decode("utf-8", "replace")
