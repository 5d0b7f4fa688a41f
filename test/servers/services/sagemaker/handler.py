"""SageMaker's inference toolkit as the multi-model server calls it. The functions of the model are in code/inference.py."""

import pathlib
import sys

from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.default_inference_handler import DefaultInferenceHandler
from sagemaker_inference.transformer import Transformer

# Where a container has it.
sys.path.append(str(pathlib.Path(__file__).parent / "code"))

service = DefaultHandlerService(transformer=Transformer(default_inference_handler=DefaultInferenceHandler()))
is_initialized = False


def handle(data, context):
    global is_initialized
    if not is_initialized:
        service.initialize(context)
        is_initialized = True
    return None if data is None else service.handle(data, context)
