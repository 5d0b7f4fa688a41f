import type { PolicyOptions } from '../definition/policy.js';
import { DEFAULT_POLICY } from '../definition/policy.js';
import type { StageOptions } from '../definition/stage-options.js';
import type { Json, JsonObject } from '../json.js';
import {
  type Alternative,
  agentOf,
  computesWith,
  type EachPlan,
  type Graph,
  isStage,
  type Plan,
  type StagePlan,
  type Step,
} from '../plan/index.js';
import { reservedAfter, reserveOf } from '../plan/reserve.js';
import { type StreamedField, streamedFields } from '../plan/streams.js';
import { type DefinedKinds, kindNamed, traitsOf } from '../stages/index.js';
import { readFieldsOf } from './reads.js';
import { lanesOf, type Segments } from './steps.js';
import type { Inspected } from './warnings.js';

/** Where something runs; undefined if no pool serves it. */
export interface PlacedBy {
  readonly connector: string;
  readonly device: string;
  /** How workers put the pool's calls together. Absent: they do not. */
  readonly microBatch?: { readonly waitMs: number; readonly most: number };
  /** Workers load the model when it is called: a first call waits for that. */
  readonly onDemand?: true;
  /** What the pool adds to each request's body; the stage's own `extra` replaces it by name. */
  readonly extra?: JsonObject;
}

/** A value of a stage's policy and its origin. */
export interface Valued {
  readonly option: string;
  /** Times in milliseconds. */
  readonly value: Json;
  readonly from:
    | 'author'
    | 'kind default'
    | 'general default'
    | 'follows timeout.attempt'
    | 'follows retry.backoff.initial';
}

/** What may serve a stage, in the order in which it is tried. */
export interface Candidate {
  readonly role: string;
  readonly kind: string;
  readonly model: string;
  readonly with: JsonObject;
  readonly placed?: PlacedBy | undefined;
}

export interface ExplainedStage {
  readonly id: string;
  readonly kind: string;
  /** Enclosing steps, outer first: `each parts`. */
  readonly within: readonly string[];
  readonly reads: readonly string[];
  /** Fields of its input that name a stream, and why one is read when it has ended. Absent: none. */
  readonly streams?: readonly StreamedField[];
  readonly candidates: readonly Candidate[];
  readonly policy: readonly Valued[];
  readonly cache?: JsonObject;
  /** Time of the deadline that it leaves for later stages, in milliseconds. */
  readonly leavesMs: number;
  readonly reserveMs?: number;
  /** Number of its inline segment, from 1. */
  readonly segment?: number;
  /** For one pass through all enclosing loops, i.e. per item or round. */
  readonly worst: { readonly calls: number; readonly ms: number };
}

export interface Explained {
  readonly pipeline: string;
  readonly version: string;
  readonly planVersion: number;
  readonly deadlineMs: number;
  /** The longest chain of reserves, in milliseconds. */
  readonly reservedMs: number;
  /** Maximum calls of model servers in a run whose loops have one item and one round. */
  readonly worstCalls: number;
  readonly stages: readonly ExplainedStage[];
  /** Child runs, each with a plan that is explained under its own name. */
  readonly children: readonly { readonly id: string; readonly pipeline: string; readonly deadlineMs: number }[];
  /**
   * Each `each` over a stream: its edge, and why it takes the collected list, if it does. `runs`: `worker`, which has the entries; or `workflow`, whose
   * history has their places, or with `values` the entries, because a condition, a loop or an output of its body reads them.
   */
  readonly overStreams: readonly (StreamedField & {
    readonly id: string;
    readonly runs: 'worker' | 'workflow';
    readonly values?: true;
  })[];
  /** The stages of each inline segment. */
  readonly segments: readonly (readonly string[])[];
  readonly output: Readonly<Record<string, readonly string[]>>;
}

type PlacedOf = (stage: StagePlan, by: Alternative) => PlacedBy | undefined;

/** Explains a plan stage by stage, including all values that its definition omits. */
export function explain({ plan, authored, kinds }: Inspected, segments: Segments, placedOf: PlacedOf): Explained {
  const stages: ExplainedStage[] = [];
  const inSegments: string[][] = [];
  const children: Explained['children'][number][] = [];
  const overStreams: Explained['overStreams'][number][] = [];
  const reserved = reservedAfter(plan);
  const walk = (graph: Graph, within: readonly string[], around: number | undefined) => {
    for (const group of segments.groupsOf(graph)) {
      const own = around ?? (group.some(segments.isInline) ? inSegments.push([]) : undefined);
      for (const step of group) {
        if (isStage(step)) {
          if (own !== undefined) inSegments[own - 1]?.push(step.id);
          const leavesMs = reserved.get(step.id) ?? 0;
          stages.push(
            withStreams(
              step,
              graph,
              stageOf(step, plan, { authored: authored?.get(step.id), kinds }, within, leavesMs, own, placedOf),
            ),
          );
        }
        if (!isStage(step) && step.kind === 'each') overStreams.push(...overStreamsOf(step, graph, segments));
        if (!isStage(step) && step.kind === 'pipeline' && step.run === 'child') {
          children.push({ id: step.id, pipeline: step.plan.name, deadlineMs: step.plan.deadlineMs });
        }
        for (const [label, inner] of lanesOf(step)) walk(inner, [...within, nameOf(step, label)], own);
      }
    }
  };
  walk(plan, [], undefined);
  return {
    pipeline: plan.name,
    version: plan.version,
    planVersion: plan.planVersion,
    deadlineMs: plan.deadlineMs,
    reservedMs: reserveOf(plan),
    worstCalls: stages.reduce((sum, { worst }) => sum + worst.calls, 0),
    stages,
    children,
    overStreams,
    segments: inSegments,
    output: Object.fromEntries(
      Object.entries(plan.output as object).map(([field, binding]) => [field, pathsOf(binding as Json)]),
    ),
  };
}

const nameOf = ({ kind, id }: Step, label: string): string => [kind, id, label].filter(Boolean).join(' ');
const pathsOf = (of: Step | Json): string[] =>
  readFieldsOf(of).map(({ source, field }) => (field === '' ? source : `${source}.${field}`));

function stageOf(
  stage: StagePlan,
  plan: Plan,
  { authored, kinds }: { authored: StageOptions | undefined; kinds: DefinedKinds | undefined },
  within: readonly string[],
  leavesMs: number,
  segment: number | undefined,
  placedOf: PlacedOf,
): ExplainedStage {
  const candidates = candidatesOf(stage).map((each) => ({ ...each, placed: placedOf(stage, each) }));
  const kind = kindNamed(stage.kind, kinds);
  return {
    id: stage.id,
    kind: stage.kind,
    within,
    reads: pathsOf(stage),
    candidates,
    policy: kind?.servedBy === 'interpreter' && !kind.calls ? [] : policyOf(stage, authored ?? {}, kind?.policy ?? {}),
    ...(stage.cache && { cache: stage.cache as unknown as JsonObject }),
    leavesMs,
    ...(stage.reserveMs !== undefined && { reserveMs: stage.reserveMs }),
    ...(segment !== undefined && { segment }),
    worst: worstOf(stage, plan, leavesMs),
  };
}

function overStreamsOf(step: EachPlan, { stages }: Graph, { isInline }: Segments): Explained['overStreams'] {
  const runs = isInline(step) ? 'worker' : 'workflow';
  const values = runs === 'workflow' && computesWith(step.body, `${step.id}/item`);
  return streamedFields(step, stages).map((field) => ({ ...field, id: step.id, runs, ...(values && { values }) }));
}

function withStreams(stage: StagePlan, { stages }: Graph, explained: ExplainedStage): ExplainedStage {
  const streams = streamedFields(stage, stages);
  return streams.length === 0 ? explained : { ...explained, streams };
}

function candidatesOf({ kind, model, with: options, fallback = [], degrade = [] }: StagePlan): Candidate[] {
  const named = (role: string, to: Alternative): Candidate => ({ role, kind: to.kind, model: to.model, with: to.with });
  const own: Candidate = { role: 'first', kind, model, with: options };
  const nothing = (role: string): Candidate => ({ role, kind: 'skip', model: '', with: {} });
  return [
    own,
    ...fallback.map((to, i) => (to === 'skip' ? nothing(`fallback ${i + 1}`) : named(`fallback ${i + 1}`, to))),
    ...degrade.map(({ belowMs, to }) => {
      const role = `with less than ${belowMs} ms left`;
      if (to === 'skip') return nothing(role);
      return to === 'cached' ? { ...own, role: `${role}, cached only` } : named(role, to);
    }),
  ];
}

/** The maximum number of calls and the longest time, over all sequences of candidates that the interpreter may try. */
function worstOf(stage: StagePlan, plan: Plan, leavesMs: number) {
  const left = Math.max(0, plan.deadlineMs - leavesMs);
  if (stage.kind === 'agent') return worstOfAgent(stage, left);
  const servedBy = traitsOf(stage)?.servedBy;
  if (servedBy === 'interpreter') return { calls: 0, ms: Math.min(left, Number(stage.with.timeoutMs ?? left)) };
  const fallbacks = (stage.fallback ?? []).filter((to) => to !== 'skip').length;
  const rungs = (stage.degrade ?? []).filter(({ to }) => typeof to === 'object').length;
  // Its rungs serve it after its own calls as well, if its server is away.
  const candidates = 1 + rungs + fallbacks;
  const { retry, hedge, timeout } = stage.policy;
  const each = servedBy === 'pool' ? retry.attempts * (hedge ? 2 : 1) : 0;
  // A candidate may spend its total on waits: for a place, for a server that is away.
  return { calls: candidates * each, ms: Math.min(left, candidates * timeout.totalMs) };
}

/** Every turn of every candidate with all its attempts; the total time of its tools is unknown. */
function worstOfAgent({ kind, model, with: options, fallback = [], degrade = [], policy }: StagePlan, left: number) {
  const own: Alternative = { kind, model, with: options };
  const alternatives = [...fallback, ...degrade.map(({ to }) => to)];
  const all = [own, ...alternatives.filter((to): to is Alternative => typeof to === 'object')];
  const turns = all.reduce((sum, by) => sum + agentOf(by).maxTurns, 0);
  return { calls: turns * policy.retry.attempts * (policy.hedge ? 2 : 1), ms: left };
}

type Read = (options: PolicyOptions) => unknown;

/** Every value of a policy, by the option name that authors use. */
function policyOf({ policy }: StagePlan, authored: StageOptions, kind: PolicyOptions): Valued[] {
  const { retry, timeout, execution, priority, hedge } = policy;
  const of = (option: string, value: Json | undefined, read: Read, otherwise?: Valued['from']): Valued[] => {
    if (value === undefined) return [];
    const from =
      read(authored) !== undefined
        ? 'author'
        : read(kind) !== undefined
          ? 'kind default'
          : (otherwise ?? 'general default');
    return [{ option, value, from }];
  };
  const grown = (value: number, usual: number, from: Valued['from']) => (value === usual ? undefined : from);
  return [
    ...of('retry.attempts', retry.attempts, (o) => o.retry?.attempts),
    ...of('retry.backoff.initial', retry.initialMs, (o) => o.retry?.backoff?.initial),
    ...of('retry.backoff.factor', retry.factor, (o) => o.retry?.backoff?.factor),
    ...of(
      'retry.backoff.max',
      retry.maxMs,
      (o) => o.retry?.backoff?.max,
      grown(retry.maxMs, DEFAULT_POLICY.retry.maxMs, 'follows retry.backoff.initial'),
    ),
    ...of('retry.backoff.jitter', retry.jitter, (o) => o.retry?.backoff?.jitter),
    ...of('retry.on', retry.on, (o) => o.retry?.on),
    ...of('timeout.attempt', timeout.attemptMs, (o) => o.timeout?.attempt),
    ...of(
      'timeout.total',
      timeout.totalMs,
      (o) => o.timeout?.total,
      grown(timeout.totalMs, DEFAULT_POLICY.timeout.totalMs, 'follows timeout.attempt'),
    ),
    ...of('timeout.queue', timeout.queueMs, (o) => o.timeout?.queue),
    ...of('timeout.firstChunk', timeout.firstChunkMs, (o) => o.timeout?.firstChunk),
    ...of('timeout.idle', timeout.idleMs, (o) => o.timeout?.idle),
    ...of('execution', execution, (o) => o.execution),
    ...of('priority', priority, (o) => o.priority),
    ...of('hedge', hedge && { ...hedge }, (o) => o.hedge),
    ...of('patience', policy.patienceMs, (o) => o.patience),
  ];
}
