import { rounds, steady } from '../profiling/sampling.js';
import type { Answer, Runner } from './runner.js';

/** One measured call of a variant. */
export interface Sample extends Omit<Answer, 'outputs'> {
  /** Inputs that were sent together. */
  readonly batch: number;
  /** The first of them, by its number. */
  readonly input: number;
}

export interface TimingOptions {
  /** Rounds, if the time suffices; at least five are made. */
  readonly samples: number;
  readonly timeLimitMs: number;
  /** Numbers of inputs that are sent together. */
  readonly batches: readonly number[];
  readonly signal: AbortSignal;
}

/** What a loaded variant has to be known by. */
export interface Loaded {
  readonly name: string;
  readonly runner: Runner;
}

/**
 * Times the variants in turn, each a call of every batch size in a round, beginning with another one in each round, so that
 * all see the same machine. Before that each is called until two calls take about as long.
 */
export async function timeVariants(
  all: readonly Loaded[],
  inputs: readonly string[],
  options: TimingOptions,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const { batches, signal } = options;
  const samples = new Map(all.map(({ name }) => [name, [] as Sample[]]));
  const from = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => inputs[(first + i) % inputs.length] ?? '');
  for (const { runner } of all) {
    for (const batch of batches) {
      signal.throwIfAborted();
      await steady(() => runner.answer(from(0, batch)));
    }
  }
  await rounds(options, async (round) => {
    for (let i = 0; i < all.length; i++) {
      const loaded = all[(round + i) % all.length];
      if (!loaded) continue;
      for (const batch of batches) {
        signal.throwIfAborted();
        const input = (round * batch) % inputs.length;
        const { outputs: _, ...answer } = await loaded.runner.answer(from(input, batch));
        samples.get(loaded.name)?.push({ ...answer, batch, input });
      }
    }
  });
  return samples;
}
