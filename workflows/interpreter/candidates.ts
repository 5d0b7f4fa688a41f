import type { JsonObject } from '../../pipelines/json.js';
import { type Alternative, type StagePlan, servedAs } from '../../pipelines/plan/index.js';

/** One way to serve a stage: the stage itself, an alternative, or nothing. */
export interface Candidate extends Alternative {
  /** Key of its placement row. */
  readonly placed: string;
  readonly cachedOnly?: true;
}

export interface Candidates {
  /** In order. */
  readonly all: readonly (Candidate | 'skip')[];
  /** Rungs among them that do not apply: used if the servers of earlier candidates are away. */
  readonly spare: ReadonlySet<Candidate | 'skip'>;
  readonly degraded: boolean;
  /** All of them have ended before: none needs time. */
  readonly ended?: true;
}

/** Candidates of a stage with `share` ms: the tightest matching rung and those below, or itself; then its fallbacks. */
export function candidatesOf(stage: StagePlan, share: number): Candidates {
  const { fallback = [], degrade = [] } = stage;
  const own: Candidate = { ...servedAs(stage), placed: stage.id };
  if (fallback.length === 0 && degrade.length === 0) return { all: [own], spare: new Set(), degraded: false };
  let number = 0;
  const numbered = (to: Alternative): Candidate => ({ ...to, placed: `${stage.id}~${++number}` });
  const fallbacks = fallback.map((to) => (to === 'skip' ? to : numbered(to)));
  const rungs = degrade.map(({ belowMs, to }) => {
    const candidate: Candidate | 'skip' =
      to === 'skip' ? to : to === 'cached' ? { ...own, cachedOnly: true } : numbered(to);
    return { belowMs, candidate };
  });
  const holding = rungs.findLastIndex(({ belowMs }) => share < belowMs);
  const below = rungs.slice(Math.max(0, holding)).map(({ candidate }) => candidate);
  if (holding >= 0) return { all: [...below, ...fallbacks], spare: new Set(), degraded: true };
  const spare = below.filter((candidate) => candidate !== 'skip');
  const others = fallbacks.filter((candidate) => candidate !== 'skip');
  // A stage whose last rung is `skip` is optional: its fallbacks end with `skip` as well.
  const last = fallbacks.length > others.length ? (['skip'] as const) : [];
  return { all: [own, ...others, ...spare, ...last], spare: new Set(spare), degraded: false };
}

/**
 * The input of a candidate. An alternative that names a voice has that one: its server does not know the voices of the stage's own, by whose
 * names callers choose.
 */
export function inputOf({ kind, placed, with: options }: Candidate, stage: StagePlan, input: JsonObject): JsonObject {
  if (placed === stage.id || kind !== 'synthesize' || options.voice === undefined) return input;
  const { voice: _, ...rest } = input;
  return rest;
}

/**
 * The candidates of a stage that has succeeded in an earlier process: the one that has, after those that had failed by then. With less time
 * left another one would come first, and the stage would run again. Undefined if none has succeeded.
 */
export function endedCandidates(
  stage: StagePlan,
  howEnded: (candidate: Candidate) => 'succeeded' | 'failed' | undefined,
): Candidates | undefined {
  const every = candidatesOf(stage, Number.POSITIVE_INFINITY).all;
  const all: Candidate[] = [];
  for (const candidate of every) {
    if (candidate === 'skip') continue;
    const how = howEnded(candidate);
    if (how !== undefined) all.push(candidate);
    if (how === 'succeeded') return { all, spare: new Set(), degraded: all[0] !== every[0], ended: true };
  }
  return undefined;
}
