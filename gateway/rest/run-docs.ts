import type { Pipeline } from '../../pipelines/definition/index.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { PRIORITIES } from '../../pipelines/plan/index.js';
import { LAST_EVENT_ID } from '../../runs/follow.js';
import { IDEMPOTENCY_KEY } from '../access/caller.js';
import { exampleOf } from '../openapi/example.js';
import { mediaInput, mediaOutput, mediaPart, withMedia } from '../openapi/media-schema.js';
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
import { decision, resumption } from './decision.js';

const NAME = { name: { description: 'The pipeline’s name' } };
export const ID = { id: { description: 'The run’s id' } };

const QUERY: Readonly<Record<string, ParameterDoc>> = {
  outputs: { description: 'Fields of the output, with commas; stages that only others need do not run' },
  webhook: {
    description: 'URL that receives an event when the run ends',
    schema: { type: 'string', format: 'uri' },
  },
  priority: { description: 'Who goes first where calls wait', schema: { type: 'string', enum: PRIORITIES } },
};
const HEADERS: Readonly<Record<string, ParameterDoc>> = {
  Prefer: {
    description: '`wait=<seconds>`: answer when the run has ended, or after that time (RFC 7240)',
    example: 'wait=30',
  },
  'Idempotency-Key': {
    description: 'The same key and input again is the same run',
    schema: { type: 'string', pattern: IDEMPOTENCY_KEY.source },
  },
};

const EVENTS_CONTENT: ContentDoc = eventStream(
  '`event` is the `type` of a RunEvent, which is the `data` as JSON; the last is `run` with a Run. An `error` with a Problem ends ' +
    'the stream early.',
);

const answers = (run: Schema, headers: Record<string, string>): Record<number, AnswerDoc> => ({
  200: {
    description: 'The run, which has succeeded; or its events, to `Accept: text/event-stream`',
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
  'Preference-Applied': 'What was applied of Prefer',
  'Idempotency-Replayed': '`true` where the run had been started before under this key',
};

const FORM: Schema = {
  type: 'object',
  description:
    'Files by the paths of their fields, other fields as parts of their own or as one JSON object in the part `input`',
};
const FILES: ContentDoc = Object.fromEntries(
  ['audio/*', 'image/*', 'application/octet-stream'].map((type) => [
    type,
    { schema: { type: 'string', format: 'binary', description: 'The file of an input with one media field' } },
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

function startOf({ name, description, inputSchema, outputSchema }: Pipeline): RouteDoc {
  const media = mediaCount(inputSchema);
  const input = withMedia(inputSchema, mediaInput);
  const example = exampleOf(input);
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
        ...json(input, isJsonObject(example) ? example : undefined),
        ...(media > 0 && { 'multipart/form-data': { schema: withMedia(inputSchema, mediaPart) } }),
        ...(media === 1 && FILES),
      },
    },
    answers: answers(run, START_HEADERS),
  };
}

/** An output of which the caller may have asked for some fields only. */
const anyOf = (schema: Json): Json => {
  if (!isJsonObject(schema)) return schema;
  const { required: _, ...rest } = schema;
  return rest;
};

function mediaCount(schema: Json): number {
  let count = 0;
  withMedia(schema, (node) => {
    count++;
    return node;
  });
  return count;
}

function outputsOf(schema: Json): Partial<ParameterDoc> {
  const fields = isJsonObject(schema) && isJsonObject(schema.properties) ? Object.keys(schema.properties) : [];
  const [first] = fields;
  const one = fields.map((field) => field.replace(/[^\w-]/g, '\\$&')).join('|');
  return first === undefined ? {} : { schema: { type: 'string', pattern: `^(${one})(,(${one}))*$` }, example: first };
}

export const GET_RUN: RouteDoc = {
  tag: 'runs',
  operation: 'getRun',
  summary: 'A run, also one that failed',
  path: ID,
  answers: { 200: { description: 'The run', content: json(component('Run')) } },
  problems: OF_RUNS,
};

export const FOLLOW_RUN: RouteDoc = {
  tag: 'runs',
  operation: 'followRun',
  summary: 'What a run does, as it does it',
  path: ID,
  headers: {
    'Last-Event-ID': {
      description: 'Id of the last event that was seen: what is behind it comes',
      schema: { type: 'string', pattern: `^(${LAST_EVENT_ID.source})?$` },
    },
  },
  answers: {
    200: { description: 'The events', content: EVENTS_CONTENT },
    204: { description: 'There is nothing behind Last-Event-ID: the run has ended and its end was seen' },
  },
  problems: [...OF_RUNS, 'TOO_MANY_STREAMS'],
};

const onRun = (description: string): Omit<RouteDoc, 'operation' | 'summary'> => ({
  tag: 'runs',
  path: ID,
  answers: { 202: { description, content: json(component('Run')) } },
});

export const CANCEL_RUN: RouteDoc = {
  ...onRun('The run, which takes note'),
  operation: 'cancelRun',
  summary: 'Cancel a run',
  body: { required: false, content: json({ type: 'object' }) },
  problems: [...OF_RUNS, 'RUN_ENDED'],
};

export const RESUME_RUN: RouteDoc = {
  ...onRun('The new run, with `resumedFrom`'),
  operation: 'resumeRun',
  summary: 'Resume a run that has failed, was cancelled or has run out of time',
  headers: {
    'Idempotency-Key': { description: 'Not needed: a run is resumed once, and asked again this is the same run' },
  },
  body: { required: false, content: json(schemaOf(resumption), { repeat: false }) },
  problems: [
    ...OF_RUNS,
    'RUN_NOT_ENDED',
    'NOT_RESUMABLE',
    'RECORD_INCOMPLETE',
    'INVALID_INPUT',
    'TOO_MANY_RUNS',
    'OVERLOADED',
    'STATE_STORE_FULL',
    'STORE_UNAVAILABLE',
  ],
};

export const decideDoc = (operation: string, summary: string): RouteDoc => ({
  ...onRun('The run, which has taken the decision'),
  operation,
  summary,
  body: {
    required: true,
    content: json(schemaOf(decision), { nonce: '3f1b8f0e-5a53-4c0f-9a43-0f1c2d3e4a5b', by: 'ada' }),
  },
  problems: [...OF_RUNS, 'RUN_ENDED', 'NOT_WAITING', 'ALREADY_DECIDED', 'INVALID_INPUT'],
});
