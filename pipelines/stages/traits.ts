/** What is said of a stage kind beside its schemas. Without zod: the interpreter asks as well. */
export interface KindTraits {
  /**
   * Who carries it out: a `pool` of model servers through a connector, the `worker` itself, or the `interpreter`, in which
   * case it takes no policy and no cache, and no segment holds it.
   */
  readonly servedBy: 'pool' | 'worker' | 'interpreter';
  /**
   * What its calls change elsewhere: `none`; `possible`, where only its server knows; `intended`, where it is there for what it does
   * and not for what it gives. Of all but `none` once more is not the same as once.
   */
  readonly effects: 'none' | 'possible' | 'intended';
  /** Of what no pool serves: the connector and the device that people see. */
  readonly local?: { readonly connector: string; readonly device: string };
}

const COMPUTES = { servedBy: 'pool', effects: 'none' } as const;
const at = (connector: string, device = 'worker') => ({ connector, device }) as const;

/** Of every kind of stage, and of the calls that an agent makes. */
export const TRAITS = {
  transcribe: COMPUTES,
  embed: COMPUTES,
  chat: COMPUTES,
  synthesize: COMPUTES,
  classify: COMPUTES,
  rerank: COMPUTES,
  infer: { servedBy: 'pool', effects: 'possible' },
  http: { servedBy: 'pool', effects: 'intended' },
  retrieve: { servedBy: 'worker', effects: 'none', local: at('redis') },
  upsert: { servedBy: 'worker', effects: 'intended', local: at('redis') },
  split: { servedBy: 'worker', effects: 'none', local: at('media') },
  code: { servedBy: 'worker', effects: 'intended', local: at('code') },
  approve: { servedBy: 'interpreter', effects: 'none', local: at('workflow', 'person') },
  // Its tools may.
  agent: { servedBy: 'interpreter', effects: 'intended' },
  mcp: { servedBy: 'worker', effects: 'intended', local: at('mcp') },
  'mcp-tools': { servedBy: 'worker', effects: 'none', local: at('mcp') },
  session: { servedBy: 'worker', effects: 'intended', local: at('redis') },
} as const satisfies Readonly<Record<string, KindTraits>>;

/** Undefined for control flow, and for a kind of another release. */
export const traitsOf = (kind: string): KindTraits | undefined =>
  Object.hasOwn(TRAITS, kind) ? TRAITS[kind as keyof typeof TRAITS] : undefined;

/** Whether calls of a kind change something elsewhere, or may. */
export const changesElsewhere = (kind: string): boolean => (traitsOf(kind)?.effects ?? 'none') !== 'none';
