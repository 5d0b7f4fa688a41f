import { PARTS } from './kills.js';

/** What may be let loose on the stack, by the names of `--faults`. `calls`: a share of the calls of models is struck. */
export const FAULTS = [
  'kills',
  'calls',
  'flushed',
  'failed-over',
  'full',
  'redis-cut',
  'temporal-cut',
  'gateway',
  'outage',
  'replica',
  'decisions',
  'deploy',
] as const;
export type Fault = (typeof FAULTS)[number];

/** They need Triton and the LLM server: where none of them is wanted, runs of models are left out. */
const OF_MODELS: ReadonlySet<Fault> = new Set(['kills', 'calls', 'outage', 'replica']);
/** They are in the runs, or in the calls, and no incident. */
const NO_INCIDENT: ReadonlySet<Fault> = new Set(['calls', 'decisions']);

/** The faults of `--faults`: `all`, `none`, or names with commas between. */
export function faultsOf(text: string): ReadonlySet<Fault> {
  if (text === 'all') return new Set(FAULTS);
  if (text === 'none') return new Set();
  const names = text.split(',');
  const unknown = names.find((name) => !(FAULTS as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new Error(`--faults: "all", "none" or some of ${FAULTS.join(', ')}, not "${unknown}"`);
  return new Set(names as Fault[]);
}

export const needsModels = (faults: ReadonlySet<Fault>): boolean =>
  faults.size === 0 || [...faults].some((fault) => OF_MODELS.has(fault));

/** The incidents that faults stand for: `kills` is one for each part and worker. */
export const incidentsOf = (faults: ReadonlySet<Fault>): string[] =>
  [...faults].flatMap((fault) =>
    fault === 'kills' ? ['worker-a', 'worker-b', ...PARTS] : NO_INCIDENT.has(fault) ? [] : fault,
  );
