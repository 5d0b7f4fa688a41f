import type { Stream } from '../stream.js';
import type { Pipeline } from './defined.js';
import type { Assignable, Bind, Bound, Ref } from './reference.js';
import type { Synchronous } from './refused.js';

/** Control flow. Function arguments are traced immediately; each method returns a reference to the resulting value. */
export interface Control {
  /**
   * Branch: runs the graph of `then` when the condition holds, else that of `otherwise`. Without `otherwise` the value
   * is null when the condition does not hold. Stages of the branch not taken do not run.
   */
  when<A>(id: string, condition: Assignable<boolean>, then: () => A & Synchronous<A>): Ref<Bound<A> | null>;
  when<A, B>(
    id: string,
    condition: Assignable<boolean>,
    then: () => A & Synchronous<A>,
    otherwise: () => B & Synchronous<B>,
  ): Ref<Bound<A> | Bound<B>>;

  /**
   * As below, over a stream: `body` runs for each entry as soon as it arrives, and `entries` is a stream of its values, in order. The producer,
   * the body and the reader must be all inline or all queued; otherwise the list is collected first.
   */
  each<T, B>(
    id: string,
    over: Assignable<Stream<T>>,
    body: (item: Ref<T>, index: Ref<number>) => B & Synchronous<B>,
    options: EachOptions & { readonly onFailure: 'null' },
  ): Ref<(Bound<B> | null)[]> & { readonly entries: Ref<Stream<Bound<B> | null>> };
  each<T, B>(
    id: string,
    over: Assignable<Stream<T>>,
    body: (item: Ref<T>, index: Ref<number>) => B & Synchronous<B>,
    options?: EachOptions,
  ): Ref<Bound<B>[]> & { readonly entries: Ref<Stream<Bound<B>>> };
  /** Runs the graph of `body` for each item, several at once. The value is a list in the items' order. */
  each<T, B>(
    id: string,
    over: Assignable<readonly T[]>,
    body: (item: Ref<T>, index: Ref<number>) => B & Synchronous<B>,
    options: EachOptions & { readonly onFailure: 'null' },
  ): Ref<(Bound<B> | null)[]>;
  each<T, B>(
    id: string,
    over: Assignable<readonly T[]>,
    body: (item: Ref<T>, index: Ref<number>) => B & Synchronous<B>,
    options?: EachOptions,
  ): Ref<Bound<B>[]>;

  /** Runs the graph of `body` repeatedly, first on `start`, then on its own value, until the condition holds. */
  repeat<S>(
    id: string,
    start: S,
    body: (state: Ref<Bound<S>>, round: Ref<number>) => Bind<Bound<S>>,
    options: RepeatOptions<Bound<S>>,
  ): Ref<Bound<S>>;

  /**
   * Runs the graphs of several functions at once. The value is that of the first to succeed; the others are cancelled.
   */
  race<C extends Readonly<Record<string, () => unknown>>>(
    id: string,
    contenders: C,
  ): Ref<{ winner: keyof C & string; value: Bound<ReturnType<C[keyof C]>> }>;

  /**
   * Runs another pipeline as a step: inside this run, or as a child run with its own history, stage table and deadline.
   */
  run<I, O>(
    id: string,
    pipeline: Pipeline<I, O>,
    input: Bind<I>,
    options?: { readonly as?: 'inline' | 'child' },
  ): Ref<O>;
}

/** Options of `each`. */
export interface EachOptions {
  /** Maximum number of items at once. Default 4: fills a small server's batch and leaves capacity for other runs. */
  readonly concurrency?: number;
  /** Effect of a failed item: `fail` ends the run, `null` takes its place, `drop` omits it. Default `fail`. */
  readonly onFailure?: 'fail' | 'null' | 'drop';
}

/** Options of `repeat`. */
export interface RepeatOptions<S> {
  /** Evaluated after each round. */
  readonly until: (state: Ref<S>) => Assignable<boolean>;
  readonly atMost: number;
  /** At `atMost` rounds without `until`: `accept` takes the last state, `fail` is `LIMIT_REACHED`. Default `accept`. */
  readonly onLimit?: 'accept' | 'fail';
}

/** Defaults and bounds of control flow. */
export const CONTROL = {
  concurrency: 4,
  /** Temporal allows at most 2,000 pending activities per workflow. Loops in loops may ask for more, which then wait. */
  mostConcurrency: 256,
  /** A loop that needs more is a program, not a pipeline. */
  mostRounds: 10_000,
} as const;
