"""A LitServe server with the models of the embedded stack: a route for each."""

import sys

import litserve as ls
from stack_models import MiniLm, Moderation, Rerank


class Served(ls.LitAPI):
    def decode_request(self, request):
        return request["input"]

    def encode_response(self, output):
        return {"output": output}


class Embeds(Served):
    def setup(self, device):
        self.model = MiniLm()

    def predict(self, texts):
        return self.model.vectors(texts)


class Ranks(Served):
    def setup(self, device):
        self.model = Rerank()

    def predict(self, given):
        return self.model.scores(given["query"], given["texts"])


class Moderates(Served):
    def setup(self, device):
        self.model = Moderation()

    def predict(self, text):
        return self.model.by_label(text)


if __name__ == "__main__":
    apis = [Embeds(api_path="/minilm"), Ranks(api_path="/rerank"), Moderates(api_path="/moderation")]
    ls.LitServer(apis, accelerator="cpu", workers_per_device=1).run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
