"""Starts Ray Serve on a port of this machine alone, with applications of its own route each."""

import os
import signal
import sys

import ray
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Ready:
    async def __call__(self, request):
        return "ready"


def serve_all(apps, **http_options):
    """Serves deployments by route. `/ready` answers once all of them do."""
    ray.init(
        num_cpus=1,
        include_dashboard=False,
        object_store_memory=100 * 2**20,
        log_to_driver=False,
        _node_ip_address="127.0.0.1",
        _temp_dir=os.getcwd(),
    )
    serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1]), **http_options})
    for name, app in (*apps.items(), ("ready", Ready.bind())):
        serve.run(app, name=name, route_prefix=f"/{name}")
    while True:
        signal.pause()
