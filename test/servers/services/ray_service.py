"""Ray Serve with an application that answers texts, numbers and tensors, one with room for a call and another that waits, and one
of FastAPI, for the contract tests."""

import asyncio
import os

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from ray import serve
from ray_apps import serve_all
from starlette.responses import JSONResponse

# Ray Serve ends a call that takes longer.
TIMEOUT_S = 15


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Anything:
    async def __call__(self, request):
        given = await request.json()
        text = given.get("text")
        if text == "slow":
            await asyncio.sleep(5)
        if text == "endless":
            await asyncio.sleep(3_600)
        if text == "broken":
            raise RuntimeError("the weights are gone")
        if text == "die":
            os._exit(1)
        if text == "bad":
            return JSONResponse({"detail": "the text must not be bad"}, status_code=422)
        if text == "multiplexed":
            return {"yes": 1 if serve.get_multiplexed_model_id() == "m7" else 0, "no": 0}
        if isinstance(text, str):
            return {"yes": 0.75, "no": 0.25}
        if text is not None:
            return JSONResponse({"detail": "the text must be a text"}, status_code=422)
        if "texts" in given:
            return [[3, 4] for _ in given["texts"]]
        return given


api = FastAPI()


class Asked(BaseModel):
    text: str


@serve.deployment(ray_actor_options={"num_cpus": 0})
@serve.ingress(api)
class Api:
    @api.post("/classify")
    async def classify(self, asked: Asked):
        if asked.text == "broken":
            raise RuntimeError("the weights are gone")
        if asked.text == "full":
            raise HTTPException(429, "too many requests")
        if asked.text == "away":
            raise HTTPException(503, "the model is loading")
        return {"yes": 0.75, "no": 0.25}


full = Anything.options(max_ongoing_requests=1, max_queued_requests=1)

if __name__ == "__main__":
    apps = {"anything": Anything.bind(), "full": full.bind(), "mortal": Anything.bind(), "api": Api.bind()}
    serve_all(apps, request_timeout_s=TIMEOUT_S)
