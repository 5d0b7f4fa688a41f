"""A KServe model server whose one model answers texts, numbers and pairs, for the contract tests."""

import asyncio
import sys

from kserve import Model, ModelServer
from kserve.errors import InvalidInput


class Anything(Model):
    def __init__(self):
        super().__init__("model")
        self.ready = True

    async def predict(self, payload, headers=None):
        instances = payload["instances"]
        first = instances[0]
        if first == "slow":
            await asyncio.sleep(5)
        if first == "bad":
            raise InvalidInput("the text must not be bad")
        if first == "broken":
            raise RuntimeError("the weights are gone")
        if isinstance(first, str):
            return {"predictions": [[3, 4] for _ in instances]}
        if isinstance(first, dict):
            return {"predictions": [i / 10 for i, _ in enumerate(instances)]}
        return {"predictions": instances}


if __name__ == "__main__":
    port = int(sys.argv[1])
    sys.argv = sys.argv[:1]
    # The server has no option for its address: it listens on all of them.
    ModelServer(http_port=port, enable_grpc=False).start([Anything()])
