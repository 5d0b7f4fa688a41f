"""Stages in Python, and a client, for Millrace.

A stage is a function with pydantic types; a worker serves it on a Temporal task queue, and TypeScript pipelines use it
by way of `millrace types`:

    import millrace
    from pydantic import BaseModel

    class Text(BaseModel):
        text: str

    @millrace.stage
    def shout(input: Text) -> Text:
        return Text(text=input.text.upper())

`python -m millrace worker MODULE` serves the stages of a module, `python -m millrace manifest MODULE` describes them.
"""

from ._runs import Event, MillraceApiError, Run
from .artifact import Artifact, Audio, File, Image, MediaTypes, Video
from .artifacts import Artifacts
from .client import Client
from .context import Context, Resume
from .errors import FieldError, SettingError, StageError, TemporalUnavailable
from .manifest import manifest
from .stage import Stage, stage, stages_of
from .store import ArtifactStore
from .stream import Stream
from .worker import Worker, serve

__version__ = "0.3.0"

__all__ = [
    "Artifact",
    "ArtifactStore",
    "Artifacts",
    "Audio",
    "Client",
    "Context",
    "Event",
    "FieldError",
    "File",
    "Image",
    "MediaTypes",
    "MillraceApiError",
    "Resume",
    "Run",
    "SettingError",
    "Stage",
    "StageError",
    "Stream",
    "TemporalUnavailable",
    "Video",
    "Worker",
    "manifest",
    "serve",
    "stage",
    "stages_of",
]
