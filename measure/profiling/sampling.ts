import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, Call, CallContext, Reply } from '../../activities/connectors/index.js';
import type { AudioPort } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';

/**
 * Samples of each cell of a table without which it is none, unless fewer are asked for: the median of five holds while one
 * of them was disturbed, on either side. They are taken however long it takes.
 */
const LEAST_SAMPLES = 5;
export const leastSamples = ({ samples }: Pick<Subject, 'samples'>): number => Math.min(samples, LEAST_SAMPLES);
/** Longest time of one call: an LLM on a machine that has no core to spare takes minutes; a dead server is told of before. */
const CALL_MS = 300_000;
/** Calls before any that counts: the first ones load what is loaded late, and fill caches of code. */
const WARM_UP = 2;

/** The model that is measured, and how much of it. */
export interface Subject {
  readonly backend: Backend;
  /** The model's name at the server. */
  readonly model: string;
  readonly audio: AudioPort;
  /** Samples of each cell, if the time lasts. */
  readonly samples: number;
  readonly timeLimitMs: number;
  /** Sizes of batch, or numbers of sequences, to measure. */
  readonly batches: readonly number[];
  /** Sizes of input in place of those of the kind; of an LLM characters of a prompt. */
  readonly sizes?: readonly number[] | undefined;
  readonly signal: AbortSignal;
}

export interface Timed {
  readonly reply: Reply;
  /** When it was sent, and when each piece and the end of its answer came; of `performance.now()`. */
  readonly startedAt: number;
  readonly pieces: readonly number[];
  readonly endedAt: number;
}

/** One call, with the times of what came back. Throws what the connector throws, `BACKEND_TIMEOUT` after five minutes. */
export async function timed(subject: Subject, call: Omit<Call, 'model'>): Promise<Timed> {
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
 * Rounds of measuring, so that every cell sees the same of the machine: as many as there are samples, and fewer when the
 * time is up, but the least in any case.
 */
export async function rounds(subject: Subject, round: (count: number) => Promise<void>): Promise<void> {
  const { samples, timeLimitMs, signal } = subject;
  const until = performance.now() + timeLimitMs;
  for (let i = 0; i < samples; i += 1) {
    if (i >= leastSamples(subject) && performance.now() > until) return;
    signal.throwIfAborted();
    await round(i);
  }
}

export async function warmUp(call: (serial: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < WARM_UP; i += 1) await call(i);
}

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

/** The middle one of values in any order; undefined of none. */
export const median = (values: readonly number[]): number | undefined =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Waits until the condition holds, looking every few milliseconds, but no longer than a time. */
export async function settles(condition: () => Promise<boolean>, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs;
  while (!(await condition()) && performance.now() <= until) await sleep(LOOK_MS);
}
const LOOK_MS = 5;
