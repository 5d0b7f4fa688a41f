import type { Pipeline } from '../../pipelines/definition/index.js';
import { type ErrorCode, errorRow } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { DTYPES } from '../../pipelines/media.js';
import { IDEMPOTENCY_KEY } from '../access/caller.js';
import { exampleInput } from '../openapi/example-input.js';
import { PERSISTENCE_HEADERS } from '../openapi/persistence-doc.js';
import { OF_WAITED_RUNS } from '../openapi/problems.js';
import type { RouteDoc, Schema } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';
import { tensorFields } from './fields.js';
import { MODEL_VERSION } from './models.js';

/** 422 of the error table is 400 in this protocol. */
const UNPROCESSABLE = 422;
export const statusOf = (code: ErrorCode): number => {
  const { status } = errorRow(code);
  return status === UNPROCESSABLE ? 400 : status;
};

const text: Schema = { type: 'string' };
const list = (items: Schema): Schema => ({ type: 'array', items });
const object = (properties: Record<string, Schema>, required: readonly string[] = Object.keys(properties)): Schema => ({
  type: 'object',
  properties,
  required: [...required],
});
const numbers = list({ type: 'integer' });
const datatype: Schema = { enum: [...DTYPES] };
const parameters: Schema = { type: 'object', description: 'Parameters of the protocol and its extensions' };
const described = object({ name: text, datatype, shape: numbers });
const input = object(
  { name: text, shape: list({ type: 'integer', minimum: 0 }), datatype, data: { type: 'array' }, parameters },
  ['name', 'shape', 'datatype'],
);
const ready: Schema = { type: 'boolean' };
const statistics = object({ model_stats: list({ type: 'object' }) });

const BINARY: Schema = {
  type: 'string',
  format: 'binary',
  description: 'JSON followed by the bytes of tensors; `inference-header-content-length` is the length of the JSON',
};

const door = (operation: string, summary: string, rest: Partial<RouteDoc>): RouteDoc => ({
  tag: 'kserve',
  operation,
  summary,
  answers: {},
  problemStatus: statusOf,
  problemContent: json(object({ error: text, code: text }, ['error'])),
  ...rest,
});
const okAnswers = (description: string, schema: Schema): Pick<RouteDoc, 'answers'> => ({
  answers: { 200: { description, content: json(schema) } },
});
const readyAnswers = (schema: Schema): Pick<RouteDoc, 'answers'> => ({
  answers: {
    200: { description: 'Ready', content: json(schema) },
    503: { description: 'Not ready', content: json(schema) },
  },
});

export const SERVER = door('kserveServer', 'Metadata of this server (KServe v2 protocol)', {
  ...okAnswers('The server', object({ name: text, version: text, extensions: list(text) })),
});
export const LIVE = door('kserveLive', 'Liveness of the server', okAnswers('Alive', object({ live: ready })));
export const READY = door('kserveReady', 'Readiness of the server', readyAnswers(object({ ready })));
export const INDEX = door('kserveIndex', 'List the models; each is a pipeline', {
  body: { required: false, content: json({ type: 'object' }) },
  ...okAnswers('The models', list(object({ name: text, version: text, state: text, reason: text }))),
});
export const ALL_STATISTICS = door(
  'kserveAllStatistics',
  'Request counts and durations of all models',
  okAnswers('Counts', statistics),
);

/** The first pipeline with an example of texts only, and those fields as tensors with their texts. */
function textPipeline(pipelines: readonly Pipeline[]) {
  for (const pipeline of pipelines) {
    const example = exampleInput(pipeline) ?? {};
    const fields = tensorFields(pipeline.inputSchema as Json).filter(({ name }) => Object.hasOwn(example, name));
    if (fields.length > 0 && fields.every(({ holds, list: many }) => holds === 'text' && !many)) {
      return { pipeline, fields: fields.map((field) => ({ ...field, text: example[field.name] as string })) };
    }
  }
  return undefined;
}

/** The routes of a model. Operations of the routes with a version have names of their own. */
export function modelDocs(ofVersion: boolean) {
  const model = (operation: string, summary: string, rest: Partial<RouteDoc>): RouteDoc =>
    door(`${operation}${ofVersion ? 'OfVersion' : ''}`, summary, {
      path: {
        name: { description: 'The pipeline’s name' },
        ...(ofVersion && { version: { description: 'The version of its plan' } }),
      },
      problems: ['PIPELINE_NOT_FOUND'],
      ...rest,
    });
  const tensors = list(described);
  return {
    metadata: model('kserveModel', 'Metadata of a model: a pipeline, with its fields as tensors', {
      ...okAnswers(
        'The model',
        object({ name: text, versions: list(text), platform: text, inputs: tensors, outputs: tensors }),
      ),
    }),
    config: model(
      'kserveConfig',
      'Configuration of a model, in Triton’s form',
      okAnswers('The configuration', { type: 'object' }),
    ),
    statistics: model('kserveStatistics', 'Request counts and durations of a model', okAnswers('Counts', statistics)),
    ready: model('kserveModelReady', 'Readiness of a model', readyAnswers(object({ name: text, ready }))),
    infer: model('kserveInfer', 'Run a model and wait for the result', {
      headers: {
        'Idempotency-Key': {
          description: 'Repeating a request with the same key and input returns the same run',
          schema: { type: 'string', pattern: IDEMPOTENCY_KEY.source },
        },
        ...PERSISTENCE_HEADERS,
        'inference-header-content-length': {
          description: 'Length of the JSON in the body, in bytes; absent: the whole body',
        },
      },
      body: {
        required: true,
        content: {
          ...json(
            object({ id: text, parameters, inputs: list(input), outputs: list(object({ name: text })) }, ['inputs']),
          ),
          'application/octet-stream': { schema: BINARY },
        },
      },
      exampleFor: (pipelines) => {
        const fields = textPipeline(pipelines)?.fields;
        return (
          fields && {
            inputs: fields.map(({ name, datatype: type, shape, text: value }) => ({
              name,
              datatype: type,
              shape: [...shape],
              data: [value],
            })),
          }
        );
      },
      pathFor: (pipelines) => {
        const name = textPipeline(pipelines)?.pipeline.name;
        return name === undefined ? undefined : { name, ...(ofVersion && { version: MODEL_VERSION }) };
      },
      answers: {
        200: {
          description: 'The run succeeded: the fields of its output',
          content: {
            ...json(
              object(
                { id: text, model_name: text, model_version: text, parameters, outputs: list({ type: 'object' }) },
                ['model_name', 'outputs'],
              ),
            ),
            'application/octet-stream': { schema: BINARY },
          },
        },
      },
      problems: [...OF_WAITED_RUNS, 'PIPELINE_NOT_FOUND'],
    }),
  };
}
