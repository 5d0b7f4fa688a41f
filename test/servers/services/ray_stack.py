"""Ray Serve with the models of the embedded stack, an application for each."""

from ray import serve
from ray_apps import serve_all
from stack_models import MiniLm, Moderation, Rerank


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Embeds:
    def __init__(self):
        self.model = MiniLm()

    async def __call__(self, request):
        return self.model.vectors((await request.json())["texts"])


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Ranks:
    def __init__(self):
        self.model = Rerank()

    async def __call__(self, request):
        given = await request.json()
        return self.model.scores(given["query"], given["texts"])


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Moderates:
    def __init__(self):
        self.model = Moderation()

    async def __call__(self, request):
        return self.model.by_label((await request.json())["text"])


if __name__ == "__main__":
    serve_all({"minilm": Embeds.bind(), "rerank": Ranks.bind(), "moderation": Moderates.bind()})
