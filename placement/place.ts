import { type ErrorCode, MillraceError } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import {
  type AgentPlan,
  type Alternative,
  agentOf,
  allSteps,
  isStage,
  type Modality,
  mediaUses,
  memoryRow,
  type Plan,
  type PricePlan,
  resultRow,
  type StagePlan,
  searchRow,
  serveAs,
  serverRow,
  sessionRow,
  toolRow,
} from '../pipelines/plan/index.js';
import type { Placement, StagePlacement } from '../pipelines/run/index.js';
import { isDefinedKind, kindNamed, traitsOf } from '../pipelines/stages/index.js';
import { TRAITS } from '../pipelines/stages/traits.js';
import { nextModels } from './next-models.js';
import { codeQueues, type QueuesOf } from './queues.js';

/** Properties of a pool that placement uses. */
export interface PoolDescription {
  readonly connector: string;
  readonly devices: readonly string[];
  /** The stage kind that it serves. */
  readonly kind: string;
  /** Capabilities of its connector beyond a plain call. */
  readonly capabilities: ReadonlySet<string>;
  /** Price per million tokens. */
  readonly price?: PricePlan;
  /** The model's context, in tokens. */
  readonly contextTokens?: number;
  /** What its model takes beside text. Absent: unknown. */
  readonly modalities?: readonly Modality[];
  /** How workers put its calls together. Absent: they do not. */
  readonly microBatch?: { readonly waitMs: number; readonly most: number };
  /** Workers load its model when it is called. */
  readonly onDemand?: true;
  /** Members of every request's body, which a stage's own `extra` replaces by name. */
  readonly extra?: JsonObject;
}

/** Capability that an option of a stage requires; an empty list requires none. */
const NEEDS: Readonly<Record<string, string>> = { schema: 'structured-output', tools: 'tools', servers: 'tools' };
const usesOption = (option: string, { kind, with: options }: Alternative): boolean => {
  // An option of a kind made with `defineKind` that has the same name means something else.
  const value = isDefinedKind(kind)
    ? undefined
    : kind === 'agent' && option === 'tools'
      ? offeredTools(options)
      : options[option];
  return Array.isArray(value) ? value.length > 0 : value !== undefined;
};

/** Without those that only check: no model sees them. */
const offeredTools = (options: Alternative['with']) => {
  const { tools, guards = [] } = agentOf({ with: options });
  return tools.filter(({ name }) => !guards.some(({ tool }) => tool === name));
};

/** Capability that a stage's timeouts require: only a stream has a first chunk. */
const streams = ({ policy: { timeout } }: StagePlan): boolean =>
  timeout.firstChunkMs !== undefined || timeout.idleMs !== undefined;

/** Everything that may serve a stage besides its first candidate, in a placement's numbering. */
export const alternativesOf = ({ fallback = [], degrade = [] }: StagePlan): readonly Alternative[] =>
  [...fallback, ...degrade.map(({ to }) => to)].filter((to): to is Alternative => typeof to === 'object');

type PoolOf = (model: string) => PoolDescription | undefined;

/** Input of placement. */
interface Ground {
  readonly poolOf: PoolOf;
  /** Task queue of everything that no placement assigns elsewhere. */
  readonly queue: string;
  readonly queuesOf?: QueuesOf | undefined;
}

/**
 * Assigns each stage of a plan a connector, devices and a task queue. Throws `MODEL_NOT_CONFIGURED` if a stage, its
 * alternatives or its cache name a model that no pool serves, and `CAPABILITY_MISSING` if a pool lacks a capability that
 * the stage requires.
 *
 * @param queue the deployment's own task queue
 * @param queuesOf queues of an applied placement for a pool's calls
 */
export function place(plan: Plan, poolOf: PoolOf, queue: string, queuesOf?: QueuesOf): Placement {
  return placeAll(plan, { poolOf, queue, queuesOf });
}

function placeAll(plan: Plan, ground: Ground): Placement {
  const { poolOf } = ground;
  const placement: Record<string, StagePlacement> = {};
  for (const step of allSteps(plan)) {
    if (step.kind === 'pipeline' && !isStage(step) && step.run === 'child') {
      for (const [id, placed] of Object.entries(placeAll(step.plan, ground))) placement[`${step.id}/${id}`] = placed;
    }
    if (!isStage(step)) continue;
    if (step.cache?.kind === 'semantic')
      describe(plan, poolOf, step.cache.embedder, `${step.id}.cache.embedder`, 'embed');
    if (step.cache?.kind === 'semantic' && step.cache.agree?.by === 'model')
      describe(plan, poolOf, step.cache.agree.model, `${step.id}.cache.agree.model`, 'chat');
    if (step.cache?.kind === 'semantic' && step.cache.verifier)
      describe(plan, poolOf, step.cache.verifier.entailment, `${step.id}.cache.verifier.entailment`, ...OF_PAIRS);
    const each = [step, ...alternativesOf(step)];
    for (const [i, by] of each.entries()) {
      const field = `${step.id}.${i === 0 ? 'model' : 'fallback'}`;
      const row = i === 0 ? step.id : `${step.id}~${i}`;
      placement[row] = placeOne(plan, step, by, ground, field);
      if (by.kind === 'agent') Object.assign(placement, placeTools(plan, step, agentOf(by), row, ground));
    }
  }
  for (const [id, next] of nextModels(plan, (model) => poolOf(model)?.onDemand === true)) {
    const row = placement[id];
    if (row) placement[id] = { ...row, next };
  }
  return placement;
}

/** The rows of an agent's tools: of each tool that is a call, and of all stages of one that is a pipeline. */
function placeTools(
  plan: Plan,
  stage: StagePlan,
  { tools, servers = [], session, memory, context, toolSearch }: AgentPlan,
  row: string,
  ground: Ground,
): Placement {
  const rows: Record<string, StagePlacement> = {};
  for (const tool of tools) {
    const own = toolRow(row, tool.name);
    if (tool.by === 'pipeline') {
      for (const [id, placed] of Object.entries(placeAll(tool.plan, ground))) rows[`${own}/${id}`] = placed;
    } else {
      // Its input is made by the model.
      const called: StagePlan = { ...serveAs(stage, tool), policy: tool.policy, input: null };
      rows[own] = placeOne(plan, called, called, ground, `${stage.id}.tools.${tool.name}`);
    }
  }
  if (toolSearch) {
    describe(plan, ground.poolOf, toolSearch.embedder, `${stage.id}.toolSearch.embedder`, 'embed');
    rows[searchRow(row)] = { ...TRAITS['tool-search'].local, queue: ground.queue };
  }
  if (context) rows[resultRow(row)] = { ...TRAITS.result.local, queue: ground.queue };
  if (session) rows[sessionRow(row)] = { ...TRAITS.session.local, queue: ground.queue };
  if (memory) rows[memoryRow(row)] = { ...TRAITS.memory.local, queue: ground.queue };
  for (const { server } of servers) rows[serverRow(row, server)] = { ...TRAITS.mcp.local, queue: ground.queue };
  return rows;
}

function placeOne(plan: Plan, stage: StagePlan, by: Alternative, ground: Ground, field: string): StagePlacement {
  const { poolOf, queue, queuesOf } = ground;
  const embedder = isDefinedKind(by.kind) ? undefined : by.with.embedder;
  if (typeof embedder === 'string') describe(plan, poolOf, embedder, `${stage.id}.embedder`, 'embed');
  const { local, servedBy } = traitsOf(by) ?? {};
  if (servedBy === 'temporal') return placedElsewhere(plan, by, queue, field);
  if (local && by.codeVersion !== undefined) return { ...local, ...placedCode(queue, by.model, by.codeVersion) };
  if (local) return { ...local, queue };
  // An agent's calls have a kind of their own.
  const calls = kindNamed(by.kind)?.calls ?? by.kind;
  const pool = describe(plan, poolOf, by.model, field, calls);
  const { connector, devices, capabilities, price, contextTokens } = pool;
  const needed = Object.entries(NEEDS).flatMap(([option, capability]) => (usesOption(option, by) ? [capability] : []));
  if (streams(stage)) needed.push('stream');
  const missing = needed.find((capability) => !capabilities.has(capability));
  if (missing !== undefined) {
    const message = `the pool "${by.model}" (${connector}) has no ${missing}`;
    throw wrong('CAPABILITY_MISSING', plan, field, message);
  }
  const untaken = [...mediaUses(stage.input)].find(({ modality }) => pool.modalities?.includes(modality) === false);
  if (untaken) {
    const message = `${untaken.field}: the pool "${by.model}" takes no ${untaken.modality} (its modalities: ${pool.modalities?.join(', ') || 'none'})`;
    throw wrong('CAPABILITY_MISSING', plan, field, message);
  }
  const budget = by.kind === 'agent' ? agentOf(by).budget : undefined;
  if (budget?.cost !== undefined && !budget.price && !price) {
    const message = `neither the budget nor the pool "${by.model}" states the price of a million tokens`;
    throw wrong('CAPABILITY_MISSING', plan, field, message);
  }
  return {
    connector,
    ...(queuesOf?.(by.model) ?? { device: devices.join(','), queue }),
    ...(price && { price }),
    ...(by.kind === 'agent' && contextTokens !== undefined && { contextTokens }),
  };
}

/** A stage of another worker of Temporal. Millrace's own workers serve every activity type on their queue. */
function placedElsewhere(plan: Plan, { kind, with: options }: Alternative, own: string, field: string): StagePlacement {
  const queue = String(options.queue);
  if (kind === 'activity' && queue === own) {
    const message = `the queue "${queue}" is that of Millrace’s own workers, which do not have this activity`;
    throw wrong('MODEL_NOT_CONFIGURED', plan, field, message);
  }
  return { connector: 'temporal', device: queue, queue };
}

function placedCode(taskQueue: string, name: string, version: string): Pick<StagePlacement, 'queue' | 'elsewhere'> {
  const [queue, ...others] = codeQueues(taskQueue, name, version);
  return { queue, elsewhere: others.map((other) => ({ queue: other, device: TRAITS.code.local.device })) };
}

/** Kinds whose models score two texts. */
const OF_PAIRS = ['classify', 'rerank'] as const;

function describe(
  plan: Plan,
  poolOf: PoolOf,
  model: string,
  field: string,
  ...kinds: readonly [string, ...string[]]
): PoolDescription {
  const pool = poolOf(model);
  if (pool && kinds.includes(pool.kind)) return pool;
  const message = pool
    ? `the pool "${model}" serves ${pool.kind} stages, not ${kinds.join(' or ')}`
    : `no pool serves the model "${model}"`;
  throw wrong('MODEL_NOT_CONFIGURED', plan, field, message);
}

const wrong = (code: ErrorCode, { name }: Plan, field: string, message: string) =>
  new MillraceError(code, `pipeline "${name}", ${field}: ${message}`, { fields: [{ field, message }] });
