import { eventStream, type RouteDoc, type Schema } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';
import { door, object, text } from './docs.js';

const ofResponse = { id: { description: 'The response’s id, `resp_…`' } };
const ofConversation = { id: { description: 'The conversation’s id, `conv_…`' } };
const RESPONSE = object({ id: text, object: { const: 'response' }, status: text });
const CONVERSATION = object({ id: text, object: { const: 'conversation' }, metadata: { type: 'object' } });
const DELETED = object({ id: text, object: text, deleted: { const: true } });
const LIST = object({ object: { const: 'list' }, data: { type: 'array', items: { type: 'object' } } });
const PAGE: RouteDoc['query'] = {
  limit: { description: 'Maximum number of items, from 1 to 100; 20 by default' },
  order: { description: '`asc` or `desc`, the default' },
  after: { description: 'The id of the last item of the previous page' },
};

const route = (operation: string, summary: string, schema: Schema, rest: Partial<RouteDoc>): RouteDoc =>
  door(operation, summary, { answers: { 200: { description: summary, content: json(schema) } }, ...rest });

export const GET_RESPONSE = route('getResponse', 'Get a response, or the events of it', RESPONSE, {
  path: ofResponse,
  query: {
    stream: { description: '`true`: the response’s events, from the first on' },
    starting_after: { description: 'With `stream=true`: only events with a greater `sequence_number`' },
    include: { description: 'No effect' },
  },
  answers: {
    200: { description: 'The response', content: { ...json(RESPONSE), ...eventStream('With `stream=true`') } },
  },
  problems: ['RUN_NOT_FOUND', 'OVERLOADED', 'ORCHESTRATOR_UNAVAILABLE', 'INVALID_INPUT', 'TOO_MANY_STREAMS'],
});
export const CANCEL_RESPONSE = route('cancelResponse', 'Cancel a response', RESPONSE, {
  path: ofResponse,
  problems: ['RUN_NOT_FOUND', 'OVERLOADED', 'RUN_ENDED', 'ORCHESTRATOR_UNAVAILABLE'],
});
export const DELETE_RESPONSE = route('deleteResponse', 'Erase a response and its run', DELETED, {
  path: ofResponse,
  problems: ['RUN_NOT_FOUND', 'RUN_NOT_ENDED', 'ORCHESTRATOR_UNAVAILABLE', 'STORE_UNAVAILABLE'],
});
export const LIST_INPUT_ITEMS = route('listInputItems', 'List the input items of a response', LIST, {
  path: ofResponse,
  query: PAGE,
  problems: ['RUN_NOT_FOUND', 'OVERLOADED', 'ORCHESTRATOR_UNAVAILABLE', 'INVALID_INPUT'],
});

const KEPT = ['STORE_UNAVAILABLE', 'STATE_STORE_FULL', 'QUOTA_EXCEEDED', 'INVALID_INPUT'] as const;
const OPTIONAL_METADATA = { metadata: { type: 'object', additionalProperties: text } };
const ITEMS = { items: { type: 'array', items: { type: 'object' } } };

export const CREATE_CONVERSATION = route('createConversation', 'Create a conversation', CONVERSATION, {
  body: { required: false, content: json(object({ ...ITEMS, ...OPTIONAL_METADATA }, [])) },
  exampleFor: () => ({ metadata: { topic: 'mills' } }),
  problems: KEPT,
});
export const GET_CONVERSATION = route('getConversation', 'Get a conversation', CONVERSATION, {
  path: ofConversation,
  problems: ['RUN_NOT_FOUND', 'STORE_UNAVAILABLE'],
});
export const UPDATE_CONVERSATION = route('updateConversation', 'Change a conversation’s metadata', CONVERSATION, {
  path: ofConversation,
  body: { required: true, content: json(object(OPTIONAL_METADATA)) },
  problems: ['RUN_NOT_FOUND', ...KEPT],
});
export const DELETE_CONVERSATION = route('deleteConversation', 'Erase a conversation', DELETED, {
  path: ofConversation,
  problems: ['RUN_NOT_FOUND', 'STORE_UNAVAILABLE'],
});
export const LIST_ITEMS = route('listConversationItems', 'List a conversation’s items', LIST, {
  path: ofConversation,
  query: PAGE,
  problems: ['RUN_NOT_FOUND', 'OVERLOADED', 'ORCHESTRATOR_UNAVAILABLE', 'STORE_UNAVAILABLE', 'INVALID_INPUT'],
});
export const ADD_ITEMS = route('addConversationItems', 'Add items to a conversation', LIST, {
  path: ofConversation,
  body: { required: true, content: json(object(ITEMS)) },
  problems: ['RUN_NOT_FOUND', ...KEPT],
});
