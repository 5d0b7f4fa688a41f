import { eventStream, type RouteDoc } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';

const text = { type: 'string' };
const message = {
  type: 'object',
  description: 'A message of JSON-RPC 2.0; up to version 2025-03-26 of the protocol also a list of at most 20',
  properties: { jsonrpc: { const: '2.0' }, id: { type: ['string', 'integer', 'null'] }, method: text },
  required: ['jsonrpc'],
};
const asEvents = eventStream('JSON-RPC messages as data.');

export const MCP: RouteDoc = {
  tag: 'mcp',
  operation: 'mcp',
  summary: 'Pipelines as tools of the Model Context Protocol (streamable HTTP)',
  description:
    'Talk to it with a client of the protocol; `Accept` must name both `application/json` and `text/event-stream`.',
  headers: {
    'Mcp-Session-Id': { description: 'What `initialize` has answered with' },
    'MCP-Protocol-Version': { description: 'What `initialize` has settled on' },
  },
  body: { required: true, content: json(message) },
  answers: {
    200: {
      description: 'The answers, and the progress of calls before them',
      content: asEvents,
      headers: { 'Mcp-Session-Id': 'Of an `initialize`: the session’s id' },
    },
    202: { description: 'Nothing in the body wanted an answer' },
    406: { description: 'The client takes no `application/json` or no `text/event-stream`', content: json(message) },
  },
  problemContent: json({
    type: 'object',
    properties: {
      jsonrpc: { const: '2.0' },
      id: { type: ['string', 'integer', 'null'] },
      error: {
        type: 'object',
        properties: { code: { type: 'integer' }, message: text },
        required: ['code', 'message'],
      },
    },
    required: ['jsonrpc', 'error'],
  }),
  problems: ['EMPTY_BODY', 'INVALID_INPUT'],
};
