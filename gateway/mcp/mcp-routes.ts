import {
  createMcpHandler,
  isLegacyRequest,
  type Transport,
  WebStandardStreamableHTTPServerTransport,
} from '@modelcontextprotocol/server';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { mayUse } from '../../runs/caller.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import { callerOf, requirePermission } from '../access/caller.js';
import { MCP_PATH } from '../access/challenge.js';
import type { GatewayDeps } from '../deps.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { baseUrlOf } from '../http/public-url.js';
import { expectExactIn } from '../input/exact-numbers.js';
import { decideAs } from '../waiting/decide-as.js';
import { decisionIn, type Elicited } from './ask.js';
import { askedBy } from './asking-id.js';
import { Calls } from './calls.js';
import { MCP, RESUME_MCP } from './docs.js';
import { Answer, webRequest } from './exchange.js';
import { callsIn, GivenArguments, methodOf } from './given-arguments.js';
import { expectModestMessages, expectShortIds, expectWithinRate, messagesIn } from './messages.js';
import { HEADER_MISMATCH, mismatchOf } from './param-headers.js';
import { eventId } from './place.js';
import { resumeStream } from './resume-stream.js';
import { serverFor } from './server.js';
import type { Reached, Serving } from './serving.js';
import { SESSION_HEADER, sessionOf, sessionStartedBy } from './session.js';
import { toolsOf } from './tool.js';

/** The first version whose clients take events without data, which tell where a stream can be continued. */
const WITH_PLACES = '2025-11-25';
const SUBSCRIBE = 'subscriptions/listen';
/** How long a client that has lost the stream of its call waits before it continues it, in milliseconds. */
const RETRY_MS = 1_000;

/**
 * `/mcp`: the Model Context Protocol over streamable HTTP, with each pipeline as a tool and each run as a task. No state
 * is kept between requests except running calls, so a session continues after a restart and on other gateways.
 */
export async function mcpRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const tools = toolsOf(deps.pipelines);
  const calls = new Calls();
  const modern = createMcpHandler(({ authInfo }) => serverFor(authInfo?.extra?.serving as Serving, 'modern'), {
    legacy: 'reject',
  });
  takeJson(app, { exact: 'noted' });

  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { permission: 'read', doc: MCP } } as const;
  app.post(MCP_PATH, options, async (request, reply) => {
    refuseForeignOrigin(request, deps);
    const caller = callerOf(request);
    // As a response of HTTP a client gets a token with more scopes. Whoever has a key gets the refusal as the call's result.
    if (caller.token && callsIn(request.body as Json).length > 0) requirePermission(caller, 'run');
    const messages = messagesIn(request);
    expectWithinRate(caller, messages);
    // The first message was counted on authentication.
    await deps.authenticator?.charge(caller, messages - 1);
    expectShortIds(request);
    expectModestMessages(request);
    const session = sessionOf(request);
    const body = request.body as Json;
    const base = baseUrlOf(deps.publicUrl, request);
    const { response } = request;
    const given = new GivenArguments(request);
    const serving = { deps, tools, calls, request, given, response, caller, base, session, closing: app.closing };
    if (await isDecision(serving, body)) return await reply.code(202).send();
    const started = sessionStartedBy(body);
    if (started !== undefined) void reply.header(SESSION_HEADER, started);
    const gone = leaving(reply);
    const web = webRequest(request, base, methodOf(body) === SUBSCRIBE ? endingWith(gone, app.closing) : gone);
    const legacy = await isLegacyRequest(web, body);
    const mismatch = legacy ? undefined : headerMismatch(serving);
    if (mismatch !== undefined) return await reply.code(400).send(mismatch);
    const leave = methodOf(body) === SUBSCRIBE ? deps.streams.take(caller.tenant) : () => undefined;
    const answer = new Answer(reply);
    const read = () => answer.read();
    try {
      const extra = { serving: { ...serving, read } };
      await answer.send(
        legacy
          ? await ofLegacy({ ...serving, read, reached: placesIn(answer, request) }, web)
          : await modern.fetch(web, { parsedBody: body, authInfo: { token: '', clientId: '', scopes: [], extra } }),
      );
    } catch (error) {
      request.log.error({ err: error }, 'a message of MCP failed');
      reply.raw.destroy();
    } finally {
      leave();
    }
    return reply;
  });

  app.get(MCP_PATH, { config: { doc: RESUME_MCP } }, async (request, reply) => {
    refuseForeignOrigin(request, deps);
    return await resumeStream(deps, request, reply, app.closing);
  });
}

/** Serves the messages of a version with a handshake. */
async function ofLegacy(serving: Serving, web: Request): Promise<Response> {
  const server = serverFor(serving, 'legacy');
  const transport = new WebStandardStreamableHTTPServerTransport({ maxRequestBodySize: Number.MAX_SAFE_INTEGER });
  // A disconnected client has cancelled its calls.
  web.signal.addEventListener('abort', () => void server.close(), { once: true });
  await server.connect(transport as Transport);
  return await transport.handleRequest(web, { parsedBody: serving.request.body });
}

/** Takes the response of a client that was asked to decide. False for other messages. */
async function isDecision({ deps, caller }: Serving, body: Json): Promise<boolean> {
  if (!isJsonObject(body) || 'method' in body) return false;
  const asked = askedBy(body.id);
  if (asked === undefined) return false;
  expectExactIn(body, ['result'], 'content');
  const { isContent, ...wait } = asked;
  const decided = decisionIn((body.result ?? {}) as Elicited, isContent);
  // The client cannot act on a refusal of its response, and the wait may have been decided elsewhere.
  if (decided !== undefined) await decideAs(deps, caller, { ...wait, ...decided });
  return true;
}

/** The protocol’s error for a call whose headers do not repeat its arguments as its tool declares; undefined if they do. */
function headerMismatch({ tools, caller, request: { body, headers } }: Serving): object | undefined {
  if (!isJsonObject(body) || methodOf(body) !== 'tools/call' || !isJsonObject(body.params)) return undefined;
  const { name, arguments: given } = body.params;
  const tool = tools.get(String(name));
  // Whether a tool is there is not told to those who may not use it.
  if (!tool || !mayUse(caller, tool.pipeline)) return undefined;
  const mismatch = mismatchOf(tool.headers, isJsonObject(given) ? given : {}, headers);
  if (mismatch === undefined) return undefined;
  return { jsonrpc: '2.0', id: body.id, error: { code: HEADER_MISMATCH, message: `Bad Request: ${mismatch}` } };
}

/** Tells a client with every message how to continue the stream of its call, if it may lose it. */
function placesIn(answer: Answer, { body, headers }: FastifyRequest): Serving['reached'] {
  const { 'mcp-protocol-version': version } = headers;
  if (methodOf(body as Json) !== 'tools/call' || typeof version !== 'string' || version < WITH_PLACES) return undefined;
  const { id, params } = body as { id: string | number; params?: JsonObject };
  const meta = params?._meta;
  const token = isJsonObject(meta) ? meta.progressToken : undefined;
  const known = typeof token === 'string' || typeof token === 'number' ? { token } : {};
  let retry = `retry: ${RETRY_MS}\n`;
  return (place: Reached) => {
    answer.add(`${retry}id: ${eventId({ ...place, request: id, ...known })}\ndata: \n\n`);
    retry = '';
  };
}

/** Aborts with either. */
function endingWith(gone: AbortSignal, closing: AbortSignal): AbortSignal {
  const over = new AbortController();
  const end = () => over.abort();
  for (const signal of [gone, closing]) signal.aborted ? end() : signal.addEventListener('abort', end, { once: true });
  gone.addEventListener('abort', () => closing.removeEventListener('abort', end), { once: true });
  return over.signal;
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
  const message = 'is another site; MILLRACE_CORS_ORIGINS lists those whose pages may call this server';
  throw new MillraceError('FORBIDDEN', `Origin ${message}`, { fields: [{ field: 'Origin', message }] });
}
