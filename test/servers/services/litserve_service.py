"""A LitServe server with a route that answers and one that streams, for the contract tests."""

import sys
import time

import litserve as ls
from fastapi import HTTPException


def vector(text):
    """Of "at 7" one that tells the number."""
    return [int(text[3:]), 1] if text.startswith("at ") else [3, 4]


class Anything(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        given = request["input"]
        if given == "bad" or (isinstance(given, list) and "bad" in given):
            raise HTTPException(status_code=422, detail="the text must not be bad")
        return given

    def predict(self, x):
        if x == "slow":
            time.sleep(3)
        if isinstance(x, str):
            return {"yes": 0.75, "no": 0.25}
        if isinstance(x[0], str):
            return [vector(text) for text in x]
        return x

    def encode_response(self, output):
        return {"output": output}


class Streams(ls.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request["prompt"]

    def predict(self, prompt):
        for word in ["Paris,", " of", " course"]:
            yield word
            time.sleep(0.05)

    def encode_response(self, output):
        yield from output


if __name__ == "__main__":
    apis = [Anything(api_path="/predict"), Streams(api_path="/chat", stream=True)]
    ls.LitServer(apis, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
