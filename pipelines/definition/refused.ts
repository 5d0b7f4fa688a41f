/*
 * Mistakes that the compiler refuses with a sentence: where a type cannot be met, the sentence is part of its message.
 */

/** Refuses an async function: a definition receives references, not values, and is not run. */
export type Synchronous<B> =
  B extends PromiseLike<unknown>
    ? 'A definition is traced when it is loaded and must not be async: remove async and await'
    : unknown;

/** A type that no option has; the compiler shows the sentence. */
interface Refusal<Why extends string> {
  readonly refused: Why;
}

type OnlyOfPools = 'This applies only to stages that a model server serves: remove it';
interface NoPool {
  hedge: Refusal<OnlyOfPools>;
  timeout: { queue: Refusal<OnlyOfPools>; firstChunk: Refusal<OnlyOfPools>; idle: Refusal<OnlyOfPools> };
}

/** Options that have no effect on a kind, and why. */
interface Unsuited {
  code: NoPool;
  retrieve: NoPool;
  upsert: NoPool;
  media: NoPool;
  split: NoPool;
  agent: {
    cache: Refusal<'An agent has no cache, because its tools may have effects: remove it'>;
    execution: 'queued';
    onCut: 'fail' | 'end';
  };
}

type NotOfPersons = 'This does not apply to a stage that waits for a person: remove it';

/** The given ones among unsuitable options. One that may be given, as in a shared `PolicyOptions`, is checked at load. */
type Refused<Options, Table> = {
  readonly [Key in keyof Table as Options extends { readonly [K in Key]: unknown } ? Key : never]: Table[Key] extends
    | string
    | Refusal<string>
    ? Table[Key]
    : Options extends { readonly [K in Key]: infer Inner }
      ? Refused<Inner, Table[Key]>
      : never;
};

/** Refuses options that have no effect on a kind. */
export type Suited<Kind extends string, Options> = Kind extends 'approve'
  ? { readonly [Key in keyof Options]: Refusal<NotOfPersons> }
  : Kind extends keyof Unsuited
    ? Refused<Options, Unsuited[Kind]>
    : unknown;

/** Names the kind of a `StageUse` in its type, so that unsuitable options are refused. */
export interface OfKind<Kind extends string> {
  readonly kind: Kind;
}
