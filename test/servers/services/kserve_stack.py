"""A KServe model server with the models of the embedded stack, for its v1 protocol: a prediction for each instance."""

import asyncio
import sys

from kserve import Model, ModelServer
from stack_models import MiniLm, Moderation, Rerank


class Served(Model):
    def __init__(self, name, predictions):
        super().__init__(name)
        self.predictions = predictions
        self.ready = True

    async def predict(self, payload, headers=None):
        return {"predictions": await asyncio.to_thread(self.predictions, payload["instances"])}


if __name__ == "__main__":
    port = int(sys.argv[1])
    sys.argv = sys.argv[:1]
    models = [
        Served("minilm", MiniLm().vectors),
        Served("rerank", Rerank().of_pairs),
        Served("moderation", Moderation().scores),
    ]
    # The server has no option for its address: it listens on all of them.
    ModelServer(http_port=port, enable_grpc=False).start(models)
