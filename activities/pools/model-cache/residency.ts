import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import { limited } from '../../../runtime/limited.js';
import type { Endpoint } from '../endpoint.js';
import type { LoadConfig } from '../load-schema.js';
import { Pace } from '../pace.js';
import { parseSchedule } from '../schedule.js';
import type { Admission, ServerModels } from './server-models.js';

/**
 * So long a call waits in the worker for a load. It is taken from the time of its attempt, so it is short: a call that needs longer
 * goes back to its stage, which waits without a slot and without using an attempt.
 */
const HELD_MS = 250;
/** Longest wait for store and server; each of their answers has a limit of its own. */
const ANSWER_MS = 30_000;

export interface ResidencyParts {
  /** The pool’s name. */
  readonly name: string;
  /** The model’s name at the servers. */
  readonly model: string;
  readonly load: LoadConfig;
  /** May change. */
  readonly endpoints: readonly Endpoint[];
  readonly serverOf: (endpoint: Endpoint) => ServerModels;
}

/** What is wanted of the model. */
export interface Wanted {
  /** A call, or a hint that one may come. */
  readonly calls: 0 | 1;
  /** Devices to use if there is an endpoint on one of them. */
  readonly devices?: readonly string[] | undefined;
}

interface Asked {
  readonly endpoint: Endpoint;
  readonly answer: Admission;
}

/** A call that the model is loaded for. */
export interface Stay {
  /** Makes the call at an endpoint. Throws an error of `isLoading` if the model is not loaded there. */
  at<T>(url: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
  leave(): void;
}

/** Sees to it that a pool’s model is loaded where its calls go, and stays loaded until they have ended. */
export class Residency {
  readonly #parts: ResidencyParts;
  readonly #pace = new Pace();
  readonly #joined = new Map<Endpoint, () => void>();

  constructor(parts: ResidencyParts) {
    this.#parts = parts;
  }

  /** An endpoint of the pool is there. */
  add(endpoint: Endpoint): void {
    const { model, load, serverOf } = this.#parts;
    const { repository } = endpoint.backend;
    if (!repository) return;
    const { memory: bytes, of: budget, pin: pinned } = load;
    const prefetch = load.prefetch === undefined ? undefined : parseSchedule(load.prefetch);
    const managed = { name: model, bytes, budget, pinned, prefetch, repository };
    this.#joined.set(endpoint, serverOf(endpoint).join(managed));
  }

  remove(endpoint: Endpoint): void {
    this.#joined.get(endpoint)?.();
    this.#joined.delete(endpoint);
  }

  /**
   * Resolves when the model is loaded at an endpoint, or if no endpoint can be reached. Otherwise it has the model loaded at one, and
   * throws an error of `isLoading`, or `MODEL_NOT_LOADED`. Throws the signal's reason when it aborts.
   */
  async enter(signal: AbortSignal, wanted: Wanted): Promise<Stay> {
    const entering = this.#enter(wanted);
    try {
      return await limited(ANSWER_MS, signal, () => entering);
    } catch (error) {
      entering.then(
        (stay) => stay.leave(),
        () => undefined,
      );
      throw error;
    }
  }

  async #enter(wanted: Wanted): Promise<Stay> {
    const held = new Map<string, () => void>();
    try {
      let asked = await this.#ask(wanted);
      if (asked.length > 0 && !asked.some(({ answer }) => answer.ready)) {
        await this.#load(asked, wanted);
        asked = await this.#ask(wanted);
        if (!asked.some(({ answer }) => answer.ready)) throw this.#loading(asked[0]);
      }
      for (const { endpoint, answer } of asked) {
        endpoint.cold = !answer.ready;
        if (answer.ready) held.set(endpoint.url, answer.leave);
      }
    } catch (error) {
      for (const leave of held.values()) leave();
      throw error;
    }
    return {
      at: (url, signal, work) => this.#at(url, signal, held, work),
      leave() {
        for (const leave of held.values()) leave();
        held.clear();
      },
    };
  }

  /** What `enter` throws, if the model is not loaded; then it is being loaded. */
  async missing(wanted: Wanted): Promise<unknown> {
    try {
      (await this.#enter(wanted)).leave();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  async #ask({ calls, devices = [] }: Wanted): Promise<readonly Asked[]> {
    const { model, endpoints, serverOf } = this.#parts;
    const on = endpoints.filter(({ device }) => devices.includes(device));
    const among = on.length > 0 ? on : endpoints;
    const reachable = among.filter((endpoint) => endpoint.away === undefined && this.#joined.has(endpoint));
    const asked = reachable.map(async (endpoint) => ({
      endpoint,
      answer: await serverOf(endpoint).enter(model, calls),
    }));
    const settled = await Promise.allSettled(asked);
    const answers = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const [first] = settled;
    // Only without the store is the server asked, which is away then.
    if (answers.length === 0 && first?.status === 'rejected') throw this.#unavailable(messageOf(first.reason));
    return answers;
  }

  /** Loads the model at one of the endpoints. Resolves when it is loaded. */
  async #load(asked: readonly Asked[], { calls }: Wanted): Promise<void> {
    const { model, serverOf } = this.#parts;
    const target = this.#targetOf(asked);
    if (!target) return;
    try {
      const late = sleep(HELD_MS, 'late' as const, { ref: false });
      if ((await Promise.race([serverOf(target.endpoint).load(model, calls === 0), late])) !== 'late') return;
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code === 'MODEL_NOT_LOADED') throw error;
      // The server is away.
      if (error.code === 'BACKEND_UNAVAILABLE' && error.cause !== undefined) throw this.#unavailable(error.message);
      throw this.#loading(target, error.message);
    }
    throw this.#loading(target);
  }

  /**
   * Where the model is being loaded already; else where most memory is free. An endpoint that gets no calls now, or where the model could
   * not be loaded a short time ago, only if there is no other.
   */
  #targetOf(asked: readonly Asked[]): Asked | undefined {
    const { of } = this.#parts.load;
    const rank = ({ endpoint, answer }: Asked): number => {
      if (answer.ready) return 0;
      const able = answer.failed === undefined ? 4 * of : 0;
      return able + (endpoint.unwanted ? 0 : 2 * of) + (answer.changing === 'load' ? of : 0) + of - answer.used;
    };
    const [target] = asked.toSorted((a, b) => rank(b) - rank(a) || a.endpoint.load - b.endpoint.load);
    return target;
  }

  async #at<T>(url: string, signal: AbortSignal, held: Map<string, () => void>, work: () => Promise<T>): Promise<T> {
    const { model, endpoints, serverOf } = this.#parts;
    const endpoint = endpoints.find((each) => each.url === url);
    // It has left the pool meanwhile; the call ends there.
    if (!endpoint || !this.#joined.has(endpoint)) return work();
    const server = serverOf(endpoint);
    const own = held.get(url);
    if (!own) {
      // The endpoints that have the model take no calls.
      const answer = await server.enter(model);
      // Of a hedge that has been decided meanwhile: the stay is over, and would not leave here.
      if (signal.aborted) {
        if (answer.ready) answer.leave();
        throw signal.reason;
      }
      if (!answer.ready) {
        void server.load(model).catch(() => undefined);
        throw this.#loading({ endpoint, answer });
      }
      held.set(url, answer.leave);
    }
    for (const [other, leave] of held) {
      if (other === url || !own) continue;
      leave();
      held.delete(other);
    }
    try {
      return await work();
    } catch (error) {
      if (!isMissing(error)) throw error;
      // The server has restarted, or another client has unloaded the model: no model has received the call.
      const state = await limited(ANSWER_MS, signal, () => server.missed(model)).catch(() => 'unknown' as const);
      if (state === 'ready' || state === 'unknown') throw error;
      void server.load(model).catch(() => undefined);
      throw this.#loading({ endpoint, answer: { ready: false, used: 0 } }, messageOf(error));
    }
  }

  #loading(asked: Asked | undefined, why?: string): MillraceError {
    const { name, model } = this.#parts;
    const { answer, endpoint } = asked ?? {};
    const loadMs = answer && !answer.ready ? answer.loadMs : undefined;
    const usually = loadMs === undefined ? '' : `, which takes about ${Math.ceil(loadMs / 1_000)} s`;
    const text = why ?? `${model} at ${endpoint?.url ?? name}: it is being loaded${usually}`;
    return this.#waiting(text, { loading: true, ...(loadMs !== undefined && { loadMs: Math.round(loadMs) }) });
  }

  #unavailable(text: string): MillraceError {
    return this.#waiting(text, {});
  }

  #waiting(text: string, more: { readonly loading?: true; readonly loadMs?: number }): MillraceError {
    const retryAfterMs = this.#pace.turnedAway();
    return new MillraceError('BACKEND_UNAVAILABLE', text, {
      ...{ unsent: true, pool: this.#parts.name, ...more },
      ...(retryAfterMs > 0 && { retryAfterMs }),
    });
  }
}

/** Whether a call has found its model not loaded: nothing was sent, and its endpoint is well. */
export const isLoading = (error: unknown): boolean => error instanceof MillraceError && error.details.loading === true;

/** Whether a server that has lost its models, or is loading one, answers so. */
const isMissing = (error: unknown): boolean =>
  error instanceof MillraceError &&
  (error.code === 'MODEL_NOT_FOUND' || (error.code === 'BACKEND_UNAVAILABLE' && error.details.unsent === true));
