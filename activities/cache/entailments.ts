import { MillraceError } from '../../pipelines/errors.js';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { jsonHash } from '../../pipelines/plan/hash.js';
import type { CacheVerifier } from '../../pipelines/plan/index.js';
import { limited } from '../../runtime/limited.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { CacheRequest } from './cache-key.js';
import type { Entailment } from './entailment.js';
import { type Flight, Flights } from './flights.js';

export interface EntailmentsParts {
  /** Throws if there is no such pool. Absent: no model of entailment is asked. */
  readonly entailmentFor?: ((name: string, label: string) => Entailment) | undefined;
  readonly metrics: Metrics;
  /** Called when the model has not answered, or not with scores. */
  readonly onFailure: (request: CacheRequest, error: unknown) => void;
}

/**
 * Most characters of the two texts together. A model reads some 512 tokens of a pair and ignores the rest, in which the
 * difference may be. A plain English text has no more tokens than characters, so that all of such a pair is read.
 */
export const LONGEST_PAIR = 500;
/** Lookups of one tenant that wait for one pool at once, per worker: what a model that has become slow may hold up. */
const MOST_AT_ONCE = 8;
/** After so many failures in a row the model is not asked for a while. */
const FAILURES = 3;
const REST_MS = 10_000;
/** How long the identity of a model is believed, in milliseconds. */
const BELIEVED_MS = 10_000;
/** Scores that a worker remembers: a pair has the same one until the model changes. */
const MOST_KNOWN = 2_000;
/** Tenants whose calls a worker counts. */
const MOST_COUNTED = 10_000;
/** Rounding of a server that computes with 16 bits. */
const ROUNDING = 1e-3;

/** The lookups of one tenant that wait for one pool. */
interface Calls {
  open: number;
  /** Failed calls in a row, however many lookups have waited for each. */
  failed: number;
  /** No call before, on the clock of `performance.now()`. */
  restsUntil: number;
}

/**
 * Asks models of entailment about pairs of texts, in both directions at once, and never longer than a lookup may wait. Where
 * there is no score, the caller decides without one. Equal pairs at the same time are one call, and so are questions for a model's
 * identity. The lookups of a tenant that wait are bounded and, after failed calls, stop asking for ten seconds, for this tenant alone.
 */
export class Entailments {
  readonly #parts: EntailmentsParts;
  readonly #identities = new Map<string, { readonly value: string; readonly until: number }>();
  readonly #calls = new Map<string, Calls>();
  readonly #scores = new Flights<number>();
  readonly #named = new Flights<string>();
  /** By hash of the pair; the longest unused first. */
  readonly #known = new Map<string, number>();

  constructor(parts: EntailmentsParts) {
    this.#parts = parts;
  }

  /**
   * How surely the texts of a pair entail each other, and by which model, within the verifier's time limit. Undefined if it is
   * not known in time. Throws the signal's reason.
   */
  async ask(
    request: CacheRequest,
    verifier: CacheVerifier,
    cached: string,
    signal: AbortSignal,
  ): Promise<{ readonly identity: string; readonly entailment: number } | undefined> {
    const began = performance.now();
    const identity = await this.identity(request, verifier, signal);
    if (identity === undefined) return undefined;
    const leftMs = Math.max(1, verifier.timeoutMs - (performance.now() - began));
    const entailment = await this.of(request, { ...verifier, timeoutMs: leftMs }, identity, cached, signal);
    return entailment === undefined ? undefined : { identity, entailment };
  }

  /** As `identity`, if it is known without asking. */
  known({ entailment, label }: CacheVerifier): string | undefined {
    const known = this.#identities.get(nameOf(entailment, label));
    return known && performance.now() < known.until ? known.value : undefined;
  }

  /** Hash of the model and of how it is asked; undefined if it does not say in time. Throws the signal's reason. */
  async identity(request: CacheRequest, verifier: CacheVerifier, signal: AbortSignal): Promise<string | undefined> {
    const { entailment: pool, label, timeoutMs } = verifier;
    const known = this.known(verifier);
    if (known !== undefined) return known;
    const calls = this.#callsOf(request, pool);
    const name = nameOf(pool, label);
    const value = await this.#joined(request, calls, { timeoutMs, signal }, () =>
      this.#named.of(name, async (own) => jsonHash([await this.#model(pool, label).identity(own), label]).slice(0, 16)),
    );
    if (value === undefined) return undefined;
    if (this.#identities.size >= MOST_KNOWN) this.#identities.clear();
    this.#identities.set(name, { value, until: performance.now() + BELIEVED_MS });
    // After a rest: the lookup that has asked for the identity goes on to ask about its pair.
    calls.restsUntil = 0;
    return value;
  }

  /**
   * How surely each of the two texts entails the other: the lesser of both, from 0 to 1. Undefined if it is not known in
   * time. Throws the signal's reason.
   *
   * @param identity the model's
   */
  async of(
    request: CacheRequest,
    verifier: CacheVerifier,
    identity: string,
    cached: string,
    signal: AbortSignal,
  ): Promise<number | undefined> {
    const { entailment: pool, timeoutMs } = verifier;
    if (cached.length + request.key.length > LONGEST_PAIR) return this.#without(request, 'long');
    const pair = jsonHash([request.tenant, pool, identity, cached, request.key]);
    const known = this.#remembered(pair);
    if (known !== undefined) {
      this.#count(request, 'known');
      return known;
    }
    const calls = this.#callsOf(request, pool);
    const score = await this.#joined(request, calls, { timeoutMs, signal }, () =>
      this.#scores.of(pair, (own) => this.#ask(request, verifier, cached, own)),
    );
    if (score === undefined) return undefined;
    calls.failed = 0;
    this.#remember(pair, score);
    this.#count(request, 'scored');
    return score;
  }

  /**
   * The result of a call, a new one or one that is under way. Undefined if there is none in time, or if the model rests for the tenant or
   * keeps too many of its lookups waiting. Throws the signal's reason.
   */
  async #joined<T>(
    request: CacheRequest,
    calls: Calls,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
    flightOf: () => Flight<T>,
  ): Promise<T | undefined> {
    if (this.#rests(calls)) return this.#without(request, 'resting');
    if (calls.open >= MOST_AT_ONCE) return this.#without(request, 'busy');
    calls.open += 1;
    let flight: Flight<T> | undefined;
    try {
      return await limited(timeoutMs, signal, (own) => {
        // Who has left already would never leave the call.
        own.throwIfAborted();
        flight = flightOf();
        return flight.wait(own);
      });
    } catch (error) {
      // The caller has left: that says nothing about the model.
      signal.throwIfAborted();
      return this.#failed(request, calls, error, flight?.fails(calls) ?? true);
    } finally {
      calls.open -= 1;
    }
  }

  async #ask(
    request: CacheRequest,
    { entailment: pool, label }: CacheVerifier,
    cached: string,
    signal: AbortSignal,
  ): Promise<number> {
    const { key, tenant, priority, queueMs } = request;
    const claims = [
      [cached, key],
      [key, cached],
    ] as const;
    const given = await this.#model(pool, label).scores(claims, signal, { tenant, priority, queueMs });
    if (given.length !== claims.length || !given.every(isScore))
      throw new MillraceError('INVALID_OUTPUT', `the pool "${pool}" gives no score from 0 to 1 for each of two pairs`);
    return Math.min(1, Math.max(0, Math.min(...given)));
  }

  #model(pool: string, label: string): Entailment {
    const { entailmentFor } = this.#parts;
    if (!entailmentFor) throw new MillraceError('MODEL_NOT_CONFIGURED', 'this host has no models of entailment');
    return entailmentFor(pool, label);
  }

  #remembered(pair: string): number | undefined {
    const score = this.#known.get(pair);
    if (score !== undefined) this.#remember(pair, score);
    return score;
  }

  #remember(pair: string, score: number): void {
    this.#known.delete(pair);
    this.#known.set(pair, score);
    keepNewest(this.#known, MOST_KNOWN);
  }

  #callsOf({ tenant }: CacheRequest, pool: string): Calls {
    const key = JSON.stringify([tenant, pool]);
    const known = this.#calls.get(key);
    if (known) return known;
    if (this.#calls.size >= MOST_COUNTED) this.#calls.clear();
    const calls = { open: 0, failed: 0, restsUntil: 0 };
    this.#calls.set(key, calls);
    return calls;
  }

  /** Whether a model rests after failures. The first lookup after the rest asks it, while the others go on without. */
  #rests(calls: Calls): boolean {
    if (calls.failed < FAILURES) return false;
    if (performance.now() < calls.restsUntil) return true;
    calls.restsUntil = performance.now() + REST_MS;
    return false;
  }

  /** @param counts whether the call has not been counted as failed yet */
  #failed(request: CacheRequest, calls: Calls, error: unknown, counts: boolean): undefined {
    if (counts) {
      calls.failed += 1;
      if (calls.failed === FAILURES) calls.restsUntil = performance.now() + REST_MS;
      this.#parts.onFailure(request, error);
    }
    const late = error instanceof DOMException && error.name === 'TimeoutError';
    return this.#without(request, late ? 'late' : 'failed');
  }

  #without(request: CacheRequest, outcome: 'long' | 'resting' | 'busy' | 'late' | 'failed'): undefined {
    this.#count(request, outcome);
    return undefined;
  }

  #count({ pipeline, stage }: CacheRequest, outcome: string): void {
    this.#parts.metrics.cacheEntailments.inc({ pipeline, stage, outcome });
  }
}

const nameOf = (pool: string, label: string): string => JSON.stringify([pool, label]);

const isScore = (value: unknown): value is number =>
  typeof value === 'number' && value >= -ROUNDING && value <= 1 + ROUNDING;
