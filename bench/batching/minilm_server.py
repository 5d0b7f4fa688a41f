"""MiniLM behind LitServe without its batching: one request at a time, whose texts go through the model together.

  python minilm_server.py PORT FOLDER    FOLDER has encoder.py
"""

import json
import sys

import litserve as ls
from fastapi import Response

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]


class MiniLM(ls.LitAPI):
    def setup(self, device):
        sys.path.insert(0, FOLDER)
        from encoder import Encoder

        self.encoder = Encoder()

    def decode_request(self, request):
        return request["input"]

    def predict(self, texts):
        return self.encoder.embed(self.encoder.tokens(texts))

    def encode_response(self, vectors):
        # FastAPI's own encoder takes longer for a vector than the model.
        return Response(json.dumps({"output": vectors.tolist()}), media_type="application/json")


if __name__ == "__main__":
    ls.LitServer(MiniLM(), accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=PORT, generate_client_file=False, log_level="warning"
    )
