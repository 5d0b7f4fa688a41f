import { PERSISTENCE_HEADERS } from '../openapi/persistence-doc.js';
import { eventStream, type RouteDoc, type Schema } from '../openapi/route-doc.js';
import { json } from '../openapi/schemas.js';
import { LONGEST_ID } from './protocol.js';
import { VERSION_NAME, VERSIONS, WIRES } from './versions.js';

const text: Schema = { type: 'string' };
const id: Schema = { type: ['string', 'number', 'null'] };
const requestId: Schema = { type: ['string', 'number'], maxLength: LONGEST_ID };
const version: NonNullable<RouteDoc['headers']> = {
  [VERSION_NAME]: { description: `The version of the protocol: ${VERSIONS.join(' or ')}; without it 0.3` },
};
const card = json({
  type: 'object',
  description: 'AgentCard of A2A 1.0; also with the fields of 0.3 unless the request names 1.0',
  properties: { name: text, description: text, version: text, supportedInterfaces: { type: 'array' } },
  required: ['name', 'description', 'version', 'supportedInterfaces'],
});

const rpcError = json({
  type: 'object',
  properties: {
    jsonrpc: { const: '2.0' },
    id,
    error: {
      type: 'object',
      properties: { code: { type: 'integer' }, message: text, data: { type: 'array', items: { type: 'object' } } },
      required: ['code', 'message'],
    },
  },
  required: ['jsonrpc', 'error'],
});

export const AGENT_CARD: RouteDoc = {
  tag: 'a2a',
  operation: 'getAgentCard',
  summary: 'The card of a pipeline as an agent of A2A',
  path: { pipeline: { description: 'The pipeline’s name' } },
  headers: version,
  answers: { 200: { description: 'The card', content: card } },
  problems: ['PIPELINE_NOT_FOUND'],
};

export const ONLY_AGENT_CARD: RouteDoc = {
  tag: 'a2a',
  operation: 'getOnlyAgentCard',
  summary: 'The card of the agent, where the caller may use a single pipeline',
  headers: version,
  answers: { 200: { description: 'The card', content: card } },
  problems: ['PIPELINE_NOT_FOUND'],
};

/** A card at the place where clients from before 0.3 look for it. */
export const formerly = (doc: RouteDoc): RouteDoc => ({
  ...doc,
  operation: `${doc.operation}Formerly`,
  summary: `${doc.summary}, at its path before version 0.3 of the protocol`,
});

export const SEND: RouteDoc = {
  tag: 'a2a',
  operation: 'a2a',
  summary: 'Send a message to a pipeline as an agent of A2A, and read, follow and cancel its tasks (JSON-RPC)',
  description:
    'Errors of a JSON-RPC request are answered with status 200; errors before the request is read, such as a missing key, have their own status.',
  path: { pipeline: { description: 'The pipeline’s name' } },
  query: { [VERSION_NAME]: { description: 'Instead of the header' } },
  headers: {
    ...version,
    ...PERSISTENCE_HEADERS,
  },
  body: {
    required: true,
    content: json({
      type: 'object',
      description: 'A JSON-RPC 2.0 request',
      properties: {
        jsonrpc: { const: '2.0' },
        id: requestId,
        method: { enum: WIRES.flatMap(({ methods }) => methods) },
        params: { type: 'object' },
      },
      required: ['jsonrpc', 'id', 'method'],
    }),
  },
  answers: {
    200: {
      description: 'The response; methods that stream send events with one response each',
      content: {
        ...json({ type: 'object', properties: { jsonrpc: { const: '2.0' }, id } }),
        ...eventStream('Responses of JSON-RPC as `data`, each with a StreamResponse.'),
      },
    },
  },
  problemContent: rpcError,
  problems: ['EMPTY_BODY', 'PIPELINE_NOT_FOUND'],
};
