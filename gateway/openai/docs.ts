import { GIVEN_FORMATS } from '../../media/index.js';
import type { OpenAiSurface, Pipeline } from '../../pipelines/definition/index.js';
import type { ErrorCode } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { MOST_GENERATED } from '../../pipelines/stages/index.js';
import { IDEMPOTENCY_KEY } from '../access/caller.js';
import { TEXT } from '../openapi/example.js';
import { PERSISTENCE_HEADERS } from '../openapi/persistence-doc.js';
import { OF_WAITED_RUNS } from '../openapi/problems.js';
import { type ContentDoc, eventStream, type RouteDoc, type Schema } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';
import { MOST_CHOICES } from './choices.js';
import { MOST_TEXTS } from './embeddings-body.js';
import { statusOf } from './error-body.js';

export const text: Schema = { type: 'string' };
export const object = (properties: Record<string, Schema>, required = Object.keys(properties)): Schema => ({
  type: 'object',
  properties,
  required,
});

const error = object({
  error: object({ message: text, type: text, param: { type: ['string', 'null'] }, code: text }),
});

const model = object({
  id: text,
  object: { const: 'model' },
  created: { type: 'integer', description: 'Seconds since 1970' },
  owned_by: text,
  version: text,
  description: text,
  endpoints: { type: 'array', items: text },
});

export const door = (operation: string, summary: string, rest: Partial<RouteDoc>): RouteDoc => ({
  tag: 'openai',
  operation,
  summary,
  answers: {},
  problemStatus: statusOf,
  problemContent: json(error),
  ...rest,
});

export const LIST_MODELS = door('listModels', 'List the pipelines that OpenAI’s clients can use as models', {
  answers: {
    200: {
      description: 'The models',
      content: json(object({ object: { const: 'list' }, data: { type: 'array', items: model } })),
    },
  },
});

export const GET_MODEL = door('getModel', 'Get a model', {
  path: { id: { description: 'The pipeline’s name' } },
  answers: { 200: { description: 'The model', content: json(model) } },
  problems: ['PIPELINE_NOT_FOUND'],
});

/** A body for the first pipeline that is a model of a kind. */
const exampleFor =
  (kind: OpenAiSurface, body: (pipeline: Pipeline) => JsonObject): RouteDoc['exampleFor'] =>
  (pipelines) => {
    const first = pipelines.find(({ openai }) => openai[kind] !== undefined);
    return first && { model: first.name, ...body(first) };
  };

/** A route that runs a pipeline and waits for its end. */
const runRoute = (
  operation: string,
  summary: string,
  body: ContentDoc,
  answer: ContentDoc,
  example?: RouteDoc['exampleFor'],
): RouteDoc =>
  door(operation, summary, {
    ...(example && { exampleFor: example }),
    headers: {
      'Idempotency-Key': {
        description:
          'The same key with the same request returns the same run; such a run is not cancelled when the client disconnects',
        schema: { type: 'string', pattern: IDEMPOTENCY_KEY.source },
      },
      ...PERSISTENCE_HEADERS,
    },
    body: { required: true, content: body },
    answers: { 200: { description: 'The response', content: answer, headers: { 'millrace-run': 'The run’s id' } } },
    problems: RUN_PROBLEMS,
  });

const RUN_PROBLEMS: readonly ErrorCode[] = [...OF_WAITED_RUNS, 'PIPELINE_NOT_FOUND'];

export const COMPLETE_CHAT = runRoute(
  'createChatCompletion',
  'Answer a conversation with a pipeline (OpenAI’s chat completions)',
  json(
    object(
      {
        model: text,
        messages: { type: 'array', items: { type: 'object' }, minItems: 1 },
        n: { type: 'integer', minimum: 1, maximum: MOST_CHOICES },
        stream: { type: 'boolean' },
      },
      ['model', 'messages'],
    ),
  ),
  {
    ...json(
      object({ id: text, object: { const: 'chat.completion' }, choices: { type: 'array', items: { type: 'object' } } }),
    ),
    ...eventStream('With `"stream": true`: chunks as `data`, then `[DONE]`'),
  },
  exampleFor('chat', () => ({ messages: [{ role: 'user', content: TEXT }] })),
);

const texts: Schema = { type: 'array', items: text, minItems: 1, maxItems: MOST_TEXTS };
const tokens: Schema = { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1 };
const lists: Schema = { type: 'array', items: tokens, minItems: 1, maxItems: MOST_TEXTS };

export const EMBED = runRoute(
  'createEmbeddings',
  'Create embeddings of texts with a pipeline',
  json(
    object(
      { model: text, input: { oneOf: [text, texts, tokens, lists] }, encoding_format: { enum: ['float', 'base64'] } },
      ['model', 'input'],
    ),
  ),
  json(
    object({
      object: { const: 'list' },
      model: text,
      data: { type: 'array', items: { type: 'object' } },
      usage: { type: 'object' },
    }),
  ),
  exampleFor('embeddings', () => ({ input: TEXT })),
);

export const GENERATE_IMAGES = runRoute(
  'createImage',
  'Generate images of a prompt with a pipeline',
  json(
    object(
      {
        model: text,
        prompt: text,
        n: { type: 'integer', minimum: 1, maximum: MOST_GENERATED },
        size: text,
        response_format: { enum: ['b64_json', 'url'] },
      },
      ['model', 'prompt'],
    ),
  ),
  json(
    object({
      created: { type: 'integer', description: 'Seconds since 1970' },
      data: {
        type: 'array',
        items: object({ b64_json: text, url: { ...text, description: 'With `"response_format": "url"`' } }, []),
      },
    }),
  ),
  exampleFor('images', () => ({ prompt: TEXT })),
);

export const TRANSCRIBE: RouteDoc = {
  ...runRoute(
    'createTranscription',
    'Transcribe an audio file with a pipeline',
    {
      'multipart/form-data': {
        schema: object(
          {
            file: { type: 'string', format: 'binary' },
            model: text,
            response_format: text,
            stream: { type: 'boolean' },
          },
          ['file', 'model'],
        ),
      },
    },
    {
      ...json(object({ text })),
      'text/plain': { schema: text },
      ...eventStream('With `stream`: `transcript.text.delta`, then `transcript.text.done`'),
    },
  ),
  problems: [...RUN_PROBLEMS, 'INVALID_MULTIPART', 'EMPTY_BODY'],
};

export const SPEAK = runRoute(
  'createSpeech',
  'Synthesize speech from a text with a pipeline',
  json(
    object(
      {
        model: text,
        input: { type: 'string', minLength: 1 },
        voice: text,
        response_format: { enum: Object.keys(GIVEN_FORMATS), default: 'mp3' },
        stream_format: { enum: ['audio', 'sse'], default: 'audio' },
      },
      ['model', 'input'],
    ),
  ),
  {
    ...Object.fromEntries(
      Object.values(GIVEN_FORMATS).map(({ mime }) => [mime, { schema: { type: 'string', format: 'binary' } }]),
    ),
    ...eventStream('With `stream_format: "sse"`: `speech.audio.delta` with base64, then `speech.audio.done`'),
  },
  // WAV needs no conversion, which the gateway may lack a program for.
  exampleFor('speech', ({ openai }) => ({
    input: 'The mill turns.',
    voice: openai.speech?.voices?.[0] ?? 'alloy',
    response_format: 'wav',
  })),
);

export const RESPOND = runRoute(
  'createResponse',
  'Answer a conversation with a pipeline (OpenAI’s responses)',
  json(
    object(
      {
        model: text,
        input: { oneOf: [text, { type: 'array', items: { type: 'object' } }] },
        stream: { type: 'boolean' },
      },
      ['model', 'input'],
    ),
  ),
  {
    ...json(object({ id: text, object: { const: 'response' }, output: { type: 'array', items: { type: 'object' } } })),
    ...eventStream('With `"stream": true`: `response.created` … `response.output_text.delta` … `response.completed`'),
  },
  exampleFor('chat', () => ({ input: TEXT })),
);
