import type { Dtype } from '../../pipelines/media.js';
import type { RunDocument } from '../../runs/document.js';
import type { TensorField } from './fields.js';
import { MODEL_VERSION, type ServedModel } from './models.js';

/*
 * What the door says of itself and its models, in the form that gRPC's messages and the bodies of REST share
 * (specification/protocol of the Open Inference Protocol; ModelConfig is Triton's extension).
 */

export const PLATFORM = 'millrace_pipeline';

/** Of the server. Extensions by Triton's names for them. */
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

/** What clients of Triton look at: no batch dimension, one answer for each request; which inputs may be left out. */
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

/** Triton's parameter of a response: whether it is the last one of its request. Its perf_analyzer counts no others. */
export const FINAL = 'triton_final_response';

/** The parameters of a whole answer: the run, for `/v1/runs/{id}`, and the version of its plan. */
export const answerParameters = ({ id, version }: RunDocument) => ({ run: id, plan: version, [FINAL]: true });
