import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { type Caller, callerOf } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { documentTurns } from '../http/document-turns.js';
import { EventStream } from '../http/event-stream.js';
import { takeJson } from '../http/json-body.js';
import { leaving } from '../http/leaving.js';
import { asMillraceError, headersOf } from '../http/problem.js';
import { baseUrlOf } from '../http/public-url.js';
import { expectExactIn } from '../input/exact-numbers.js';
import { forgetBody } from '../input/held-bodies.js';
import { expectModest } from '../input/input-size.js';
import { type Agent, Agents } from './agents.js';
import type { Ask } from './ask.js';
import { cardOf, cardPathOf } from './card.js';
import { Contexts } from './contexts.js';
import { AGENT_CARD, formerly, ONLY_AGENT_CARD, SEND } from './docs.js';
import { errorBody, ProtocolError, RPC } from './errors.js';
import { atItsTurn, methodOf } from './methods.js';
import { LONGEST_ID, type StreamResponse } from './protocol.js';
import { pushes } from './push.js';
import { artifactsOf, statusOf, submitted, taskOf } from './task.js';
import type { FollowedTask } from './tasks.js';
import { TaskUpdates } from './updates.js';
import { VERSION_NAME, versionIn, wireOf } from './versions.js';

type OfAgent = { Params: { pipeline: string } };

/** Clients may keep a card for a moment; it changes with a deployment. */
const CARD_CACHE = 'private, max-age=60';
/** The protocol's client for Python gives up after 5 s without a byte. */
const KEEP_ALIVE_MS = 3_000;
const WELL_KNOWN = '/.well-known/agent-card.json';
/** Where clients of versions before 0.3 look for a card. */
const FORMER = '/.well-known/agent.json';

/** `/a2a/{pipeline}`: each pipeline as an agent of A2A (https://a2a-protocol.org), by its JSON-RPC binding. */
export async function a2aRoutes(app: FastifyInstance, deps: GatewayDeps): Promise<void> {
  const agents = new Agents(deps);
  const contexts = new Contexts(deps);
  takeJson(app, { exact: 'noted' });

  const sendCard = (request: FastifyRequest, reply: FastifyReply, agent: Agent) => {
    reply.header('cache-control', CARD_CACHE).header('vary', VERSION_NAME);
    const { key, tenant } = callerOf(request);
    return cardOf(agent, {
      base: baseUrlOf(deps.publicUrl, request),
      withKeys: key !== undefined,
      issuer: deps.authenticator?.tokens?.issuer,
      pushes: pushes(deps, tenant),
      version: versionIn(request),
    });
  };
  const cards = [
    { path: WELL_KNOWN, own: { doc: AGENT_CARD }, only: { doc: ONLY_AGENT_CARD } },
    { path: FORMER, own: { doc: formerly(AGENT_CARD) }, only: { doc: formerly(ONLY_AGENT_CARD) } },
  ];
  for (const { path, own, only } of cards) {
    app.get<OfAgent>(`/a2a/:pipeline${path}`, { config: own }, async (request, reply) =>
      sendCard(request, reply, agents.get(request.params.pipeline, callerOf(request))),
    );
    app.get(path, { config: only }, async (request, reply) => {
      const caller = callerOf(request);
      return sendCard(request, reply, agents.get(onlyOf(agents, caller), caller));
    });
  }

  const options = { bodyLimit: deps.limits.maxJsonBytes, config: { permission: 'read', doc: SEND } } as const;
  app.post<OfAgent>('/a2a/:pipeline', options, async (request, reply) => {
    const caller = callerOf(request);
    const agent = agents.get(request.params.pipeline, caller);
    const left = leaving(reply);
    const base = baseUrlOf(deps.publicUrl, request);
    const { response } = request;
    const asker = { deps, contexts, agent, caller, base, response, request, left, closing: app.closing };
    let id: Json = null;
    try {
      expectModest(request.body as Json, 'body');
      id = idOf(request.body as Json);
      const { ask, known, result } = await request.held.during(() => begun(asker));
      const { wire } = ask;
      if ('happenings' in result) {
        const turnEnds = known !== 'SubscribeToTask';
        await stream(ask, reply, result, { id, write: (event) => wire.eventOf(event, turnEnds) });
        return reply;
      }
      const answer = 'turnOf' in result ? { task: await atItsTurn(ask, result.turnOf) } : result;
      return { jsonrpc: '2.0', id, result: wire.resultOf(answer) };
    } catch (thrown) {
      const error = asMillraceError(thrown);
      Object.assign(request.notes, { code: error.code, error });
      if (error.code === 'INTERNAL') request.log.error({ err: error }, 'a message of A2A failed');
      // Clients read the error of a message only from a response of status 200.
      return reply.headers(headersOf(error, request.hint)).send(errorBody(error, request, id));
    }
  });
}

/** Does what a message asks for, up to where a run is waited for: nothing of its body is left then. */
async function begun(asker: Omit<Ask, 'wire'>) {
  const { request } = asker;
  const body = request.body as Json;
  const { method, params } = messageIn(body);
  expectExactIn(body, ['params'], 'message', 'parts');
  const wire = wireOf(request, method);
  const { known, run } = methodOf(method, wire);
  const ask = { ...asker, wire };
  const result = await run(ask, wire.paramsOf(known, params));
  if ('happenings' in result || 'turnOf' in result) forgetBody(request);
  return { ask, known, result };
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

interface Answering {
  readonly id: Json;
  /** Writes an event in the version of the request. */
  readonly write: (event: StreamResponse) => object;
}

/** Responds with the updates of a task. */
async function stream(ask: Ask, reply: FastifyReply, followed: FollowedTask, { id, write }: Answering): Promise<void> {
  const { deps, request } = ask;
  const events = new EventStream(reply, KEEP_ALIVE_MS);
  const send = (data: object) => events.send({ data: JSON.stringify({ jsonrpc: '2.0', id, ...data }) });
  try {
    for await (const event of updatesOf(ask, followed)) await send({ result: write(event) });
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

async function* updatesOf(ask: Ask, { name, found, happenings }: FollowedTask): AsyncGenerator<StreamResponse> {
  const { deps, agent, caller } = ask;
  yield { task: found ? await taskOf(deps, ask, found, name.context) : submitted(name) };
  const updates = new TaskUpdates(name, agent, found !== undefined);
  for await (const each of happenings) {
    if ('event' in each) yield* updates.of(each.event);
    else if ('waits' in each) yield updates.waits(each.waits);
    else {
      const { document } = each;
      // All who have subscribed get it at the same moment, and each an answer of its own.
      await documentTurns.in(caller.tenant, () => undefined);
      if (document.status === 'succeeded') yield* updates.end(document, await artifactsOf(deps, ask, document));
      yield updates.status(statusOf(name, caller, document));
    }
  }
}
