import type { JsonObject } from '../json.js';

/** Properties of a stage kind beside its schemas. Free of zod, because the interpreter reads them too. */
export interface KindTraits {
  /**
   * What executes it: a `pool` of model servers through a connector; the `worker` itself; the `interpreter`, in which
   * case it has no policy and no cache, and cannot be part of a segment; or `temporal`: another worker of the same
   * Temporal namespace, which the run's workflow calls directly, so it cannot be part of a segment either.
   */
  readonly servedBy: 'pool' | 'worker' | 'interpreter' | 'temporal';
  /**
   * Effects of its calls elsewhere: `none`; `possible`, where only the server knows; `intended`, where the effect is
   * the purpose of the call. Except for `none`, repeating a call is not the same as making it once.
   */
  readonly effects: 'none' | 'possible' | 'intended';
  /** Its author states the effects of its calls; `effects` is the default. */
  readonly statesEffects?: true;
  /** An attempt that finds a checkpoint only asks for what an earlier one has begun elsewhere: it is no further call. */
  readonly goesOn?: true;
  /** Streams of its output that other stages can read while it is made; of a function and a recogniser, its options say so. */
  readonly streams?: readonly string[];
  /** The field of its input that may be a stream. */
  readonly takes?: string;
  /** Its calls embed texts, and the vectors are cached. */
  readonly embeds?: true;
  /** Kinds without a pool: the connector and device shown to users. */
  readonly local?: { readonly connector: string; readonly device: string };
}

const COMPUTES = { servedBy: 'pool', effects: 'none' } as const;
const at = (connector: string, device = 'worker') => ({ connector, device }) as const;

/** Traits of all stage kinds, and of the calls that agents make. */
export const TRAITS = {
  transcribe: COMPUTES,
  embed: COMPUTES,
  chat: { ...COMPUTES, streams: ['sentences', 'tokens'] },
  synthesize: { ...COMPUTES, takes: 'text', streams: ['chunks'] },
  classify: COMPUTES,
  detect: COMPUTES,
  generate: COMPUTES,
  rerank: COMPUTES,
  infer: { servedBy: 'pool', effects: 'possible' },
  http: { servedBy: 'pool', effects: 'intended' },
  a2a: { servedBy: 'pool', effects: 'intended', goesOn: true },
  retrieve: { servedBy: 'worker', effects: 'none', embeds: true, local: at('redis') },
  upsert: { servedBy: 'worker', effects: 'intended', embeds: true, local: at('redis') },
  media: { servedBy: 'worker', effects: 'none', local: at('media') },
  split: { servedBy: 'worker', effects: 'none', local: at('media') },
  code: { servedBy: 'worker', effects: 'intended', local: at('code') },
  approve: { servedBy: 'interpreter', effects: 'none', local: at('workflow', 'person') },
  activity: { servedBy: 'temporal', effects: 'intended' },
  workflow: { servedBy: 'temporal', effects: 'intended' },
  // Its tools may have effects. The streams are those of what it says in all its turns.
  agent: { servedBy: 'interpreter', effects: 'intended', streams: ['sentences', 'tokens'] },
  sandbox: { servedBy: 'worker', effects: 'none', statesEffects: true, local: at('sandbox') },
  mcp: { servedBy: 'worker', effects: 'intended', goesOn: true, local: at('mcp') },
  'mcp-tools': { servedBy: 'worker', effects: 'none', local: at('mcp') },
  session: { servedBy: 'worker', effects: 'intended', local: at('redis') },
  memory: { servedBy: 'worker', effects: 'intended', local: at('redis') },
  'tool-search': { servedBy: 'worker', effects: 'none', embeds: true, local: at('embed') },
  // What it stores has its own sha256 as its address: storing it again changes nothing.
  result: { servedBy: 'worker', effects: 'none', local: at('artifacts') },
} as const satisfies Readonly<Record<string, KindTraits>>;

export type Effects = KindTraits['effects'];

/** What tells the traits of a stage or call: its kind and, where that is none of Millrace's or its author states them, its effects. */
export interface OfKind {
  readonly kind: string;
  readonly effects?: Effects;
}

/** Whether a kind is made with `defineKind`: its name has a namespace. */
export const isDefinedKind = (kind: string): boolean => kind.includes('/');

/** Undefined for control flow, and for a kind of another release. */
export const traitsOf = ({ kind, effects }: OfKind): KindTraits | undefined => {
  if (isDefinedKind(kind)) return { servedBy: 'pool', effects: effects ?? 'possible' };
  if (!Object.hasOwn(TRAITS, kind)) return undefined;
  const traits: KindTraits = TRAITS[kind as keyof typeof TRAITS];
  return traits.statesEffects && effects !== undefined ? { ...traits, effects } : traits;
};

type Served = OfKind & { readonly with: JsonObject };

/** Streams of its output that other stages can read while a stage, or an alternative of one, makes it. */
export function streamsOf(by: Served): readonly string[] {
  if (mayYield(by)) return by.with.yields === true ? ['entries'] : [];
  // Without times there are no segments.
  if (by.kind === 'transcribe') return by.with.segments === undefined ? [] : ['entries'];
  return traitsOf(by)?.streams ?? [];
}

/** Whether it is a function, here or in a worker of Python, whose options say whether it yields. */
export const mayYield = ({ kind }: Pick<Served, 'kind'>): boolean => kind === 'code' || kind === 'activity';

/** The fields of its input that may be streams. */
export function takenBy(by: Served): readonly string[] {
  if (mayYield(by)) return Array.isArray(by.with.takes) ? by.with.takes.map(String) : [];
  const { takes } = traitsOf(by) ?? {};
  return takes === undefined ? [] : [takes];
}

/** Whether an attempt that finds a checkpoint only asks for what an earlier one has begun elsewhere. */
export const goesOnElsewhere = (call: OfKind): boolean => traitsOf(call)?.goesOn === true;

/** Whether calls change state elsewhere, or may. */
export const changesElsewhere = (call: OfKind): boolean => (traitsOf(call)?.effects ?? 'none') !== 'none';
