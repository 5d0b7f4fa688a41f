import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, Call, CallContext, Reply } from '../../activities/connectors/index.js';
import type { AudioPort } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';

/**
 * Minimum samples per cell of a table, unless fewer are requested: the median of five tolerates an outlier on either
 * side. They are taken whatever time they need.
 */
const LEAST_SAMPLES = 5;
export const leastSamples = ({ samples }: Pick<Subject, 'samples'>): number => Math.min(samples, LEAST_SAMPLES);
/** Longest time of one call: an LLM on a fully loaded machine takes minutes; a dead server is detected earlier. */
const CALL_MS = 300_000;
/** Warm-up calls: the first ones trigger lazy loading and fill code caches. */
const WARM_UP = 2;

/** The model to measure, and how much of it. */
export interface Subject {
  readonly backend: Backend;
  /** The model's name at the server. */
  readonly model: string;
  readonly audio: AudioPort;
  /** Samples per cell, if the time suffices. */
  readonly samples: number;
  readonly timeLimitMs: number;
  /** Batch sizes, or numbers of sequences, to measure. */
  readonly batches: readonly number[];
  /** Input sizes in place of the kind's; for an LLM characters of a prompt. */
  readonly sizes?: readonly number[] | undefined;
  readonly signal: AbortSignal;
}

export interface Timed {
  readonly reply: Reply;
  /** Times of sending, of each chunk and of the answer's end, by `performance.now()`. */
  readonly startedAt: number;
  readonly pieces: readonly number[];
  readonly endedAt: number;
}

/** One call, with the times of its chunks. Throws what the connector throws, `BACKEND_TIMEOUT` after five minutes. */
export async function timed(
  subject: Pick<Subject, 'backend' | 'model' | 'audio' | 'signal'>,
  call: Omit<Call, 'model'>,
): Promise<Timed> {
  const { backend, model, audio, signal } = subject;
  const pieces: number[] = [];
  const startedAt = performance.now();
  const context = (own: AbortSignal): CallContext => ({
    signal: own,
    audio,
    emit: () => void pieces.push(performance.now()),
    checkpoint: () => undefined,
  });
  try {
    const reply = await limited(CALL_MS, signal, (own) => backend.invoke({ ...call, model }, context(own)));
    return { reply, startedAt, pieces, endedAt: performance.now() };
  } catch (error) {
    if (signal.aborted || !(error instanceof DOMException)) throw error;
    throw new MillraceError('BACKEND_TIMEOUT', `${model}: no answer within ${CALL_MS / 1_000} s`, {
      endpoint: backend.endpoint,
    });
  }
}

/**
 * Rounds of measuring, so that every cell sees the same machine state: one per sample, fewer if the time is up, but at
 * least the minimum.
 */
export async function rounds(
  subject: Pick<Subject, 'samples' | 'timeLimitMs' | 'signal'>,
  round: (count: number) => Promise<void>,
): Promise<void> {
  const { samples, timeLimitMs, signal } = subject;
  const until = performance.now() + timeLimitMs;
  for (let i = 0; i < samples; i += 1) {
    if (i >= leastSamples(subject) && performance.now() > until) return;
    signal.throwIfAborted();
    await round(i);
  }
}

export async function warmUp(call: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < WARM_UP; i += 1) await call();
}

/** Most warm-up calls of one shape, and by how much two in a row may differ: compilation takes many times a call. */
const SHAPE = { most: 5, steady: 0.3 } as const;

/**
 * Calls of one shape, a batch size with an input size, until two take about as long: servers compile per shape. After `until`, of
 * `performance.now()`, only one.
 */
export async function steady(call: () => Promise<unknown>, until = Number.POSITIVE_INFINITY): Promise<void> {
  let before: number | undefined;
  for (let i = 0; i < SHAPE.most; i += 1) {
    const start = performance.now();
    await call();
    const took = performance.now() - start;
    if (performance.now() > until) return;
    if (before !== undefined && Math.abs(took - before) <= SHAPE.steady * Math.max(took, before)) return;
    before = took;
  }
}

/** A number that no earlier measurement began its inputs with: servers cache the prefixes of prompts. */
export const freshSerial = (): number => Math.floor(Math.random() * 1e9) * 1_000;

/** Values of each cell by its key. */
export class Cells<K extends string | number> {
  readonly #values = new Map<K, number[]>();

  add(key: K, ...values: readonly number[]): void {
    const before = this.#values.get(key);
    if (before) before.push(...values);
    else this.#values.set(key, [...values]);
  }

  of(key: K): readonly number[] {
    return this.#values.get(key) ?? [];
  }

  get keys(): readonly K[] {
    return [...this.#values.keys()];
  }
}

/** The median of unsorted values; undefined without values. */
export const median = (values: readonly number[]): number | undefined =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Waits until the condition holds, polling every few milliseconds, up to a time limit. */
export async function settles(condition: () => Promise<boolean>, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await condition()) && performance.now() <= until) await sleep(POLL_MS);
}
const POLL_MS = 5;
