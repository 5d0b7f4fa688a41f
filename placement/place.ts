import { type ErrorCode, MillraceError } from '../pipelines/errors.js';
import {
  type Alternative,
  allSteps,
  isStage,
  type Placement,
  type Plan,
  type StagePlacement,
  type StagePlan,
} from '../pipelines/plan/index.js';

/** What placing needs to know of a pool. */
export interface PoolDescription {
  readonly connector: string;
  readonly devices: readonly string[];
  /** The stage kind that it serves. */
  readonly kind: string;
  /** What its connector can do beyond a plain call. */
  readonly capabilities: ReadonlySet<string>;
}

/** Kinds that no pool serves, and where they run instead. */
const LOCAL_KINDS: Readonly<Record<string, Omit<StagePlacement, 'queue'>>> = {
  code: { connector: 'code', device: 'worker' },
  split: { connector: 'media', device: 'worker' },
  retrieve: { connector: 'redis', device: 'worker' },
  upsert: { connector: 'redis', device: 'worker' },
  approve: { connector: 'workflow', device: 'person' },
};

/** What an option of a stage asks of the server. */
const NEEDS: Readonly<Record<string, string>> = { schema: 'structured-output', tools: 'tools' };

/** What a stage's timeouts ask of the server: only a stream has a first chunk. */
const streams = ({ policy: { timeout } }: StagePlan): boolean =>
  timeout.firstChunkMs !== undefined || timeout.idleMs !== undefined;

/** Everything that may serve a stage besides what is planned, in the order in which a placement numbers it. */
export const alternativesOf = ({ fallback = [], degrade = [] }: StagePlan): readonly Alternative[] =>
  [...fallback, ...degrade.map(({ to }) => to)].filter((to): to is Alternative => typeof to === 'object');

type PoolOf = (model: string) => PoolDescription | undefined;

/**
 * Says for each stage of a plan which connector, devices and task queue it runs on. Throws `MODEL_NOT_CONFIGURED` when a
 * stage, its alternatives or its cache name a model that no pool serves, and `CAPABILITY_MISSING` when a pool cannot do
 * what the stage needs of it.
 */
export function place(plan: Plan, poolOf: PoolOf, queue: string): Placement {
  const placement: Record<string, StagePlacement> = {};
  for (const step of allSteps(plan)) {
    if (step.kind === 'pipeline' && !isStage(step) && step.run === 'child') {
      for (const [id, placed] of Object.entries(place(step.plan, poolOf, queue)))
        placement[`${step.id}/${id}`] = placed;
    }
    if (!isStage(step)) continue;
    if (step.cache) describe(plan, poolOf, step.cache.embedder, `${step.id}.cache.embedder`, 'embed');
    placement[step.id] = { ...placeOne(plan, step, step, poolOf, `${step.id}.model`), queue };
    for (const [i, alternative] of alternativesOf(step).entries()) {
      placement[`${step.id}~${i + 1}`] = { ...placeOne(plan, step, alternative, poolOf, `${step.id}.fallback`), queue };
    }
  }
  return placement;
}

function placeOne(plan: Plan, stage: StagePlan, by: Alternative, poolOf: PoolOf, field: string) {
  const { embedder } = by.with;
  if (typeof embedder === 'string') describe(plan, poolOf, embedder, `${stage.id}.embedder`, 'embed');
  const local = LOCAL_KINDS[by.kind];
  if (local) return local;
  const { connector, devices, capabilities } = describe(plan, poolOf, by.model, field, by.kind);
  const needed = Object.entries(NEEDS).flatMap(([option, capability]) => (option in by.with ? [capability] : []));
  if (streams(stage)) needed.push('stream');
  const missing = needed.find((capability) => !capabilities.has(capability));
  if (missing !== undefined) {
    const message = `the pool "${by.model}" (${connector}) has no ${missing}`;
    throw wrong('CAPABILITY_MISSING', plan, field, message);
  }
  return { connector, device: devices.join(',') };
}

function describe(plan: Plan, poolOf: PoolOf, model: string, field: string, kind: string): PoolDescription {
  const pool = poolOf(model);
  if (pool?.kind === kind) return pool;
  const message = pool
    ? `the pool "${model}" serves ${pool.kind} stages, not ${kind}`
    : `no pool serves the model "${model}"`;
  throw wrong('MODEL_NOT_CONFIGURED', plan, field, message);
}

const wrong = (code: ErrorCode, { name }: Plan, field: string, message: string) =>
  new MillraceError(code, `pipeline "${name}", ${field}: ${message}`, { fields: [{ field, message }] });
