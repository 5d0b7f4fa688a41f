import {
  ProtocolError,
  ProtocolErrorCode,
  Server,
  type ServerContext,
  type Transport,
} from '@modelcontextprotocol/server';
import { z } from 'zod';
import type { Json } from '../../pipelines/json.js';
import { mayUse, ownerOf } from '../../runs/caller.js';
import { expectExactIn } from '../input/exact-numbers.js';
import { completionOf, hasSuggestions } from './completion.js';
import { hasPrompts } from './declared.js';
import { listDocuments, readDocument } from './documents.js';
import { correctMisfits } from './misfits.js';
import { getPrompt, listPrompts } from './prompts.js';
import { listTemplates, readResource } from './resources.js';
import { canAsk, type Era, ofMessage, type Serving, takesTasks } from './serving.js';
import { TASKS } from './task.js';
import {
  answerWaits,
  asProtocol,
  cancelOldTask,
  cancelTask,
  listTasks,
  readOldTask,
  readTask,
} from './task-handlers.js';
import { oldResult } from './task-result.js';
import { toolsCall } from './tools-call.js';

/** Version of the tools' interface; it changes only with incompatible releases. */
const VERSION = '1';
/** How long a client may keep the lists, in milliseconds: they change with the gateway’s configuration. */
const LIST_MS = 60_000;

const INSTRUCTIONS =
  'Each tool is a pipeline. A field of media takes {"base64"} or {"uri"} of an earlier result; resources/read has the bytes of such a uri.';

const cached = { ttlMs: LIST_MS, cacheScope: 'private' } as const;
const ofTask = z.looseObject({ taskId: z.string() });

/** Reports requests that do not fit their schema as the client’s mistakes. */
class DoorServer extends Server {
  override connect(transport: Transport): Promise<void> {
    correctMisfits(transport);
    return super.connect(transport);
  }
}

/** The server of one request, or of one batch. */
export function serverFor(serving: Serving, era: Era): Server {
  const { tools, caller, calls, session, request } = serving;
  const server = new DoorServer(
    { name: 'millrace', version: VERSION },
    {
      instructions: INSTRUCTIONS,
      capabilities: {
        tools: {},
        resources: {},
        ...(hasPrompts(serving) && { prompts: {} }),
        ...(hasSuggestions(serving) && { completions: {} }),
        ...(era === 'legacy'
          ? { tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } } }
          : { extensions: { [TASKS]: {} } }),
      },
      cacheHints: {
        'tools/list': cached,
        'prompts/list': cached,
        'resources/list': cached,
        'resources/templates/list': cached,
        'server/discover': cached,
      },
    },
  );

  server.setRequestHandler('tools/list', () => ({
    tools: [...tools.values()].filter(({ pipeline }) => mayUse(caller, pipeline)).map(({ tool }) => tool),
  }));
  // Not a handler of its own: the SDK would hold a created task to the schema of a tool's result.
  const call: Server['fallbackRequestHandler'] = async ({ method, params }, context) => {
    if (method !== 'tools/call') throw new ProtocolError(ProtocolErrorCode.MethodNotFound, 'Method not found');
    return await toolsCall(ofMessage(serving), era, params, context, {
      request: async (id, message) =>
        server.transport?.send({ jsonrpc: '2.0', id, ...message } as never, { relatedRequestId: context.mcpReq.id }),
    });
  };
  // A fallback for other methods too would answer them with 200 instead of 404.
  if (era === 'legacy' || (request.body as { method?: unknown }).method === 'tools/call')
    server.fallbackRequestHandler = call;
  if (hasPrompts(serving)) {
    server.setRequestHandler('prompts/list', () => listPrompts(serving));
    server.setRequestHandler('prompts/get', ({ params }, context) => {
      // A version with a handshake would ask on this stream, and its answer may reach a gateway that does not have it.
      const asks = era === 'modern' && canAsk(serving, era, context);
      return getPrompt(ofMessage(serving), params, asks ? (context.mcpReq.inputResponses ?? {}) : undefined);
    });
  }
  if (hasSuggestions(serving))
    server.setRequestHandler('completion/complete', ({ params }) => completionOf(serving, params));
  server.setRequestHandler('resources/list', () => listDocuments(serving));
  server.setRequestHandler('resources/templates/list', () => listTemplates(caller));
  server.setRequestHandler('resources/read', ({ params: { uri } }) => {
    const own = ofMessage(serving);
    return readDocument(own, uri) ?? readResource(own, uri);
  });
  if (era === 'modern') modernTasks(server, serving);
  else oldTasks(server, serving);

  server.setNotificationHandler('notifications/cancelled', ({ params: { requestId, reason } }) => {
    const { tenant } = caller;
    if (requestId !== undefined) calls.cancel({ tenant, owner: ownerOf(caller), session, id: requestId }, reason);
  });
  return server;
}

function modernTasks(server: Server, serving: Serving): void {
  const { deps, caller, request } = serving;
  server.setRequestHandler('tasks/get', { params: ofTask }, async ({ taskId }, context) => {
    requireTasks(context);
    return await readTask(deps, ofMessage(serving), taskId, canAsk(serving, 'modern', context));
  });
  server.setRequestHandler('tasks/update', { params: ofTask }, async ({ taskId }, context) => {
    requireTasks(context);
    await asProtocol(async () => expectExactIn(request.body as Json, ['params'], 'inputResponses'));
    await answerWaits(deps, { caller }, taskId, context.mcpReq.inputResponses ?? {});
    return {};
  });
  server.setRequestHandler('tasks/cancel', { params: ofTask }, async ({ taskId }, context) => {
    requireTasks(context);
    await cancelTask(deps, serving, taskId);
    return {};
  });
}

function requireTasks(context: ServerContext): void {
  if (takesTasks(context)) return;
  const message = `the request’s clientCapabilities lack the extension ${TASKS}`;
  throw new ProtocolError(ProtocolErrorCode.MissingRequiredClientCapability, message, {
    requiredCapabilities: { extensions: { [TASKS]: {} } },
  });
}

function oldTasks(server: Server, serving: Serving): void {
  const { deps } = serving;
  server.setRequestHandler('tasks/get', { params: ofTask }, ({ taskId }) => readOldTask(deps, serving, taskId));
  server.setRequestHandler('tasks/list', { params: z.looseObject({ cursor: z.string().optional() }) }, ({ cursor }) =>
    listTasks(deps, serving, cursor),
  );
  server.setRequestHandler('tasks/cancel', { params: ofTask }, ({ taskId }) => cancelOldTask(deps, serving, taskId));
  server.setRequestHandler('tasks/result', { params: ofTask }, ({ taskId }, context) =>
    oldResult(ofMessage(serving), taskId, context, async (id, request) =>
      server.transport?.send({ jsonrpc: '2.0', id, ...request } as never, { relatedRequestId: context.mcpReq.id }),
    ),
  );
}
