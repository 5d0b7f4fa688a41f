import { messageOf } from '../../pipelines/errors.js';
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

export interface Times {
  /** Of those that have answered every call. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  /** Of the others: why not. */
  readonly failed: ReadonlyMap<string, string>;
}

/**
 * Times the variants in turn, each a call of every batch size in a round, beginning with another one in each round, so that
 * all see the same machine. Before that each is called until two calls take about as long. A variant whose call fails is left
 * out from then on; throws if it is the first one, with which the others are compared.
 */
export async function timeVariants(
  all: readonly Loaded[],
  inputs: readonly string[],
  options: TimingOptions,
): Promise<Times> {
  const { batches, signal } = options;
  const samples = new Map(all.map(({ name }) => [name, [] as Sample[]]));
  const failed = new Map<string, string>();
  const from = (first: number, count: number) =>
    Array.from({ length: count }, (_, i) => inputs[(first + i) % inputs.length] ?? '');
  const each = async (round: number, work: (loaded: Loaded) => Promise<void>) => {
    for (let i = 0; i < all.length; i++) {
      const loaded = all[(round + i) % all.length];
      if (loaded === undefined || failed.has(loaded.name)) continue;
      signal.throwIfAborted();
      try {
        await work(loaded);
      } catch (error) {
        signal.throwIfAborted();
        if (loaded === all[0]) throw error;
        failed.set(loaded.name, messageOf(error));
        samples.delete(loaded.name);
      }
    }
  };
  await each(0, async ({ runner }) => {
    for (const batch of batches) await steady(() => runner.answer(from(0, batch), true));
  });
  await rounds(options, (round) =>
    each(round, async ({ name, runner }) => {
      for (const batch of batches) {
        signal.throwIfAborted();
        const input = (round * batch) % inputs.length;
        const { outputs: _, ...answer } = await runner.answer(from(input, batch), true);
        samples.get(name)?.push({ ...answer, batch, input });
      }
    }),
  );
  return { samples, failed };
}
