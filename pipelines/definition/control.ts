import type { Pipeline } from './defined.js';
import type { Assignable, Bind, Bound, Ref } from './reference.js';

/** Control flow: each takes functions that are traced at once, and gives a reference to what they return. */
export interface Control {
  /**
   * A branch: the graph of `then` when the condition holds, else that of `otherwise`. Without `otherwise` the value is null
   * when it does not hold. Stages of the branch not taken do not run.
   */
  when<A>(id: string, condition: Assignable<boolean>, then: () => A): Ref<Bound<A> | null>;
  when<A, B>(id: string, condition: Assignable<boolean>, then: () => A, otherwise: () => B): Ref<Bound<A> | Bound<B>>;

  /** The graph of `body` for each item, several at once; a list of its values in the items' order. */
  each<T, B>(
    id: string,
    over: Assignable<readonly T[]>,
    body: (item: Ref<T>, index: Ref<number>) => B,
    options: EachOptions & { readonly onFailure: 'null' },
  ): Ref<(Bound<B> | null)[]>;
  each<T, B>(
    id: string,
    over: Assignable<readonly T[]>,
    body: (item: Ref<T>, index: Ref<number>) => B,
    options?: EachOptions,
  ): Ref<Bound<B>[]>;

  /** The graph of `body` again and again on its own value, from `start`, until the condition holds. */
  repeat<S>(
    id: string,
    start: S,
    body: (state: Ref<Bound<S>>, round: Ref<number>) => Bind<Bound<S>>,
    options: RepeatOptions<Bound<S>>,
  ): Ref<Bound<S>>;

  /** The graphs of several functions at once: the value of the first that succeeds. The others are cancelled. */
  race<C extends Readonly<Record<string, () => unknown>>>(
    id: string,
    contenders: C,
  ): Ref<{ winner: keyof C & string; value: Bound<ReturnType<C[keyof C]>> }>;

  /** Another pipeline as a step: inside this run, or as a child run with a history, a table and a deadline of its own. */
  run<I, O>(
    id: string,
    pipeline: Pipeline<I, O>,
    input: Bind<I>,
    options?: { readonly as?: 'inline' | 'child' },
  ): Ref<O>;
}

export interface EachOptions {
  /** Most items at once. Default 4: keeps a small server's batch full and leaves room for other runs. */
  readonly concurrency?: number;
  /** What a failed item does: `fail` ends the run, `null` stands in the list, `drop` is left out of it. Default `fail`. */
  readonly onFailure?: 'fail' | 'null' | 'drop';
}

export interface RepeatOptions<S> {
  /** Looked at after each round. */
  readonly until: (state: Ref<S>) => Assignable<boolean>;
  readonly atMost: number;
  /** What `atMost` rounds without `until` are. Default `accept`: the last state is as good as it gets. */
  readonly onLimit?: 'accept' | 'fail';
}

/** Defaults and bounds of control flow. */
export const CONTROL = {
  concurrency: 4,
  /** Temporal holds at most 2,000 activities of a run at once. */
  mostConcurrency: 256,
  /** A loop that needs more is a program, not a pipeline. */
  mostRounds: 10_000,
} as const;
