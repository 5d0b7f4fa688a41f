import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import { baseUrl } from '../base-url.js';
import type { Backend, Call, CallContext, Reply } from '../connector.js';
import { chunksOf, exchange, opened, type Transport } from '../exchange.js';
import { HandedOver } from '../handed-over.js';
import { eventsOf } from '../http/events.js';
import { HttpFault, shortened } from '../http-fault.js';
import { parseJson } from '../json-values.js';
import { mapped } from '../mapped.js';
import type { LinkedTransport } from '../transport.js';
import { agentIn, type RemoteAgent } from './card.js';
import { mapError, rpcError } from './errors.js';
import { type Asked, dataIn, METHODS, messageParams, type Outgoing, type RemoteTask, textIn, toldIn } from './wire.js';

const CARD_PATH = '/.well-known/agent-card.json';
/** How long a card is used, in milliseconds: agents change theirs with a deployment. */
const CARD_MS = 60_000;
/** The wait between two questions about a task, in milliseconds; it grows by half each time. */
const POLL_MS = { first: 500, most: 10_000 };
/** Questions in a row that may fail: the task goes on while they do. */
const MOST_FAILURES = 5;
/** A cancelled call does not wait for its task's end. */
const CANCEL_MS = 5_000;
/** Longest id of a task, in UTF-16 units: every heartbeat of the attempt has it. */
const LONGEST_ID = 1_024;

const WORKING: ReadonlySet<string> = new Set(['submitted', 'working', 'unknown', 'unspecified', '']);
/** Errors of a question that another one would get too. */
const FINAL: ReadonlySet<string> = new Set(['BACKEND_UNAUTHORIZED', 'BACKEND_REJECTED', 'INVALID_OUTPUT']);

/** What is kept of a task for the next attempt. */
interface Kept {
  readonly endpoint: string;
  readonly task: string;
}

interface BackendOptions {
  readonly key?: string | undefined;
  readonly origins?: readonly string[];
}

/**
 * One remote agent. A message is sent once: as soon as the agent has named a task, later attempts ask for that task, also if it has
 * failed or is gone.
 */
export class A2aBackend implements Backend {
  readonly endpoint: string;
  readonly close: () => void;
  readonly #base: string;
  readonly #transport: Transport;
  readonly #key: string | undefined;
  readonly #origins: ReadonlySet<string>;
  #card: { readonly agent: RemoteAgent; readonly until: number } | undefined;

  constructor(
    endpoint: string,
    { key, origins = [] }: BackendOptions,
    { fetch: transport, close }: LinkedTransport<Transport>,
  ) {
    this.close = close;
    this.endpoint = endpoint;
    this.#base = baseUrl(endpoint, 'a2a');
    this.#transport = transport;
    this.#key = key;
    this.#origins = new Set([new URL(this.#base).origin, ...origins]);
  }

  invoke(call: Call, context: CallContext): Promise<Reply> {
    return this.#mapped(call.model, context.signal, async () => {
      const agent = await this.#agent(context.signal);
      return { output: await this.#asked(agent, call, context) };
    });
  }

  holds(checkpoint: Json): boolean {
    const { endpoint, task } = keptIn(checkpoint);
    return task !== undefined && endpoint === this.#base;
  }

  /** Reads the card: a message would be a call of the agent, with its effects. */
  probe(model: string, _kind: string, signal: AbortSignal): Promise<void> {
    return this.#mapped(model, signal, async () => void (await this.#readCard(signal)));
  }

  /** Reads the card anew: it is asked whether the agent can be reached. */
  fingerprint(model: string, signal: AbortSignal): Promise<string> {
    return this.#mapped(model, signal, async () => (await this.#readCard(signal)).fingerprint);
  }

  async #asked(agent: RemoteAgent, { input }: Call, context: CallContext): Promise<JsonObject> {
    const kept = this.#kept(context.resumeFrom);
    let task = kept;
    try {
      if (task === undefined) {
        const outgoing = outgoingOf(input, context.idempotencyKey);
        const begun = (id: string) => {
          if (task === id) return;
          if (id.length > LONGEST_ID) throw wrong(`task has an id of more than ${LONGEST_ID} characters`);
          task = id;
          context.checkpoint({ endpoint: this.#base, task: id } satisfies Kept as unknown as Json);
        };
        const answer = await this.#send(agent, outgoing, context, begun);
        if (answer) return answer;
      }
      if (task === undefined) throw new MillraceError('INVALID_OUTPUT', 'the agent named no task and gave no answer');
      return outputOf(await this.#ended(agent, task, context));
    } catch (error) {
      // The next attempt goes on with the task of a call that its worker hands over.
      if (context.signal.aborted && task !== undefined && !(context.signal.reason instanceof HandedOver))
        this.#cancel(agent, task);
      throw error;
    }
  }

  /** Sends the message and tells which task it has begun. Resolves with the output if the agent has answered without one. */
  async #send(
    agent: RemoteAgent,
    outgoing: Outgoing,
    context: CallContext,
    begun: (task: string) => void,
  ): Promise<JsonObject | undefined> {
    const params = messageParams(agent.version, outgoing);
    if (agent.streams) return await this.#streamed(agent, params, context, begun);
    const told = toldIn(await this.#rpc(agent, 'send', params, context.signal));
    if (told && 'task' in told) begun(told.task.id);
    return told && 'message' in told ? answerOf(told) : undefined;
  }

  /** Reads a stream until it ends or breaks off; once the task is known it is asked for. */
  async #streamed(
    agent: RemoteAgent,
    params: JsonObject,
    context: CallContext,
    begun: (task: string) => void,
  ): Promise<JsonObject | undefined> {
    const { signal } = context;
    let known = false;
    const live = new LiveText(context);
    try {
      for await (const result of this.#events(agent, params, signal)) {
        const told = toldIn(result);
        if (!told) continue;
        if ('message' in told) return answerOf(told);
        if ('artifact' in told) {
          live.add(told.artifact);
          continue;
        }
        const { id, state } = 'task' in told ? told.task : { id: told.status.task, state: told.status.state };
        if (id !== '') {
          begun(id);
          known = true;
        }
        context.emit('');
        if (known && !WORKING.has(state)) return undefined;
      }
    } catch (error) {
      if (!known || signal.aborted) throw error;
    }
    return undefined;
  }

  async *#events(agent: RemoteAgent, params: JsonObject, signal: AbortSignal): AsyncGenerator<Json> {
    const sent = this.#request(agent, 'stream', params);
    const response = await opened(this.#transport, sent, signal);
    const type = response.headers.get('content-type') ?? '';
    if (!type.startsWith('text/event-stream')) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of chunksOf(response, signal)) chunks.push(chunk);
      yield resultIn(response, Buffer.concat(chunks));
      return;
    }
    for await (const { data } of eventsOf(chunksOf(response, signal))) yield resultIn(response, Buffer.from(data));
  }

  /** Asks for a task until it has ended or waits for its client. */
  async #ended(agent: RemoteAgent, id: string, context: CallContext): Promise<RemoteTask> {
    let waitMs = POLL_MS.first;
    for (let failures = 0; ; ) {
      const told = await this.#rpc(agent, 'get', { id }, context.signal).then(toldIn, (error: unknown) => {
        failures++;
        if (context.signal.aborted || failures === MOST_FAILURES || isFinal(error)) throw error;
        return undefined;
      });
      if (told && 'task' in told) {
        failures = 0;
        context.emit('');
        if (!WORKING.has(told.task.state)) return told.task;
      }
      await sleep(waitMs, undefined, { signal: context.signal });
      waitMs = Math.min(waitMs * 1.5, POLL_MS.most);
    }
  }

  /** Does not wait for the agent, because the call has ended. If the agent is not reached, it finishes the task, and the result is not used. */
  #cancel(agent: RemoteAgent, id: string): void {
    this.#rpc(agent, 'cancel', { id }, AbortSignal.timeout(CANCEL_MS)).catch(() => undefined);
  }

  async #rpc(agent: RemoteAgent, asked: Asked, params: JsonObject, signal: AbortSignal): Promise<Json> {
    const answer = await exchange(this.#transport, this.#request(agent, asked, params), signal);
    return resultIn(answer, answer.body);
  }

  #request({ url, version }: RemoteAgent, asked: Asked, params: JsonObject) {
    return {
      url,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: asked === 'stream' ? 'text/event-stream' : 'application/json',
        'a2a-version': version,
        ...this.#credential(),
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: METHODS[version][asked], params }),
    };
  }

  #credential(): Record<string, string> {
    return this.#key === undefined ? {} : { authorization: `Bearer ${this.#key}` };
  }

  async #agent(signal: AbortSignal): Promise<RemoteAgent> {
    const now = performance.now();
    if (this.#card && this.#card.until > now) return this.#card.agent;
    return await this.#readCard(signal);
  }

  async #readCard(signal: AbortSignal): Promise<RemoteAgent> {
    const headers = { 'a2a-version': '1.0', accept: 'application/json', ...this.#credential() };
    const sent = { url: `${this.#base}${CARD_PATH}`, method: 'GET', headers };
    const answer = await exchange(this.#transport, sent, signal);
    if (answer.status === 404) throw new MillraceError('MODEL_NOT_FOUND', `there is no agent card at ${CARD_PATH}`);
    if (answer.status >= 300) throw new HttpFault(answer, detailOf(answer.body));
    const agent = agentIn(parseJson(answer.body, wrong), this.#origins);
    this.#card = { agent, until: performance.now() + CARD_MS };
    return agent;
  }

  /** The task that an earlier attempt has begun. Throws `BACKEND_UNAVAILABLE` if another endpoint has it. */
  #kept(resumeFrom: Json | undefined): string | undefined {
    const { endpoint, task } = keptIn(resumeFrom);
    if (task === undefined || endpoint === this.#base) return task;
    const message = `the task ${task} is at another endpoint, ${endpoint}`;
    throw new MillraceError('BACKEND_UNAVAILABLE', message, { elsewhere: true });
  }

  #mapped<T>(model: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    return mapped(mapError, { endpoint: this.endpoint, model, signal }, work);
  }
}

const keptIn = (checkpoint: Json | undefined): Partial<Kept> =>
  (isJsonObject(checkpoint) ? checkpoint : {}) as Partial<Kept>;

/** Tells the text of an answer while it is written. What replaces text that was told is told no more: the output has it. */
class LiveText {
  readonly #context: CallContext;
  #artifact: string | undefined;
  #over = false;

  constructor(context: CallContext) {
    this.#context = context;
  }

  add({ id, text, append }: { readonly id: string; readonly text: string; readonly append: boolean }): void {
    const begins = this.#artifact === undefined && text !== '';
    if (begins) this.#artifact = id;
    const continues = begins || (append && id === this.#artifact && !this.#over);
    if (!continues && id === this.#artifact) this.#over = true;
    this.#context.emit(continues ? text : '');
  }
}

/** Agents may refuse long ids, and those with spaces. */
const messageIdOf = (key: string): string => `millrace-${createHash('sha256').update(key).digest('hex').slice(0, 40)}`;

function outgoingOf(input: JsonObject, key: string = randomUUID()): Outgoing {
  const { message, data, task, context } = input as unknown as Omit<Outgoing, 'messageId'>;
  if (message === undefined && data === undefined)
    throw new MillraceError('INVALID_INPUT', 'a message to an agent has a message, data, or both', {
      fields: [{ field: 'message', message: 'is missing, and so is data' }],
    });
  return { messageId: messageIdOf(key), message, data, task, context };
}

const answerOf = ({ message, context }: { readonly message: readonly JsonObject[]; readonly context: string }) => ({
  ...{ state: 'completed', text: textIn(message), data: dataIn(message), task: '', context },
});

/** Throws the error of a task that has failed: another attempt would ask for the same task, and no other endpoint has it. */
function outputOf({ id, context, state, says, artifacts }: RemoteTask): JsonObject {
  const of = { state, task: id, context };
  if (state === 'completed') {
    const texts = artifacts.map(textIn).filter((text) => text !== '');
    const text = texts.length > 0 ? texts.join('\n') : textIn(says);
    return { ...of, text, data: dataIn(artifacts.flat()) };
  }
  if (state === 'input-required') return { ...of, text: textIn(says), data: dataIn(says) };
  const what = `the task ${id} is ${state}${says.length > 0 ? `: ${shortened(textIn(says))}` : ''}`;
  throw new MillraceError(state === 'auth-required' ? 'BACKEND_UNAUTHORIZED' : 'BACKEND_REJECTED', what, {
    final: true,
  });
}

const isFinal = (error: unknown): boolean => error instanceof MillraceError && FINAL.has(error.code);

/** Statuses with which servers send errors of JSON-RPC; others say more than the body: keys, rates, a proxy. */
const OF_RPC: ReadonlySet<number> = new Set([400, 404, 500]);

/** The result of an answer of JSON-RPC. Throws what it says in place of one. */
function resultIn({ status, headers }: { readonly status: number; readonly headers: Headers }, body: Uint8Array): Json {
  const fails = status >= 300;
  const answered = fails ? errorIn(body) : parseJson(body, wrong);
  const { error, result = null } = isJsonObject(answered) ? answered : ({} as JsonObject);
  if (isJsonObject(error) && (!fails || OF_RPC.has(status))) throw rpcError(error);
  if (fails) throw new HttpFault({ status, headers }, detailOf(body));
  if (!isJsonObject(answered)) throw wrong('text is no answer of JSON-RPC');
  return result;
}

function errorIn(body: Uint8Array): Json {
  try {
    return parseJson(body, wrong);
  } catch {
    return null;
  }
}

const detailOf = (body: Uint8Array): string => shortened(new TextDecoder().decode(body));
const wrong = (problem: string): MillraceError => new MillraceError('INVALID_OUTPUT', `the agent’s ${problem}`);
