import { PARTS } from './kills.js';

/** Faults by their names in `--faults`. `calls`: a share of the models' calls is struck. */
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

/** Faults that need Triton and the LLM server: if none is chosen, runs of models are left out. */
const OF_MODELS: ReadonlySet<Fault> = new Set(['kills', 'calls', 'outage', 'replica']);
/** Faults that occur in the runs or in the calls, and are no incidents. */
const NO_INCIDENT: ReadonlySet<Fault> = new Set(['calls', 'decisions']);

/** The faults of `--faults`: `all`, `none`, or names separated by commas. */
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

/** The incidents of the faults: `kills` has one for each part and worker. */
export const incidentsOf = (faults: ReadonlySet<Fault>): string[] =>
  [...faults].flatMap((fault) =>
    fault === 'kills' ? ['worker-a', 'worker-b', ...PARTS] : NO_INCIDENT.has(fault) ? [] : fault,
  );
