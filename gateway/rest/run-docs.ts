import type { Pipeline } from '../../pipelines/definition/index.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { PRIORITIES } from '../../pipelines/plan/index.js';
import { LAST_EVENT_ID } from '../../runs/follow.js';
import { IDEMPOTENCY_KEY } from '../access/caller.js';
import { exampleInput } from '../openapi/example-input.js';
import { mediaCount, mediaInput, mediaOutput, mediaPart, withMedia } from '../openapi/media-schema.js';
import { PERSISTENCE_HEADERS } from '../openapi/persistence-doc.js';
import { OF_RUNS, OF_WAITED_RUNS } from '../openapi/problems.js';
import {
  type AnswerDoc,
  type ContentDoc,
  eventStream,
  type ParameterDoc,
  type RouteDoc,
  type Schema,
} from '../openapi/route-doc.js';
import { component, json, schemaOf } from '../openapi/schemas.js';
import { AUDIO_PARAMETER } from './audio-events.js';
import { approval, decision, resumption } from './decision.js';

const NAME = { name: { description: 'The pipeline’s name' } };
export const ID = { id: { description: 'The run’s id' } };

const QUERY: Readonly<Record<string, ParameterDoc>> = {
  outputs: { description: 'Comma-separated fields of the output; stages that only other fields need do not run' },
  webhook: {
    description: 'URL that receives an event when the run ends',
    schema: { type: 'string', format: 'uri' },
  },
  priority: { description: 'Priority of the run’s calls in queues', schema: { type: 'string', enum: PRIORITIES } },
  audio: AUDIO_PARAMETER,
};
const HEADERS: Readonly<Record<string, ParameterDoc>> = {
  Prefer: {
    description: '`wait=<seconds>`: respond when the run has ended, or after that time (RFC 7240)',
    example: 'wait=30',
  },
  'Idempotency-Key': {
    description: 'Repeating a request with the same key and input returns the same run',
    schema: { type: 'string', pattern: IDEMPOTENCY_KEY.source },
  },
  ...PERSISTENCE_HEADERS,
};

const EVENTS_CONTENT: ContentDoc = eventStream(
  '`event` is the `type` of a RunEvent, which is in `data` as JSON; the last event is `run` with a Run. An `error` with a Problem ends ' +
    'the stream early.',
);

const answers = (run: Schema, headers: Record<string, string>): Record<number, AnswerDoc> => ({
  200: {
    description: 'The successful run; or its events with `Accept: text/event-stream`',
    content: { ...json(run), ...EVENTS_CONTENT },
    headers,
  },
  202: {
    description: 'The run is still running',
    content: json(run),
    headers: { Location: 'Path of the run', ...headers },
  },
});

const START: Omit<RouteDoc, 'operation' | 'summary' | 'body' | 'answers'> = {
  tag: 'runs',
  query: QUERY,
  headers: HEADERS,
  problems: [...OF_WAITED_RUNS, 'PIPELINE_NOT_FOUND'],
};
const START_HEADERS = {
  'Preference-Applied': 'The preferences of `Prefer` that were applied',
  'Idempotency-Replayed': '`true` if the run was started by an earlier request with this key, or that this one retries',
  'Millrace-Run': 'The run’s id',
};

const FORM: Schema = {
  type: 'object',
  description:
    'Files named by the paths of their fields; other fields as separate parts or as one JSON object in the part `input`',
};
const FILES: ContentDoc = Object.fromEntries(
  ['audio/*', 'image/*', 'application/octet-stream'].map((type) => [
    type,
    { schema: { type: 'string', format: 'binary', description: 'The file, for an input with one media field' } },
  ]),
);

export const START_RUN: RouteDoc = {
  ...START,
  operation: 'startRun',
  summary: 'Start a run of a pipeline',
  path: NAME,
  body: {
    required: true,
    content: { ...json({ type: 'object' }), 'multipart/form-data': { schema: FORM }, ...FILES },
  },
  answers: answers(component('Run'), START_HEADERS),
  ofPipeline: (pipeline) => ({ url: `/v1/pipelines/${pipeline.name}/runs`, doc: startOf(pipeline) }),
};

function startOf(pipeline: Pipeline): RouteDoc {
  const { name, description, inputSchema, outputSchema } = pipeline;
  const media = mediaCount(inputSchema);
  const input = withMedia(inputSchema, mediaInput);
  const run: Schema = {
    allOf: [
      component('Run'),
      {
        type: 'object',
        properties: { pipeline: { const: name }, output: withMedia(anyOf(outputSchema), mediaOutput) },
      },
    ],
  };
  return {
    ...START,
    operation: `start${name.replace(/(^|-)(\w)/g, (_, __, letter: string) => letter.toUpperCase())}`,
    summary: description || `Start a run of ${name}`,
    query: { ...QUERY, outputs: { ...QUERY.outputs, ...outputsOf(outputSchema) } as ParameterDoc },
    body: {
      required: true,
      content: {
        ...json(input, exampleInput(pipeline)),
        ...(media > 0 && { 'multipart/form-data': { schema: withMedia(inputSchema, mediaPart) } }),
        ...(media === 1 && FILES),
      },
    },
    answers: answers(run, START_HEADERS),
  };
}

/** The schema of an output with all fields optional: the caller may have requested some only. */
const anyOf = (schema: Json): Json => {
  if (!isJsonObject(schema)) return schema;
  const { required: _, ...rest } = schema;
  return rest;
};

function outputsOf(schema: Json): Partial<ParameterDoc> {
  const fields = isJsonObject(schema) && isJsonObject(schema.properties) ? Object.keys(schema.properties) : [];
  const [first] = fields;
  const one = fields.map((field) => field.replace(/[^\w-]/g, '\\$&')).join('|');
  return first === undefined ? {} : { schema: { type: 'string', pattern: `^(${one})(,(${one}))*$` }, example: first };
}

export const GET_RUN: RouteDoc = {
  tag: 'runs',
  operation: 'getRun',
  summary: 'Get a run',
  path: ID,
  answers: { 200: { description: 'The run', content: json(component('Run')) } },
  problems: OF_RUNS,
};

export const FOLLOW_RUN: RouteDoc = {
  tag: 'runs',
  operation: 'followRun',
  summary: 'Follow the events of a run',
  path: ID,
  query: { audio: AUDIO_PARAMETER },
  headers: {
    'Last-Event-ID': {
      description: 'Id of the last received event; the stream continues after it',
      schema: { type: 'string', pattern: `^(${LAST_EVENT_ID.source})?$` },
    },
  },
  answers: {
    200: { description: 'The events', content: EVENTS_CONTENT },
    204: { description: 'The run has ended, and `Last-Event-ID` is its last event' },
  },
  problems: [...OF_RUNS, 'INVALID_INPUT', 'TOO_MANY_STREAMS'],
};

const onRun = (description: string): Omit<RouteDoc, 'operation' | 'summary'> => ({
  tag: 'runs',
  path: ID,
  answers: { 202: { description, content: json(component('Run')) } },
});

export const CANCEL_RUN: RouteDoc = {
  ...onRun('The run; it is being cancelled'),
  operation: 'cancelRun',
  summary: 'Cancel a run',
  body: { required: false, content: json({ type: 'object' }) },
  problems: [...OF_RUNS, 'RUN_ENDED'],
};

export const ERASE_RUN: RouteDoc = {
  tag: 'runs',
  operation: 'eraseRun',
  summary: 'Erase a run that has ended: its history, those of its child runs, its events and its record',
  description:
    'Artifacts stay until their own retention ends. Temporal removes the history some seconds later. What calls that are still under way add to its record, events and streams is dropped for six hours; streams that they open only then expire by themselves.',
  path: ID,
  answers: { 204: { description: 'The run is erased' } },
  problems: [...OF_RUNS, 'RUN_NOT_ENDED', 'STORE_UNAVAILABLE'],
};

export const RESUME_RUN: RouteDoc = {
  ...onRun('The new run, with `resumedFrom`'),
  operation: 'resumeRun',
  summary: 'Resume a run that failed, was cancelled or timed out',
  headers: {
    'Idempotency-Key': { description: 'Not needed: a run is resumed once, and further requests return the same run' },
  },
  body: { required: false, content: json(schemaOf(resumption), { repeat: false }) },
  problems: [
    ...OF_RUNS,
    'RUN_NOT_ENDED',
    'NOT_RESUMABLE',
    'RECORD_INCOMPLETE',
    'INVALID_INPUT',
    'INPUT_TOO_LARGE',
    'TOO_MANY_RUNS',
    'OVERLOADED',
    'STATE_STORE_FULL',
    'STORE_UNAVAILABLE',
  ],
};

export const decideDoc = (operation: string, summary: string): RouteDoc => ({
  ...onRun('The run; the decision is recorded'),
  operation,
  summary,
  body: {
    required: true,
    content: json(schemaOf(operation === 'approveRun' ? approval : decision), {
      nonce: '3f1b8f0e-5a53-4c0f-9a43-0f1c2d3e4a5b',
      by: 'ada',
    }),
  },
  problems: [...OF_RUNS, 'RUN_ENDED', 'NOT_WAITING', 'ALREADY_DECIDED', 'INVALID_INPUT'],
});
