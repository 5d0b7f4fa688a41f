import { randomUUID } from 'node:crypto';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js';
import {
  CallToolRequestSchema,
  CancelledNotificationSchema,
  ErrorCode,
  isInitializeRequest,
  ListToolsRequestSchema,
  McpError,
} from '@modelcontextprotocol/sdk/types.js';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { mayUse, ownerOf } from '../../runs/caller.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import { type Caller, callerOf } from '../access/caller.js';
import { persistenceOf } from '../access/retries.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { asMillraceError, problemOf } from '../http/problem.js';
import { baseUrlOf } from '../http/public-url.js';
import { callTool } from './call-tool.js';
import { Calls } from './calls.js';
import { MCP } from './docs.js';
import { messagesIn } from './messages.js';
import { correctMisfits } from './misfits.js';
import { type PipelineTool, toolsOf } from './tool.js';

const SESSION_HEADER = 'mcp-session-id';
/** Visible ASCII, as the protocol requires; this gateway's ids are UUIDs. */
const SESSION = /^[\x21-\x7e]{1,128}$/;

/** Version of the tools' interface; it changes only with incompatible releases. */
const VERSION = '1';

/**
 * `POST /mcp`: the Model Context Protocol over streamable HTTP, with each pipeline as a tool. No state is kept between
 * requests except running calls, so a session continues after a restart and on other gateways.
 */
export async function mcpRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const tools = toolsOf(deps.pipelines);
  const calls = new Calls();
  takeJson(app);

  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { permission: 'read', doc: MCP } } as const;
  app.post('/mcp', options, async (request, reply) => {
    refuseForeignOrigin(request, deps);
    const caller = callerOf(request);
    // The first message was counted on authentication.
    await deps.authenticator?.charge(caller, messagesIn(request) - 1);
    const session = sessionOf(request);
    const server = serverFor({ app, deps, tools, calls, request, caller, session });
    const transport = new StreamableHTTPServerTransport();
    correctMisfits(transport);
    reply.hijack();
    const { raw } = reply;
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    if (startsSession(request.body)) raw.setHeader(SESSION_HEADER, randomUUID());
    // A disconnected client cannot resume its call; whether the run goes on is the pipeline's matter.
    raw.once('close', () => void server.close());
    const { socket } = request.raw;
    // A connection kept alive for the client's next request would delay the shutdown.
    raw.once('finish', () => app.closing.aborted && socket.destroySoon());
    await server.connect(transport as Transport);
    await transport.handleRequest(request.raw, raw, request.body);
    return reply;
  });
}

interface Serving {
  readonly app: FastifyInstance;
  readonly deps: GatewayDeps;
  readonly tools: ReadonlyMap<string, PipelineTool>;
  readonly calls: Calls;
  readonly request: FastifyRequest;
  readonly caller: Caller;
  readonly session: string | undefined;
}

/** Creates the SDK's server for one request. */
function serverFor({ app, deps, tools, calls, request, caller, session }: Serving): Server {
  const server = new Server({ name: 'millrace', version: VERSION }, { capabilities: { tools: {} } });
  const { tenant } = caller;
  const owner = ownerOf(caller);

  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [...tools.values()].filter(({ pipeline }) => mayUse(caller, pipeline)).map(({ tool }) => tool),
  }));

  server.setRequestHandler(
    CallToolRequestSchema,
    async ({ params }, { requestId, signal, sendNotification, _meta }) => {
      const tool = tools.get(params.name);
      if (tool === undefined || !mayUse(caller, tool.pipeline))
        throw new McpError(ErrorCode.InvalidParams, `no tool is named "${params.name}"; tools/list lists them`);
      const call = calls.open({ tenant, owner, session, id: requestId }, signal);
      try {
        return await callTool(deps, {
          tool,
          caller,
          input: (params.arguments ?? {}) as JsonObject,
          base: baseUrlOf(deps.publicUrl, request),
          persistence: persistenceOf(request.headers),
          progressToken: _meta?.progressToken,
          notify: sendNotification,
          cancelled: call.cancelled,
          closing: app.closing,
          started: (run) => {
            request.notes.runId = run;
          },
        });
      } catch (thrown) {
        // Its cause is only logged: it may contain paths or hosts.
        const error = asMillraceError(thrown);
        Object.assign(request.notes, { code: error.code, error });
        request.log.error({ code: error.code, tool: params.name, err: error }, 'a tool call failed');
        throw new McpError(ErrorCode.InternalError, problemOf(error, request).detail, { requestId: request.id });
      } finally {
        call.end();
      }
    },
  );

  server.setNotificationHandler(CancelledNotificationSchema, ({ params: { requestId, reason } }) => {
    if (requestId !== undefined) calls.cancel({ tenant, owner, session, id: requestId }, reason);
  });
  return server;
}

const startsSession = (body: unknown): boolean =>
  isInitializeRequest(body) || (Array.isArray(body) && body.some(isInitializeRequest));

function sessionOf({ headers }: FastifyRequest): string | undefined {
  const session = headers[SESSION_HEADER];
  if (session === undefined) return undefined;
  if (typeof session === 'string' && SESSION.test(session)) return session;
  const message = 'must be 1 to 128 visible ASCII characters';
  throw new MillraceError('INVALID_HEADER', `Mcp-Session-Id ${message}`, {
    fields: [{ field: 'Mcp-Session-Id', message }],
  });
}

/**
 * Checks `Origin`, as the protocol requires: after DNS rebinding a page of another site could otherwise call the
 * server. Without keys `refuseStrangers` has checked `Host` too.
 */
function refuseForeignOrigin(
  { headers: { origin }, host }: FastifyRequest,
  { publicUrl, corsOrigins = [] }: Pick<GatewayDeps, 'publicUrl' | 'corsOrigins'>,
): void {
  if (origin === undefined || corsOrigins.includes(origin)) return;
  const url = URL.canParse(origin) ? new URL(origin) : undefined;
  const names = [host, ...(publicUrl === undefined ? [] : [new URL(publicUrl).host])];
  if (url && (names.includes(url.host) || isLoopbackName(url.hostname))) return;
  const message = 'is another site';
  throw new MillraceError('FORBIDDEN', `Origin ${message}`, { fields: [{ field: 'Origin', message }] });
}
