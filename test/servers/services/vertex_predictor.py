"""A custom prediction routine of Vertex AI that answers texts and numbers, for the contract tests."""

import time

from fastapi import HTTPException
from google.cloud.aiplatform.prediction.predictor import Predictor


class Anything(Predictor):
    def load(self, artifacts_uri):
        pass

    def predict(self, instances):
        """What it is given is the whole body."""
        given = instances["instances"]
        first = given[0]
        if first == "slow":
            time.sleep(3)
        if first == "bad":
            raise HTTPException(status_code=400, detail="the text must not be bad")
        if first == "broken":
            raise RuntimeError("the weights are gone")
        if first == "embed":
            return {"predictions": [[3, 4] for _ in given]}
        if isinstance(first, str):
            return {"predictions": [{"yes": 0.75, "no": 0.25} for _ in given]}
        return {"predictions": given}
