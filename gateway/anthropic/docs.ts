import { statusOf } from '../openai/error-body.js';
import { TEXT } from '../openapi/example.js';
import { PERSISTENCE_HEADERS } from '../openapi/persistence-doc.js';
import { OF_WAITED_RUNS } from '../openapi/problems.js';
import { eventStream, type RouteDoc, type Schema } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';

const text: Schema = { type: 'string' };
const list: Schema = { type: 'array', items: { type: 'object' } };

const object = (properties: Record<string, Schema>, required = Object.keys(properties)): Schema => ({
  type: 'object',
  properties,
  required,
});

export const CREATE_MESSAGE: RouteDoc = {
  tag: 'anthropic',
  operation: 'createMessage',
  summary: 'Answer a conversation with a pipeline (Anthropic’s messages)',
  headers: PERSISTENCE_HEADERS,
  body: {
    required: true,
    content: json(
      object(
        { model: text, max_tokens: { type: 'integer', minimum: 1 }, messages: list, stream: { type: 'boolean' } },
        ['model', 'max_tokens', 'messages'],
      ),
    ),
  },
  exampleFor: (pipelines) => {
    const first = pipelines.find(({ openai }) => openai.chat !== undefined);
    return first && { model: first.name, max_tokens: 64, messages: [{ role: 'user', content: TEXT }] };
  },
  answers: {
    200: {
      description: 'The message',
      content: {
        ...json(object({ id: text, type: { const: 'message' }, content: list, stop_reason: text })),
        ...eventStream('With `"stream": true`: `message_start` … `content_block_delta` … `message_stop`'),
      },
      headers: { 'millrace-run': 'The run’s id' },
    },
  },
  problemStatus: statusOf,
  problemContent: json(object({ type: { const: 'error' }, error: object({ type: text, message: text, code: text }) })),
  problems: [...OF_WAITED_RUNS, 'PIPELINE_NOT_FOUND'],
};
