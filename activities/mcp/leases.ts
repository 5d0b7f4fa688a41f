import {
  type Client,
  type ElicitRequestParams,
  type ElicitResult,
  ProtocolError,
  ProtocolErrorCode,
} from '@modelcontextprotocol/client';
import { messageOf } from '../../pipelines/errors.js';
import type { Question } from '../../pipelines/run/index.js';
import { FairSlots } from '../../runtime/fair-slots.js';
import type { McpServerConfig } from './config.js';
import { open } from './connection.js';
import { type Ask, questionIn } from './question.js';

/**
 * Most connections of a worker to one server whose calls may be asked, in all and of one tenant; a further call waits for one. Each is a
 * process of its own if the worker starts the server.
 */
const MOST = 64;
const MOST_OF_TENANT = 16;
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
  /** With what gives the place of each back. */
  readonly #taken = new Map<Lease, () => void>();
  readonly #places = new FairSlots(MOST, MOST_OF_TENANT);
  #kept: Lease | undefined;

  constructor(config: McpServerConfig) {
    this.#config = config;
  }

  /**
   * Waits while there is no connection for the tenant. Rejects with the reason of `signal`.
   * @param onWait called if there is none at once
   */
  async take(tenant: string, signal: AbortSignal, onWait?: () => void): Promise<Lease> {
    const giveBack = await this.#places.acquire(tenant, signal, onWait);
    const kept = this.#kept?.lost === false ? this.#kept : undefined;
    this.#kept = undefined;
    const lease = kept ?? new Lease(this.#config);
    this.#taken.set(lease, giveBack);
    return lease;
  }

  /** @param clean the call has its result: unless a question of it is open, the server asks nothing more on its behalf */
  give(lease: Lease, clean: boolean): void {
    lease.ask = undefined;
    const giveBack = this.#taken.get(lease);
    if (giveBack === undefined) return;
    this.#taken.delete(lease);
    if (clean && lease.idle && !lease.lost && this.#kept === undefined) this.#kept = lease;
    else void lease.close();
    giveBack();
  }

  async close(): Promise<void> {
    const all = [...this.#taken.keys(), ...(this.#kept ? [this.#kept] : [])];
    this.#taken.clear();
    this.#kept = undefined;
    await Promise.all(all.map((lease) => lease.close()));
  }
}
