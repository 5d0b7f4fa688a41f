import type { Dtype } from '../../pipelines/media.js';
import type { RunDocument } from '../../runs/document.js';
import type { TensorField } from './fields.js';
import { MODEL_VERSION, type ServedModel } from './models.js';

/*
 * Metadata of the server and its models, in the form common to gRPC's messages and the bodies of REST
 * (specification/protocol of the Open Inference Protocol; ModelConfig is Triton's extension).
 */

export const PLATFORM = 'millrace_pipeline';

/** Metadata of the server. Extensions have Triton's names. */
export const serverMetadata = (version: string) => ({
  name: 'millrace',
  version,
  extensions: ['binary_tensor_data', 'model_configuration', 'model_repository(index)', 'statistics', 'parameters'],
});

export const modelMetadata = ({ pipeline, inputs, outputs }: ServedModel) => ({
  name: pipeline.name,
  versions: [MODEL_VERSION],
  platform: PLATFORM,
  inputs: inputs.map(tensorMetadata),
  outputs: outputs.map(tensorMetadata),
});

const tensorMetadata = ({ name, datatype, shape }: TensorField) => ({ name, datatype, shape: [...shape] });

/**
 * The configuration that Triton's clients read: no batch dimension, one response per request, and which inputs are
 * optional.
 */
export const modelConfig = ({ pipeline, inputs, outputs }: ServedModel) => ({
  name: pipeline.name,
  platform: PLATFORM,
  backend: 'millrace',
  max_batch_size: 0,
  input: inputs.map((field) => ({ ...tensorConfig(field), optional: field.optional })),
  output: outputs.map(tensorConfig),
  model_transaction_policy: { decoupled: false },
  parameters: { plan: { string_value: pipeline.plan.version } },
});

const tensorConfig = ({ name, datatype, shape }: TensorField) => ({
  name,
  data_type: dataType(datatype),
  dims: shape.map(String),
});

const dataType = (datatype: Dtype): string => `TYPE_${datatype === 'BYTES' ? 'STRING' : datatype}`;

export const repositoryIndex = (models: readonly ServedModel[]) =>
  models.map(({ pipeline }) => ({ name: pipeline.name, version: MODEL_VERSION, state: 'READY', reason: '' }));

/** Triton's response parameter that marks the last response of a request; its perf_analyzer counts only those. */
export const FINAL = 'triton_final_response';

/** Parameters of a complete response: the run, for `/v1/runs/{id}`, and the version of its plan. */
export const answerParameters = ({ id, version }: RunDocument) => ({ run: id, plan: version, [FINAL]: true });
