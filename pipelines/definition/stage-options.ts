import { type Duration, durationMs } from '../duration.js';
import { type Alternative, type DegradePlan, type StagePlan, servedAs } from '../plan/plan.js';
import { isDefinedKind, kindOfUse, streamsOf } from '../stages/index.js';
import type { StageUse } from '../stages/kind.js';
import { resolveCache, type SemanticCache } from './cache.js';
import { type ExactCache, resolveExact } from './exact-cache.js';
import { checkForeign } from './foreign-options.js';
import { invalid, unknownOption } from './invalid.js';
import { checkUse, notShared } from './kind-options.js';
import { type PolicyOptions, resolvePolicy } from './policy.js';
import type { GraphScope } from './scope.js';

/** How a stage is executed. */
export interface StageOptions<I = never, O = never> extends PolicyOptions {
  readonly cache?: SemanticCache | ExactCache;
  /** Alternatives, tried in order after the stage has failed for good, each under the stage's policy. */
  readonly fallback?: readonly StageUse<I, O>[];
  /**
   * Alternatives for a run short of time: with less than `below` left for the stage, the rung with the smallest
   * matching `below` is taken. `cached`: a cached answer, or the next tighter rung if there is none; `skip`: no output.
   */
  readonly degrade?: readonly { readonly below: Duration; readonly to: StageUse<I, O> | 'cached' | 'skip' }[];
  /** The run continues when the stage fails; its output is then null. */
  readonly optional?: boolean;
  /**
   * What happens if a streamed answer breaks off and no attempt can continue what its readers have received. `fail`
   * (default): the stage fails with `STREAM_CUT`. `end`: the answer ends there. `restart`: the next answer replaces it,
   * unless audio of it is committed or a function has received an entry; then the stage fails. An agent cannot restart.
   * For a stage that speaks, what happens if it fails in mid-stream and an alternative with another voice follows:
   * `fail` and `end` as above; with `fallback` the alternative continues with the next sentence.
   */
  readonly onCut?: 'fail' | 'end' | 'restart' | 'fallback';
  /** Share of the run's deadline reserved for this stage: earlier stages must leave this much. */
  readonly reserve?: Duration;
}

/** Known keys. Types reject others; for JavaScript authors a misspelled key would be ignored silently. */
const KNOWN: ReadonlySet<string> = new Set<keyof StageOptions>([
  'cache',
  'fallback',
  'degrade',
  'optional',
  'reserve',
  'onCut',
  'retry',
  'timeout',
  'execution',
  'priority',
  'hedge',
  'patience',
]);

/** Options that apply only to calls of model servers. */
const ONLY_OF_POOLS: readonly (readonly [string, (policy: PolicyOptions) => unknown])[] = [
  ['hedge', ({ hedge }) => hedge],
  ['timeout.queue', ({ timeout }) => timeout?.queue],
  ['timeout.firstChunk', ({ timeout }) => timeout?.firstChunk],
  ['timeout.idle', ({ timeout }) => timeout?.idle],
];

/** Resolves a stage's options to their plan form. */
export function resolveOptions(
  id: string,
  use: StageUse<never, never>,
  options: StageOptions,
  scope: GraphScope,
  deadlineMs: number,
): Pick<StagePlan, 'policy' | 'cache' | 'fallback' | 'degrade' | 'reserveMs' | 'onCut'> {
  const unknown = Object.keys(options).find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw unknownOption(id, unknown, [...KNOWN]);
  const { servedBy, calls, policy: usual = {} } = kindOfUse(use) ?? {};
  const { cache, fallback = [], degrade = [], optional = false, reserve, onCut, ...policy } = options;
  const pointless =
    servedBy === 'pool' || calls ? undefined : ONLY_OF_POOLS.find(([, given]) => given(policy) !== undefined);
  if (pointless) throw invalid(`${id}.${pointless[0]}`, 'applies only to stages that a pool serves');
  if (servedBy === 'temporal') checkForeign(id, use.kind, options);
  if (calls && cache !== undefined)
    throw invalid(`${id}.cache`, 'does not apply to an agent, whose tools may have effects; remove it');
  if (calls && policy.execution === 'inline') {
    throw invalid(`${id}.execution`, 'cannot be "inline": each of its calls is a separate activity');
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
  const others = [...fallback, ...degrade.map(({ to }) => to)].filter((each) => typeof each === 'object');
  if (onCut !== undefined) checkOnCut(id, use, onCut, others.length > 0);
  const waits = (servedBy !== 'interpreter' || calls !== undefined) && use.kind !== 'workflow';
  const hasAlternative = waits && (optional || fallbacks.length > 0 || degrade.length > 0);
  return {
    policy: resolvePolicy(policy, usual, id, hasAlternative),
    ...(cache !== undefined && { cache: cacheOf(cache, `${id}.cache`, [use, ...others], scope) }),
    ...((fallbacks.length > 0 || optional) && { fallback: optional ? [...fallbacks, 'skip'] : fallbacks }),
    ...(degrade.length > 0 && { degrade: ladder(id, use, options, deadlineMs) }),
    ...(reserve !== undefined && { reserveMs: durationMs(reserve, `${id}.reserve`) }),
    ...(onCut !== undefined && onCut !== 'fail' && { onCut }),
  };
}

const cacheOf = (
  cache: SemanticCache | ExactCache,
  where: string,
  uses: readonly StageUse<never, never>[],
  scope: GraphScope,
) => {
  if (typeof cache !== 'object' || cache === null) throw invalid(where, 'must be semantic({ key }) or exact()');
  return 'kind' in cache ? resolveExact(cache, where, uses, scope) : resolveCache(cache, where, scope, uses[0]?.output);
};

function checkOnCut(id: string, use: StageUse<never, never>, onCut: unknown, hasAlternative: boolean): void {
  const streamed = streamsOf(use);
  if (use.kind === 'transcribe')
    throw invalid(`${id}.onCut`, 'does not apply to a recogniser, which says the same in another attempt; remove it');
  const speaks = streamed.includes('chunks');
  const third = speaks ? 'fallback' : 'restart';
  if (onCut !== 'fail' && onCut !== 'end' && onCut !== 'restart' && onCut !== 'fallback')
    throw invalid(`${id}.onCut`, `must be "fail", "end" or "${third}", not "${String(onCut)}"`);
  if (streamed.length === 0)
    throw invalid(`${id}.onCut`, `applies only to stages whose output is streamed; ${use.kind} is not`);
  if (speaks) {
    if (onCut === 'restart')
      throw invalid(`${id}.onCut`, 'cannot be "restart" for a voice: what it has spoken is heard; use "fallback"');
    if (!hasAlternative && onCut !== 'fail')
      throw invalid(
        `${id}.onCut`,
        'needs a fallback or degrade: it says what happens when another voice follows in mid-stream',
      );
    return;
  }
  if (onCut === 'fallback')
    throw invalid(
      `${id}.onCut`,
      'cannot be "fallback" for an answer, only for a voice: a fallback that says the same goes on anyhow, and "restart" takes another answer',
    );
  if (onCut === 'restart' && use.kind === 'agent')
    throw invalid(
      `${id}.onCut`,
      'cannot be "restart" for an agent: calls of tools may have followed what it has said; use "end"',
    );
  if (onCut === 'restart' && streamed.includes('entries'))
    throw invalid(
      `${id}.onCut`,
      'cannot be "restart" for a function: it goes on from resumeFrom, or yields the same again',
    );
}

function ladder(id: string, use: StageUse<never, never>, options: StageOptions, deadlineMs: number): DegradePlan[] {
  const where = `${id}.degrade`;
  const rungs = (options.degrade ?? []).map(({ below, to }): DegradePlan => {
    if (to !== 'cached' && to !== 'skip' && typeof to !== 'object') {
      throw invalid(where, `"${String(to)}" is not a rung; use a stage, "cached" or "skip"`);
    }
    const belowMs = durationMs(below, where);
    if (belowMs > deadlineMs) {
      throw invalid(
        where,
        `"${below}" is longer than the pipeline’s deadline, ${deadlineMs} ms: it would always apply`,
      );
    }
    if (to === 'cached' && options.cache === undefined)
      throw invalid(where, '"cached" needs a cache: add cache: semantic({ key }) or exact()');
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
  const shapesOutput = isDefinedKind(use.kind) ? [] : ['schema', 'tools'];
  const lost = shapesOutput.find((option) => option in use.with && !(option in other.with));
  if (lost !== undefined) {
    throw invalid(`${id}.${field}`, `${other.model} is called without the ${lost} that ${use.model} is called with`);
  }
  const changed = notShared(use.kind, use.with, other.with);
  if (changed !== undefined) {
    throw invalid(
      `${id}.${field}`,
      `${other.model} and ${use.model} differ in ${changed}, which would change the output`,
    );
  }
  return servedAs(other);
}
