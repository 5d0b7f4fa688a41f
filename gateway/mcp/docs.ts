import { eventStream, type RouteDoc } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';

const text = { type: 'string' };
const message = {
  type: 'object',
  description: 'A JSON-RPC 2.0 message; up to version 2025-03-26 of the protocol also a list of at most 20',
  properties: { jsonrpc: { const: '2.0' }, id: { type: ['string', 'integer', 'null'] }, method: text },
  required: ['jsonrpc'],
};
const asEvents = eventStream('JSON-RPC messages as data.');

/** The protocol’s errors before a message is parsed. */
const rpcError = json({
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
});

export const MCP: RouteDoc = {
  tag: 'mcp',
  operation: 'mcp',
  summary: 'Pipelines as tools of the Model Context Protocol (streamable HTTP)',
  description: 'For clients of the protocol. `Accept` must include both `application/json` and `text/event-stream`.',
  headers: {
    'Mcp-Session-Id': { description: 'The session id that `initialize` returned' },
    'MCP-Protocol-Version': { description: 'The version that `initialize` negotiated' },
  },
  body: { required: true, content: json(message) },
  exampleFor: () => ({ jsonrpc: '2.0', id: 1, method: 'tools/list' }),
  answers: {
    200: {
      description: 'Progress of the calls, then the responses',
      content: asEvents,
      headers: { 'Mcp-Session-Id': 'The session id, in the response to `initialize`' },
    },
    202: { description: 'The body has only notifications and responses' },
    406: { description: '`Accept` lacks `application/json` or `text/event-stream`', content: json(message) },
  },
  problemContent: rpcError,
  problems: ['EMPTY_BODY', 'INVALID_INPUT'],
};

export const RESUME_MCP: RouteDoc = {
  tag: 'mcp',
  operation: 'resumeMcp',
  summary: 'Continue the stream of a call',
  headers: { 'Last-Event-ID': { description: 'Id of the last received event; the stream continues after it' } },
  answers: { 200: { description: 'Progress of the call, then its response', content: asEvents } },
  problemContent: rpcError,
  problems: ['INVALID_HEADER', 'METHOD_NOT_ALLOWED', 'RUN_NOT_FOUND'],
};
