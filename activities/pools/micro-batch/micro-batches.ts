import { type ErrorCode, isAway, MillraceError } from '../../../pipelines/errors.js';
import { canonicalJson, type Json } from '../../../pipelines/json.js';
import { jsonHash } from '../../../pipelines/plan/hash.js';
import type { Backend, Call, CallContext, Joining, Reply } from '../../connectors/connector.js';
import { JOINS, type Join, repliesOf } from './joins.js';
import { Member } from './member.js';
import type { Suspects } from './suspects.js';

/** `microBatch` of a pool. */
export interface MicroBatchConfig {
  /** Longest time that a call waits for others, in milliseconds. */
  readonly waitMs: number;
  /** Most texts of a batch. */
  readonly most: number;
}

/** Of a batch's texts together, in UTF-16 units: a request of that size is far below every server's limit. */
const MOST_CHARS = 1_000_000;

/** Errors of the server, which each call of a batch would get alone too. All others may be one call's. */
const ITS_SERVERS: ReadonlySet<ErrorCode> = new Set([
  'BACKEND_UNAVAILABLE',
  'BACKEND_OVERLOADED',
  'BACKEND_RATE_LIMITED',
  'BACKEND_TIMEOUT',
  'BACKEND_BROKEN',
  'BACKEND_UNAUTHORIZED',
  'MODEL_NOT_FOUND',
]);
/** Of these, those after which it is unknown whether the server has run the batch, or whether the batch has broken the server. */
const LOST: ReadonlySet<ErrorCode> = new Set(['BACKEND_UNAVAILABLE', 'BACKEND_TIMEOUT', 'BACKEND_BROKEN']);

interface Group {
  readonly join: Join;
  readonly members: Member[];
  readonly timer: NodeJS.Timeout;
  texts: number;
  chars: number;
}

export interface MicroBatchParts {
  readonly backend: Backend;
  readonly config: MicroBatchConfig;
  readonly joining: Joining;
  /** Of all endpoints of the pool. */
  readonly suspects: Suspects;
  /** Calls that hold a slot of the endpoint, if no other call can get one before one of them ends. */
  readonly inFlight: () => number | undefined;
  /** Called with the number of calls of each request. */
  readonly sent: (calls: number) => void;
}

/**
 * Micro-batches of one endpoint whose server makes none: calls are gathered for at most `waitMs`, until there are `most`
 * texts or no further call can come, and go out as one. To its caller each is a call of its own, with its own result, usage,
 * cancellation, limits and error:
 *
 * - If a batch fails with an error that may be one call's, its halves go out again, until each call has its result or its
 *   own error: at most twice as many requests as there are calls. An error of the server is every call's, and is not tried
 *   again: the stage's policy owns retries.
 * - If a batch is lost, in mid-call or because a call's time ran out, each of its calls goes alone from then on: it may be
 *   the one that the server cannot bear.
 * - Calls of different models, options, priorities or affinities are never put together, nor calls of different tenants where the
 *   connector's requests tell the tenant.
 */
export class MicroBatches {
  readonly #parts: MicroBatchParts;
  readonly #groups = new Map<string, Group>();
  /** Calls that wait here or at the server. */
  #calls = 0;

  constructor(parts: MicroBatchParts) {
    this.#parts = parts;
  }

  /** The endpoint's client, with calls that go out together. */
  get client(): Backend {
    return new Proxy(this.#parts.backend, {
      get: (backend, name) => {
        if (name === 'invoke') return (call: Call, context: CallContext) => this.invoke(call, context);
        const value: unknown = Reflect.get(backend, name);
        return typeof value === 'function' ? value.bind(backend) : value;
      },
    });
  }

  async invoke(call: Call, context: CallContext): Promise<Reply> {
    this.#calls += 1;
    try {
      return await (this.#gathered(call, context) ?? this.#alone(call, context));
    } finally {
      this.#calls -= 1;
    }
  }

  async #alone(call: Call, context: CallContext): Promise<Reply> {
    this.#parts.sent(1);
    return await this.#parts.backend.invoke(call, context);
  }

  /** Undefined for a call that goes alone. */
  #gathered(call: Call, context: CallContext): Promise<Reply> | undefined {
    const { config, suspects } = this.#parts;
    const join = Object.hasOwn(JOINS, call.kind) ? JOINS[call.kind] : undefined;
    const texts = join?.texts(call.input);
    if (!join || !texts || texts.length === 0 || texts.length >= config.most) return undefined;
    // What an earlier attempt has left at the server belongs to this call.
    if (context.resumeFrom !== undefined || suspects.has(context.idempotencyKey)) return undefined;
    context.signal.throwIfAborted();
    const chars = texts.reduce((sum, { length }) => sum + length, 0);
    const key = this.#keyOf(call, context);
    const before = this.#groups.get(key);
    if (before && (before.texts + texts.length > config.most || before.chars + chars > MOST_CHARS)) this.#send(key);
    const group = this.#groups.get(key) ?? this.#open(key, join);
    const member = new Member(call, context);
    group.members.push(member);
    group.texts += texts.length;
    group.chars += chars;
    if (group.texts >= config.most) this.#send(key);
    else if (this.#calls === this.#parts.inFlight()) for (const each of [...this.#groups.keys()]) this.#send(each);
    return member.reply;
  }

  #keyOf({ kind, model, with: options }: Call, { priority, tenant, affinity }: CallContext): string {
    const own = this.#parts.joining.tenants === 'apart' ? (tenant ?? null) : null;
    return canonicalJson([kind, model, options, priority ?? null, affinity ?? null, own] as Json);
  }

  #open(key: string, join: Join): Group {
    const timer = setTimeout(() => this.#send(key), this.#parts.config.waitMs);
    const group = { join, members: [], timer, texts: 0, chars: 0 };
    this.#groups.set(key, group);
    return group;
  }

  #send(key: string): void {
    const group = this.#groups.get(key);
    if (!group) return;
    this.#groups.delete(key);
    clearTimeout(group.timer);
    void this.#together(group.join, group.members);
  }

  /** Ends each of the calls. Never rejects. */
  async #together(join: Join, all: readonly Member[]): Promise<void> {
    const members = all.filter(({ ended }) => !ended);
    const [first, ...more] = members;
    if (!first) return;
    if (more.length === 0) return first.take(this.#alone(first.call, first.context));
    const calls = members.map(({ call }) => call);
    const { own, release } = untilAllLeave(members, () => this.#suspect(members));
    try {
      this.#parts.sent(members.length);
      const { backend } = this.#parts;
      const joined = { ...first.call, input: join.input(calls) };
      const reply = await backend.invoke(joined, contextOf(first.context, members, own));
      for (const [i, each] of repliesOf(join, reply, calls).entries()) members[i]?.resolve(each);
    } catch (error) {
      release();
      if (error instanceof MillraceError && ITS_SERVERS.has(error.code)) {
        if (LOST.has(error.code) && !isAway(error)) this.#suspect(members);
        for (const member of members) member.reject(error);
        return;
      }
      const half = Math.ceil(members.length / 2);
      await Promise.all([this.#together(join, members.slice(0, half)), this.#together(join, members.slice(half))]);
    } finally {
      release();
    }
  }

  #suspect(members: readonly Member[]): void {
    for (const { context } of members) this.#parts.suspects.add(context.idempotencyKey);
  }
}

/**
 * Aborts when the last of the calls has ended.
 * @param late called if one's time ran out
 */
function untilAllLeave(members: readonly Member[], late: () => void): { readonly own: AbortSignal; release(): void } {
  const controller = new AbortController();
  const left = (reason: unknown) => {
    if (reason instanceof MillraceError) late();
    if (members.every(({ ended }) => ended)) controller.abort(reason);
  };
  for (const member of members) member.left = left;
  return {
    own: controller.signal,
    release() {
      for (const member of members) member.left = undefined;
    },
  };
}

/** Of a request of several calls: what is the same for all, the latest deadline, a key of its own, and the first call's trace. */
function contextOf(first: CallContext, members: readonly Member[], signal: AbortSignal): CallContext {
  const contexts = members.map(({ context }) => context);
  const keys = contexts.map(({ idempotencyKey }) => idempotencyKey);
  const ends = contexts.map(({ endsAt }) => endsAt ?? Number.POSITIVE_INFINITY);
  const { tenant, priority, affinity, traceparent } = first;
  return {
    signal,
    audio: first.audio,
    emit: () => undefined,
    checkpoint: () => undefined,
    ...(keys.every((key) => key !== undefined) && { idempotencyKey: jsonHash(keys) }),
    ...(tenant !== undefined && contexts.every((each) => each.tenant === tenant) && { tenant }),
    ...(priority && { priority }),
    ...(affinity !== undefined && { affinity }),
    ...(traceparent !== undefined && { traceparent }),
    ...(Number.isFinite(Math.max(...ends)) && { endsAt: Math.max(...ends) }),
  };
}
