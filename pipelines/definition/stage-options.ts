import { type Duration, durationMs } from '../duration.js';
import { type Alternative, type DegradePlan, type StagePlan, servedAs } from '../plan/plan.js';
import { STAGE_KINDS } from '../stages/index.js';
import type { StageKind, StageUse } from '../stages/kind.js';
import { resolveCache, type SemanticCache } from './cache.js';
import { invalid } from './invalid.js';
import { checkUse, notShared } from './kind-options.js';
import { type PolicyOptions, resolvePolicy } from './policy.js';
import type { GraphScope } from './scope.js';

/** How a stage is carried out. */
export interface StageOptions<I = never, O = never> extends PolicyOptions {
  readonly cache?: SemanticCache;
  /** Taken in turn when the stage has failed for good, each under the stage's policy. */
  readonly fallback?: readonly StageUse<I, O>[];
  /**
   * The ladder for a run that is short of time: with less than `below` left for the stage the tightest rung that holds is
   * taken. `cached`: an earlier answer, and without one the next tighter rung; `skip`: no output.
   */
  readonly degrade?: readonly { readonly below: Duration; readonly to: StageUse<I, O> | 'cached' | 'skip' }[];
  /** The run goes on without the stage when it fails; its output is then null. */
  readonly optional?: boolean;
  /** Its share of the run's deadline: the stages before it leave it this much. */
  readonly reserve?: Duration;
}

/** Keys that no typed author can add: what a JavaScript author misspells would be lost in silence. */
const KNOWN: ReadonlySet<string> = new Set<keyof StageOptions>([
  'cache',
  'fallback',
  'degrade',
  'optional',
  'reserve',
  'retry',
  'timeout',
  'execution',
  'priority',
  'hedge',
  'patience',
]);

/** What only calls of model servers have. */
const ONLY_OF_POOLS: readonly (readonly [string, (policy: PolicyOptions) => unknown])[] = [
  ['hedge', ({ hedge }) => hedge],
  ['timeout.queue', ({ timeout }) => timeout?.queue],
  ['timeout.firstChunk', ({ timeout }) => timeout?.firstChunk],
  ['timeout.idle', ({ timeout }) => timeout?.idle],
];

/** What a stage's options are in the plan. */
export function resolveOptions(
  id: string,
  use: StageUse<never, never>,
  options: StageOptions,
  scope: GraphScope,
  deadlineMs: number,
): Pick<StagePlan, 'policy' | 'cache' | 'fallback' | 'degrade' | 'reserveMs'> {
  const unknown = Object.keys(options).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw invalid(`${id}.${unknown}`, `is not an option; there are ${[...KNOWN].join(', ')}`);
  const kind: StageKind = STAGE_KINDS[use.kind as keyof typeof STAGE_KINDS];
  const { cache, fallback = [], degrade = [], optional = false, reserve, ...policy } = options;
  const pointless =
    kind.servedBy === 'pool' || kind.calls ? undefined : ONLY_OF_POOLS.find(([, given]) => given(policy) !== undefined);
  if (pointless) throw invalid(`${id}.${pointless[0]}`, 'has no meaning for a stage that no pool of servers serves');
  if (kind.calls && cache !== undefined)
    throw invalid(`${id}.cache`, 'has no meaning for a stage that acts: leave it out');
  if (kind.calls && policy.execution === 'inline') {
    throw invalid(`${id}.execution`, 'cannot be "inline": every call of it is an activity of its own');
  }
  for (const [field, value] of [
    ['timeout.attempt', policy.timeout?.attempt],
    ['timeout.total', policy.timeout?.total],
    ['reserve', reserve],
  ] as const) {
    const ms = value === undefined ? 0 : durationMs(value, `${id}.${field}`);
    if (ms > deadlineMs)
      throw invalid(`${id}.${field}`, `${ms} ms is longer than the pipeline’s deadline, ${deadlineMs} ms`);
  }
  const fallbacks = fallback.map((other) => alternative(id, 'fallback', use, other));
  const waits = kind.servedBy !== 'interpreter' || kind.calls !== undefined;
  const hasAlternative = waits && (optional || fallbacks.length > 0 || degrade.length > 0);
  return {
    policy: resolvePolicy(policy, kind.policy ?? {}, id, hasAlternative),
    ...(cache !== undefined && { cache: resolveCache(cache, `${id}.cache`, scope) }),
    ...((fallbacks.length > 0 || optional) && { fallback: optional ? [...fallbacks, 'skip'] : fallbacks }),
    ...(degrade.length > 0 && { degrade: ladder(id, use, options, deadlineMs) }),
    ...(reserve !== undefined && { reserveMs: durationMs(reserve, `${id}.reserve`) }),
  };
}

function ladder(id: string, use: StageUse<never, never>, options: StageOptions, deadlineMs: number): DegradePlan[] {
  const where = `${id}.degrade`;
  const rungs = (options.degrade ?? []).map(({ below, to }): DegradePlan => {
    if (to !== 'cached' && to !== 'skip' && typeof to !== 'object') {
      throw invalid(where, `"${String(to)}" is no rung: name a stage use, "cached" or "skip"`);
    }
    const belowMs = durationMs(below, where);
    if (belowMs > deadlineMs) {
      throw invalid(where, `"${below}" is longer than the pipeline’s deadline, ${deadlineMs} ms: it would always hold`);
    }
    if (to === 'cached' && options.cache === undefined) throw invalid(where, '"cached" needs a cache');
    if (to === 'skip' && !options.optional)
      throw invalid(where, '"skip" needs `optional: true`: the output may be null');
    return { belowMs, to: typeof to === 'string' ? to : alternative(id, 'degrade', use, to) };
  });
  rungs.sort((a, b) => b.belowMs - a.belowMs);
  const twice = rungs.find(({ belowMs }, i) => rungs[i + 1]?.belowMs === belowMs);
  if (twice) throw invalid(where, `has two rungs below ${twice.belowMs} ms`);
  return rungs;
}

function alternative(
  id: string,
  field: string,
  use: StageUse<never, never>,
  other: StageUse<never, never>,
): Alternative {
  checkUse(`${id}.${field}`, other);
  if (other.kind !== use.kind) {
    throw invalid(`${id}.${field}`, `is a ${other.kind} stage where ${use.kind} is needed`);
  }
  const lost = ['schema', 'tools'].find((option) => option in use.with && !(option in other.with));
  if (lost !== undefined) {
    throw invalid(`${id}.${field}`, `${other.model} is asked without the ${lost} that ${use.model} is asked with`);
  }
  const changed = notShared(use.kind, use.with, other.with);
  if (changed !== undefined) {
    throw invalid(`${id}.${field}`, `${other.model} has another ${changed} than ${use.model}: the output would change`);
  }
  return servedAs(other);
}
