import {
  type Client,
  type ElicitRequestParams,
  type ElicitResult,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/client';
import { messageOf } from '../../pipelines/errors.js';
import type { Question } from '../../pipelines/run/index.js';
import type { McpServerConfig } from './config.js';
import { open } from './connection.js';
import { type Ask, questionIn } from './question.js';

/** Most connections of a worker to one server whose calls may be asked; a further call waits for one. */
const MOST = 16;
/** Most questions of a call that its server waits for: each is asked by the worker until the run takes it. */
const MOST_OPEN = 8;

/**
 * A connection that one call has to itself. A server with a handshake does not say during which call it asks, so no two calls may be under way on one
 * connection: the question of one tenant's call would be shown to another.
 */
export class Lease {
  lost = false;
  /** Of the call that has the connection. */
  ask: Ask | undefined;
  /** Questions that the server waits for. */
  #open = 0;
  readonly client: Promise<Client>;

  constructor(config: McpServerConfig) {
    const onLost = () => {
      this.lost = true;
    };
    this.client = open(config, onLost, (params) => this.#asked(params));
    this.client.catch(onLost);
  }

  /** The server waits for no answer. */
  get idle(): boolean {
    return this.#open === 0;
  }

  async #asked(params: ElicitRequestParams): Promise<ElicitResult> {
    if (this.ask === undefined) return { action: 'cancel' };
    if (this.#open >= MOST_OPEN)
      throw new ProtocolError(ProtocolErrorCode.InvalidRequest, `more than ${MOST_OPEN} questions at once`);
    let question: Question;
    try {
      question = questionIn(params);
    } catch (error) {
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, messageOf(error));
    }
    this.#open += 1;
    try {
      const { action, content } = await this.ask(question);
      return { action, ...(content && { content: content as Record<string, string> }) };
    } finally {
      this.#open -= 1;
    }
  }

  close(): Promise<void> {
    return this.client.then((client) => client.close()).catch(() => undefined);
  }
}

/** A worker's connections to one server whose calls may be asked: each call has one, and one is kept for the next call. */
export class Leases {
  readonly #config: McpServerConfig;
  readonly #taken = new Set<Lease>();
  readonly #queue: (() => void)[] = [];
  #kept: Lease | undefined;

  constructor(config: McpServerConfig) {
    this.#config = config;
  }

  /** Waits while all connections are taken. Rejects with the reason of `signal`. */
  async take(signal: AbortSignal): Promise<Lease> {
    while (this.#taken.size >= MOST) await this.#room(signal);
    if (signal.aborted) {
      // The room that it was called for is the next one's.
      this.#queue.shift()?.();
      throw signal.reason;
    }
    const kept = this.#kept?.lost === false ? this.#kept : undefined;
    this.#kept = undefined;
    const lease = kept ?? new Lease(this.#config);
    this.#taken.add(lease);
    return lease;
  }

  /** @param clean the call has its result: unless a question of it is open, the server asks nothing more on its behalf */
  give(lease: Lease, clean: boolean): void {
    lease.ask = undefined;
    if (!this.#taken.delete(lease)) return;
    if (clean && lease.idle && !lease.lost && this.#kept === undefined) this.#kept = lease;
    else void lease.close();
    this.#queue.shift()?.();
  }

  async close(): Promise<void> {
    const all = [...this.#taken, ...(this.#kept ? [this.#kept] : [])];
    this.#taken.clear();
    this.#kept = undefined;
    await Promise.all(all.map((lease) => lease.close()));
  }

  #room(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        const at = this.#queue.indexOf(go);
        if (at >= 0) this.#queue.splice(at, 1);
        reject(signal.reason);
      };
      const go = () => {
        signal.removeEventListener('abort', leave);
        resolve();
      };
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener('abort', leave, { once: true });
      this.#queue.push(go);
    });
  }
}
