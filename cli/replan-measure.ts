import { statSync } from 'node:fs';
import type { Client } from '@temporalio/client';
import { type MeasureOptions, measure } from '../measure/replan/index.js';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import {
  calledPools,
  type PlacementDocument,
  readPlacement,
  servedModel,
  variantsApart,
} from '../placement/document/index.js';
import { makeLoad } from '../placement/explain/index.js';
import { horizonMs, type PlannerInput, type PoolAffinity } from '../placement/planner/index.js';
import {
  type Measured,
  measuredRate,
  objectiveOf,
  type Replanned,
  replan,
  TOLERANCE,
} from '../placement/replan/index.js';
import { CACHED_COLUMN } from '../placement/simulator/index.js';
import { nearest } from '../placement/source/index.js';
import { type PipelineShape, withAssumptions, withMeanCalls } from '../placement/workload/index.js';
import { connectorsOf } from '../workers/connectors.js';
import { withServers } from '../workers/discovery.js';
import { loadModels } from '../workers/models.js';
import type { Settings } from '../workers/settings.js';
import { read, readCluster, readProfileFolder, readShape, wrongOption } from './place-files.js';

export interface ReplanCommandOptions {
  readonly placement?: string;
  readonly pipeline: readonly string[];
  readonly cluster: string;
  readonly profiles: string;
  readonly assume: readonly string[];
  readonly cv: number;
  readonly window: number;
  readonly look: number;
  readonly tolerance?: number;
  /** The placement is that of several hours of a schedule. */
  readonly scheduled?: boolean;
  readonly every?: number;
  /** The words after `--auto`: `within` and the file of a policy. */
  readonly auto?: readonly string[];
  /** Where figures are served to Prometheus. */
  readonly metricsPort?: number;
  readonly timeLimit: number;
  readonly seed: number;
  readonly out: string;
  readonly module?: string;
  readonly json?: boolean;
}

/** Least number of runs from which a rate is derived; with fewer the placement's own rate is kept. */
const LEAST_RUNS = 20;
/** Share of the placement's rate for a pipeline without runs, which has to be placed as well. */
const LEAST_SHARE = 0.01;

export interface Measurement {
  readonly placement: PlacementDocument;
  readonly measured: Measured;
  readonly found: Replanned;
  readonly input: PlannerInput;
  /** When the file of the placement was written, in milliseconds since 1970. */
  readonly appliedAtMs: number;
  /** Identifies the content of a report, to suppress repeated ones. */
  readonly news: string;
}

/** How the placement in force is measured. */
export interface Looking {
  readonly client: Client;
  readonly signal: AbortSignal;
}

/** Measures the placement in force, and compares it with its prediction. */
export async function measureOnce(
  settings: Settings,
  options: ReplanCommandOptions,
  looking: Looking,
): Promise<Measurement> {
  const window = { windowMs: options.window };
  const {
    file,
    placement,
    measured,
    appliedAtMs,
    input: files,
  } = await measureInForce(settings, options, looking, window);
  const input = { ...files, load: measuredLoad(placement, measured, files, options) };
  const limits = { objective: placement.objective, timeLimitMs: options.timeLimit, clock: () => performance.now() };
  const { tolerance = TOLERANCE, scheduled } = options;
  const found = replan({ placement, measured, input, tolerance, scheduled }, limits);
  const news = JSON.stringify([
    file,
    placement.version,
    found.drift.map(({ what, of }) => [what, of]),
    found.proposal?.version,
    found.problem,
  ]);
  return { placement, measured, found, input, appliedAtMs, news };
}

/**
 * Measures the placement in force over a window, which begins at the earliest when it was applied: by the time of its file, or by
 * `sinceMs`, since others may touch the file. Throws `ORCHESTRATOR_UNAVAILABLE` if Temporal does not list its runs, and
 * `BACKEND_UNAVAILABLE` if none of its servers can be reached, or if the search for those of a pool fails.
 */
export async function measureInForce(
  settings: Settings,
  options: ReplanCommandOptions,
  { client, signal }: Looking,
  { windowMs = Number.POSITIVE_INFINITY, sinceMs }: { readonly windowMs?: number; readonly sinceMs?: number },
) {
  const { file, placement, appliedAtMs } = await inForce(settings, options);
  const appliedAt = sinceMs ?? appliedAtMs;
  const input = await filesOf(settings, options, placement);
  const measured = await measuredBy({
    placement,
    pipelines: input.pipelines.map(({ name }) => name),
    models: await modelsNow(settings, placement, signal),
    connectors: connectorsOf(settings),
    client,
    namespace: settings.TEMPORAL_NAMESPACE,
    taskQueue: settings.MILLRACE_TASK_QUEUE,
    lookMs: options.look,
    since: new Date(Math.max(Date.now() - windowMs, appliedAt)),
    // Runs from before the placement was applied do not count.
    appliedAt: new Date(appliedAt),
    signal,
  });
  return { file, placement, measured, appliedAtMs, input };
}

/** The models, of which the placement's pools have the endpoints that they have now. Throws `BACKEND_UNAVAILABLE` if a search fails. */
export const modelsNow = async (settings: Settings, placement: PlacementDocument, signal: AbortSignal) => {
  const names = calledPools(placement).map(({ model }) => model);
  return withServers(settings, await loadModels(settings), names, signal);
};

/** Takes the measurement. Throws `ORCHESTRATOR_UNAVAILABLE` if Temporal does not provide it. */
async function measuredBy(options: MeasureOptions): Promise<Measured> {
  try {
    return await measure(options);
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    const message = `Temporal does not list the runs of namespace "${options.namespace}": ${messageOf(error)}`;
    throw new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, {}, { cause: error });
  }
}

/** The placement that new runs use, and when it was applied. */
export async function inForce({ MILLRACE_PLACEMENT }: Settings, { placement: given }: ReplanCommandOptions) {
  const file = given ?? MILLRACE_PLACEMENT;
  if (file === undefined) {
    throw wrongOption('--placement', 'pass the placement in force, or set MILLRACE_PLACEMENT');
  }
  const placement = readPlacement(await read(file, 'INVALID_PLACEMENT'), file);
  return { file, placement, appliedAtMs: statSync(file).mtimeMs };
}

/** Everything except the load. */
export async function filesOf(
  settings: Settings,
  { pipeline, cluster, profiles, assume, module }: ReplanCommandOptions,
  placement: PlacementDocument,
): Promise<Omit<PlannerInput, 'load'>> {
  const placed = [...new Set(Object.keys(placement.stages).map((key) => key.split('/', 1)[0] ?? ''))];
  const pipelines: PipelineShape[] = [];
  for (const each of pipeline.length > 0 ? pipeline : placed) pipelines.push(await readShape(settings, each, module));
  for (const { name, stages } of pipelines) {
    const missing = stages.find(({ id }) => placement.stages[`${name}/${id}`] === undefined && !id.endsWith('.embed'));
    if (missing) {
      const known = Object.keys(placement.stages);
      throw wrongOption(
        '--pipeline',
        `the placement ${placement.version} has no stage "${name}/${missing.id}"${nearest(`${name}/${missing.id}`, known)}: place the pipeline first`,
      );
    }
  }
  const absent = placed.find((name) => !pipelines.some((each) => each.name === name));
  if (absent !== undefined) throw wrongOption('--pipeline', `the placement also serves "${absent}": pass it too`);
  const inventory = await readCluster(cluster);
  const ids = inventory.devices.map(({ id }) => id);
  const used = placement.pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices));
  const unknown = used.find((id) => !ids.includes(id));
  if (unknown !== undefined) {
    throw wrongOption('--cluster', `it has no device "${unknown}", which the placement uses${nearest(unknown, ids)}`);
  }
  const { qualityFloor, quality, survive } = placement.slo;
  const apart = variantsApart(placement);
  const affinity = affinitiesIn(placement);
  return {
    // By columns of the trace that the placement was made for, as far as it has kept them: what is measured has none.
    pipelines: withAssumptions(withMeanCalls(pipelines, placement.calls ?? {}, placement.sizes), assume),
    inventory,
    profiles: await readProfileFolder(profiles),
    objective: objectiveOf(placement),
    qualityFloor,
    quality,
    survive,
    apart,
    affinity,
  };
}

/** How the placement's calls choose among their endpoints, where its prediction depends on it. */
function affinitiesIn({ pools }: PlacementDocument): Readonly<Record<string, PoolAffinity>> {
  return Object.fromEntries(
    pools.flatMap((pool) => {
      if (pool.prefixCache === undefined) return [];
      const { affinity, by } = pool.prefixCache;
      return [[servedModel(pool), { affinity, by }] as const];
    }),
  );
}

/**
 * The tokens in prefix caches that stand for those of the placement's load where it has not kept its sizes, so that these are typical ones: of
 * several LLMs the least share. With a stated number each replica of an unaware pool has 1 / replicas of it.
 */
function cachedSizes(
  { pools }: PlacementDocument,
  { profiles }: Pick<PlannerInput, 'profiles'>,
): Readonly<Record<string, number>> {
  const sizes: Record<string, number> = {};
  for (const pool of pools) {
    const { prefixCache, replicas } = pool;
    const own = profiles.find(
      ({ value }) => value.model === servedModel(pool) && value.variant === pool.variant,
    )?.value;
    if (prefixCache === undefined || own?.batching !== 'continuous') continue;
    const { cached = CACHED_COLUMN, typicalIn } = own.size;
    if (typicalIn === undefined) continue;
    const share = prefixCache.share * (prefixCache.affinity === 'none' ? replicas.length : 1);
    sizes[cached] = Math.min(sizes[cached] ?? Number.POSITIVE_INFINITY, share * typicalIn);
  }
  return sizes;
}

/**
 * Arrivals at the measured rates; for pipelines with hardly any runs, at the rate that the placement was computed for. Their sizes are those
 * of runs that it was computed for; typical ones where it has kept none.
 */
export function measuredLoad(
  placement: PlacementDocument,
  measured: Measured,
  { pipelines, profiles }: Pick<PlannerInput, 'pipelines' | 'profiles'>,
  { cv, seed }: Pick<ReplanCommandOptions, 'cv' | 'seed'>,
) {
  const began = Object.values(measured.started).reduce((sum, count) => sum + count, 0);
  const rate = began >= LEAST_RUNS ? measuredRate(measured) : placement.ratePerSecond;
  const arriving = pipelines.map(({ name }) => {
    const share = began >= LEAST_RUNS ? (measured.started[name] ?? 0) / began : 1 / pipelines.length;
    return { rate: rate * Math.max(share, LEAST_SHARE), cv, sizes: placement.sizes?.[name] };
  });
  const stated = placement.sizes === undefined ? cachedSizes(placement, { profiles }) : {};
  return makeLoad(arriving, horizonMs(objectiveOf(placement)), seed, stated);
}
