import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { readRun } from '../../runs/read.js';
import { type Caller, callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { EventStream } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { asMillraceError, headersOf } from '../http/problem.js';
import { baseUrlOf } from '../http/public-url.js';
import { expectModest } from '../input/input-size.js';
import { type Agent, Agents } from './agents.js';
import { cardOf, cardPathOf } from './card.js';
import { Contexts, RECORDED_MS } from './contexts.js';
import { AGENT_CARD, ONLY_AGENT_CARD, SEND } from './docs.js';
import { errorBody, ProtocolError, RPC } from './errors.js';
import { noPush, sentIn, taskIn } from './message.js';
import { LONGEST_ID, type StreamResponse, type Task, VERSION, VERSION_HEADER } from './protocol.js';
import { artifactsOf, asks, statusOf, submitted, type TaskName, taskOf } from './task.js';
import * as tasks from './tasks.js';
import { TaskUpdates } from './updates.js';

type OfAgent = { Params: { pipeline: string } };
type Result = object;
type Method = (ask: tasks.Ask, params: Json) => Promise<Result | tasks.FollowedTask>;

/** Clients may keep a card for a moment; it changes with a deployment. */
const CARD_CACHE = 'private, max-age=60';
/** The protocol's client for Python gives up after 5 s without a byte. */
const KEEP_ALIVE_MS = 3_000;
const WELL_KNOWN = '/.well-known/agent-card.json';

const METHODS: Readonly<Record<string, Method>> = {
  async SendMessage(ask, params) {
    const sent = sentIn(params);
    if (sent.taskId !== undefined) {
      const decided = await tasks.decide(ask, sent, sent.taskId);
      if (sent.immediate) return { task: await now(ask, decided.name) };
      return { task: await atItsTurn(ask, await tasks.followDecided(ask, decided)) };
    }
    if (!sent.immediate) return { task: await atItsTurn(ask, await tasks.followStarted(ask, sent)) };
    const { name, found } = await tasks.startTask(ask, sent);
    return { task: await taskOf(ask.deps, ask, found, name.context) };
  },
  async SendStreamingMessage(ask, params) {
    const sent = sentIn(params);
    if (sent.taskId === undefined) return await tasks.followStarted(ask, sent);
    return await tasks.followDecided(ask, await tasks.decide(ask, sent, sent.taskId));
  },
  async SubscribeToTask(ask, params) {
    const run = taskIn(params);
    const { context, record } = await tasks.findTask(ask, run);
    tasks.expectOpen(record.document);
    return await tasks.followTask(ask, { run, context });
  },
  async GetTask(ask, params) {
    const { context, record } = await tasks.findTask(ask, taskIn(params), { settleMs: RECORDED_MS });
    return await taskOf(ask.deps, ask, record.document, context);
  },
  CancelTask: async (ask, params) => await now(ask, await tasks.cancelTask(ask, taskIn(params))),
};

/** Methods of the protocol that are not offered, with the protocol's errors. */
function notOffered(method: string): ProtocolError {
  if (method.endsWith('TaskPushNotificationConfig') || method.endsWith('TaskPushNotificationConfigs')) return noPush();
  if (method === 'ListTasks')
    return new ProtocolError(RPC.unsupportedOperation, 'INVALID_INPUT', 'tasks are listed by GET /v1/runs');
  if (method === 'GetExtendedAgentCard')
    return new ProtocolError(RPC.unsupportedOperation, 'INVALID_INPUT', 'the card is the same for all who may see it');
  const known = Object.keys(METHODS).join(', ');
  return new ProtocolError(RPC.methodNotFound, 'INVALID_INPUT', `there are the methods ${known}`, 'method');
}

/** `/a2a/{pipeline}`: each pipeline as an agent of A2A (https://a2a-protocol.org), by its JSON-RPC binding. */
export async function a2aRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const agents = new Agents(deps);
  const contexts = new Contexts(deps);
  takeJson(app);

  const sendCard = (request: FastifyRequest, reply: FastifyReply, agent: Agent) => {
    reply.header('cache-control', CARD_CACHE);
    const { key } = callerOf(request);
    return cardOf(agent, { base: baseUrlOf(deps.publicUrl, request), withKeys: key !== undefined });
  };
  app.get<OfAgent>(`/a2a/:pipeline${WELL_KNOWN}`, { config: { doc: AGENT_CARD } }, async (request, reply) =>
    sendCard(request, reply, agents.get(request.params.pipeline, callerOf(request))),
  );
  app.get(WELL_KNOWN, { config: { doc: ONLY_AGENT_CARD } }, async (request, reply) => {
    const caller = callerOf(request);
    return sendCard(request, reply, agents.get(onlyOf(agents, caller), caller));
  });

  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { permission: 'read', doc: SEND } } as const;
  app.post<OfAgent>('/a2a/:pipeline', options, async (request, reply) => {
    const caller = callerOf(request);
    const agent = agents.get(request.params.pipeline, caller);
    const left = leaving(reply);
    const base = baseUrlOf(deps.publicUrl, request);
    const ask = { deps, contexts, agent, caller, base, request, left, closing: app.closing };
    let id: Json = null;
    try {
      const body = request.body as Json;
      expectModest(body, 'body');
      id = idOf(body);
      const { method, params } = messageIn(body);
      expectVersion(request);
      const run = Object.hasOwn(METHODS, method) ? METHODS[method] : undefined;
      if (run === undefined) throw notOffered(method);
      const result = await run(ask, params);
      if (!('happenings' in result)) return { jsonrpc: '2.0', id, result };
      await stream(ask, reply, result, id);
      return reply;
    } catch (thrown) {
      const error = asMillraceError(thrown);
      Object.assign(request.notes, { code: error.code, error });
      if (error.code === 'INTERNAL') request.log.error({ err: error }, 'a message of A2A failed');
      // Clients read the error of a message only from a response of status 200.
      return reply.headers(headersOf(error)).send(errorBody(error, request, id));
    }
  });
}

function onlyOf(agents: Agents, caller: Caller): string {
  const names = agents.names(caller);
  const [only, ...others] = names;
  if (only !== undefined && others.length === 0) return only;
  const where = names.map(cardPathOf).join(', ') || 'none';
  throw new MillraceError('PIPELINE_NOT_FOUND', `there is no single agent here; the cards of its agents: ${where}`);
}

/** What a request is answered under; null if it cannot be told. */
function idOf(body: Json): Json {
  const { id = null } = isJsonObject(body) ? body : {};
  return typeof id === 'number' || (typeof id === 'string' && id.length <= LONGEST_ID) ? id : null;
}

function messageIn(body: Json): { readonly method: string; readonly params: Json } {
  const invalid = (field: string, message: string) =>
    new ProtocolError(RPC.invalidRequest, 'INVALID_INPUT', `${field} ${message}`, field);
  if (!isJsonObject(body)) throw invalid('body', 'must be one request of JSON-RPC 2.0');
  const { jsonrpc, method, params = {} } = body;
  if (jsonrpc !== '2.0') throw invalid('jsonrpc', 'must be "2.0"');
  if (typeof method !== 'string') throw invalid('method', 'must be the name of a method');
  if (idOf(body) === null) throw invalid('id', `must be a number, or a string of at most ${LONGEST_ID} characters`);
  return { method, params };
}

/** Patch versions do not count; no version is 0.3. */
function expectVersion({ headers }: FastifyRequest): void {
  const { [VERSION_HEADER]: given = '' } = headers;
  if (typeof given === 'string' && given.split('.', 2).join('.') === VERSION) return;
  const named = given === '' ? '0.3, since it is not given' : `"${String(given)}"`;
  const message = `A2A-Version must be ${VERSION}; it is ${named}`;
  throw new ProtocolError(RPC.versionNotSupported, 'INVALID_HEADER', message, 'A2A-Version');
}

const now = async (ask: tasks.Ask, { run, context }: TaskName): Promise<Task> =>
  await taskOf(ask.deps, ask, (await readRun(ask.deps, run, ask.caller)).document, context);

/** The task when it has ended, or waits for its client; when this process shuts down, as it is. */
async function atItsTurn(ask: tasks.Ask, { name, happenings, done }: tasks.FollowedTask): Promise<Task> {
  try {
    for await (const each of happenings) {
      if ('document' in each) return await taskOf(ask.deps, ask, each.document, name.context);
      if ('waits' in each) return { id: name.run, contextId: name.context, status: asks(name, each.waits) };
    }
    return await now(ask, name);
  } finally {
    done();
  }
}

/** Responds with the updates of a task. */
async function stream(ask: tasks.Ask, reply: FastifyReply, followed: tasks.FollowedTask, id: Json): Promise<void> {
  const { deps, request } = ask;
  const events = new EventStream(reply, KEEP_ALIVE_MS);
  const send = (data: object) => events.send({ data: JSON.stringify({ jsonrpc: '2.0', id, ...data }) });
  try {
    for await (const result of updatesOf(ask, followed)) await send({ result });
  } catch (thrown) {
    const error = asMillraceError(thrown);
    Object.assign(request.notes, { code: error.code, error });
    if (error.code === 'INTERNAL') deps.logger.error({ err: error }, 'a stream of A2A failed');
    await send(errorBody(error, request, id));
  } finally {
    events.end();
    followed.done();
  }
}

async function* updatesOf(
  ask: tasks.Ask,
  { name, found, happenings }: tasks.FollowedTask,
): AsyncGenerator<StreamResponse> {
  const { deps, agent, caller } = ask;
  yield { task: found ? await taskOf(deps, ask, found, name.context) : submitted(name) };
  const updates = new TaskUpdates(name, agent, found !== undefined);
  for await (const each of happenings) {
    if ('event' in each) yield* updates.of(each.event);
    else if ('waits' in each) yield updates.waits(each.waits);
    else {
      const { document } = each;
      if (document.status === 'succeeded') yield* updates.end(document, await artifactsOf(deps, ask, document));
      yield updates.status(statusOf(name, caller, document));
    }
  }
}
