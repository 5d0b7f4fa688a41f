import type { StageOptions } from '../definition/stage-options.js';
import { isJsonObject, type Json } from '../json.js';
import {
  allSteps,
  type Graph,
  graphsOf,
  isStage,
  type Plan,
  readsOf,
  type StagePlan,
  type Step,
  sourcesOf,
} from '../plan/index.js';
import { ANSWER_IS_LATE, streamedFields } from '../plan/streams.js';
import { nextDelayMs } from '../retry.js';
import { type DefinedKinds, kindNamed, traitsOf } from '../stages/index.js';
import { takenBy } from '../stages/traits.js';
import { type Finding, WARNINGS, type WarningCode } from './finding.js';
import { type FieldRead, readFieldsOf } from './reads.js';
import { spell } from './spell.js';

/** What is inspected: a pipeline, or a plan alone. */
export interface Inspected {
  readonly plan: Plan;
  /** JSON Schema of the input; without it unused fields cannot be found. */
  readonly inputSchema?: Json;
  /** The author's options by stage; without them it is unknown which values were chosen. */
  readonly authored?: ReadonlyMap<string, StageOptions>;
  /** The kinds made with `defineKind` that it uses; without them their defaults are unknown. */
  readonly kinds?: DefinedKinds;
}

/** An inline stage occupies a slot of the worker that runs the workflow; queued calls may take as long as they need. */
const LONG_INLINE_MS = 60_000;
const SAFE_METHODS: ReadonlySet<unknown> = new Set(['GET', 'PUT', 'DELETE']);

type Warn = (stage: string, code: WarningCode, message: string) => void;

/** Everything in a pipeline that is allowed but rarely intended. */
export function warningsOf(inspected: Inspected): readonly Finding[] {
  const { plan } = inspected;
  const found: Finding[] = [];
  const warn: Warn = (stage, code, message) =>
    found.push({ level: 'warning', pipeline: plan.name, stage, code, message, remedy: WARNINGS[code] });
  unusedInputs(inspected, warn);
  unusedSteps(plan, warn);
  lateAnswers(plan, warn);
  for (const step of allSteps(plan)) {
    if (isStage(step)) stageWarnings(step, inspected.authored?.get(step.id), warn);
    else if (step.kind === 'when' && sourcesOf(step.condition).length === 0) {
      warn(step.id, 'CONSTANT_CONDITION', 'the condition reads nothing: it is the same in every run');
    }
  }
  return found;
}

function unusedInputs({ plan, inputSchema }: Inspected, warn: Warn): void {
  const properties = isJsonObject(inputSchema) ? inputSchema.properties : undefined;
  if (!isJsonObject(properties)) return;
  const outputs = [plan, ...[...allSteps(plan)].flatMap(graphsOf)].map(({ output }) => output);
  const reads = [...[...allSteps(plan)].flatMap(readFieldsOf), ...outputs.flatMap(readFieldsOf)];
  const fromInput = reads.filter(({ source }) => source === 'input');
  if (fromInput.some(({ field }) => field === '')) return;
  const read = new Set(fromInput.map(({ field }: FieldRead) => field.split('.', 1)[0]));
  for (const name of Object.keys(properties)) {
    if (!read.has(name)) warn('input', 'UNUSED_INPUT', `nothing reads "${name}"`);
  }
}

function unusedSteps(graph: Graph, warn: Warn): void {
  const read = new Set([...sourcesOf(graph.output), ...graph.stages.flatMap(readsOf)]);
  for (const step of graph.stages) {
    if (!read.has(step.id) && !doesWork(step)) warn(step.id, 'UNUSED_STAGE', 'its output is not used');
    for (const inner of graphsOf(step)) unusedSteps(inner, warn);
  }
}

/** Streams of an agent's answer: what reads one waits for the agent's end, as if it had the list. */
function lateAnswers(graph: Graph, warn: Warn): void {
  for (const step of graph.stages) {
    for (const inner of graphsOf(step)) lateAnswers(inner, warn);
    if (!isStage(step) && step.kind !== 'each') continue;
    for (const { field, source, collected } of streamedFields(step, graph.stages)) {
      if (collected !== ANSWER_IS_LATE || (isStage(step) && !takenBy(step).includes(field))) continue;
      warn(step.id, 'LATE_ANSWER', `${source} are read when the agent has ended`);
    }
  }
}

/** For control flow: whether any step in it does. Stages of a child run are reported with their own pipeline. */
function doesWork(step: Step): boolean {
  if (isStage(step)) return traitsOf(step)?.effects === 'intended';
  const graphs = step.kind === 'pipeline' ? [step.plan] : graphsOf(step);
  return graphs.some(({ stages }) => stages.some(doesWork));
}

function stageWarnings(stage: StagePlan, authored: StageOptions | undefined, warn: Warn): void {
  const { id, kind, policy, cache, fallback = [] } = stage;
  const { attemptMs, totalMs } = policy.timeout;
  const { attempts } = policy.retry;
  if (cache?.kind === 'semantic' && sourcesOf(cache.key).length === 0)
    warn(id, 'CONSTANT_CACHE_KEY', 'the cache’s key is the same in every run');
  if (authored?.timeout?.total !== undefined) {
    const most = longestMs(stage);
    if (most < totalMs) {
      const calls = `${attempts} × ${spell(attemptMs)} and the waits between are ${spell(most)}`;
      const reached = 'reached only by waits for a place, or for a server that is away';
      warn(id, 'TOTAL_NOT_REACHED', `${calls}: the total of ${spell(totalMs)} is ${reached}`);
    }
  }
  const chosen = authored?.timeout?.total !== undefined || authored?.timeout?.attempt !== undefined;
  if (chosen && attempts > 1 && totalMs < 2 * attemptMs) {
    const left = spell(totalMs - attemptMs);
    warn(id, 'TOTAL_CUTS_RETRIES', `an attempt that times out after ${spell(attemptMs)} leaves ${left} for all others`);
  }
  if (policy.execution === 'inline' && callsPools(stage) && attemptMs > LONG_INLINE_MS) {
    warn(id, 'LONG_INLINE_ATTEMPT', `an inline attempt may hold the worker for ${spell(attemptMs)}`);
  }
  const writes = kind === 'upsert' || kind === 'a2a' || (kind === 'http' && stage.with.method !== 'GET');
  if (policy.hedge && kind === 'http' && !SAFE_METHODS.has(stage.with.method)) {
    warn(id, 'REPEATED_WRITE', `${String(stage.with.method)} is hedged`);
  }
  if (policy.hedge && kind === 'a2a') warn(id, 'REPEATED_WRITE', 'a message to an agent is hedged');
  if (cache && writes) warn(id, 'CACHED_WRITE', 'a stage that writes has a cache');
  const own = JSON.stringify([kind, stage.model, stage.with]);
  if (fallback.some((to) => to !== 'skip' && JSON.stringify([to.kind, to.model, to.with]) === own)) {
    warn(id, 'SAME_FALLBACK', 'a fallback is the stage itself');
  }
}

/** Whether its attempts wait for model servers. */
function callsPools(stage: StagePlan): boolean {
  const { calls, alsoNeeds } = kindNamed(stage.kind) ?? {};
  return (traitsOf(stage)?.servedBy ?? 'pool') === 'pool' || calls !== undefined || alsoNeeds !== undefined;
}

/** Maximum duration of all attempts of one candidate, in milliseconds, ignoring the total timeout. */
function longestMs({ policy: { retry, timeout } }: StagePlan): number {
  let ms = retry.attempts * timeout.attemptMs;
  // 1 is just above the largest random number: the longest wait with jitter.
  for (let failed = 1; failed < retry.attempts; failed++) ms += nextDelayMs(retry, failed, undefined, 1);
  return ms;
}
