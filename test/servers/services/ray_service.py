"""Ray Serve with an application that answers texts, numbers and tensors, and one with room for a call and another that waits,
for the contract tests."""

import asyncio

from ray import serve
from ray_apps import serve_all
from starlette.responses import JSONResponse


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Anything:
    async def __call__(self, request):
        given = await request.json()
        text = given.get("text")
        if text == "slow":
            await asyncio.sleep(5)
        if text == "broken":
            raise RuntimeError("the weights are gone")
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


full = Anything.options(max_ongoing_requests=1, max_queued_requests=1)

if __name__ == "__main__":
    serve_all({"anything": Anything.bind(), "full": full.bind()})
