import { type FieldError, MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { type Device, type Inventory, transferTimes } from '../inventory/index.js';
import { devicesPerReplica, largestBatch, memoryPerDevice, type Profile, type ReadProfile } from '../profiles/index.js';
import { type Load, rateOf, type SimulatedStage, type Table, tableOf } from '../simulator/index.js';
import { nearest, spellBytes } from '../source/index.js';
import type { PipelineShape, StageShape } from '../workload/index.js';
import { type CallTimes, callTimes } from './call-times.js';
import { longestPaths } from './paths.js';
import {
  type Cell,
  type Config,
  callsPerRun,
  type Objective,
  type PoolProblem,
  type Problem,
  type Use,
} from './problem.js';

export interface PlannerInput {
  readonly pipelines: readonly PipelineShape[];
  readonly inventory: Inventory;
  readonly profiles: readonly ReadProfile[];
  /** Requests of the pipelines, by index. */
  readonly load: Load;
  readonly objective: Objective;
  readonly qualityFloor?: number | undefined;
}

/** Most batch sizes to try: each one multiplies the search space. */
const MOST_BATCHES = 6;
/** A stage that this share of the runs skips does not count towards every run's minimum time. */
const RARELY_RUN = 0.5;

/**
 * Builds the planner's problem. Throws `PROFILE_MISSING` if no profile covers a model on any device,
 * `MODEL_FITS_NOWHERE` if no device has room for it, and `SLO_UNREACHABLE` if the objective is below the stages' own
 * times; each names the files' lines.
 */
export function buildProblem(input: PlannerInput): Problem {
  const { inventory, profiles, load, objective } = input;
  const { pipelines, assumptions } = withoutUnprofiled(input.pipelines, profiles);
  const { devices } = inventory;
  const kinds = [...new Set(devices.map(({ kind }) => kind))];
  const named = pipelines.flatMap((pipeline, p) => pipeline.stages.map((stage) => ({ stage, pipeline, p })));
  const models = [...new Set(named.map(({ stage }) => stage.model))];
  const firstOf = pipelines.map((_, p) => pipelines.slice(0, p).reduce((sum, { stages }) => sum + stages.length, 0));
  const stages = named.map(
    ({ stage, p }): SimulatedStage => ({
      ...stage,
      pipeline: p,
      pool: models.indexOf(stage.model),
      after: stage.after.map((i) => i + (firstOf[p] ?? 0)),
    }),
  );
  const { cells, cellOf } = cellsOf(devices, kinds);
  const drafts = models.map((model) => draftsOf(model, named, stages, kinds, cells, input));
  for (const [p, model] of models.entries()) {
    if (drafts[p]?.some(({ profile }) => profile.memory === undefined))
      assumptions.push(`${model}: one of its profiles states no memory; it is assumed to need none`);
  }
  const aloneMs = stages.map((stage, v) => {
    const least = Math.min(...(drafts[stage.pool] ?? []).flatMap(({ times }) => times[v]?.aloneMs ?? []));
    return (1 - stage.cacheHitRate) * stage.share < RARELY_RUN ? 0 : least + stage.overheadMs;
  });
  const paths = longestPaths(stages, aloneMs);
  checkReach(objective, aloneMs, paths, named, drafts, input);
  const sloMs = Math.min(objective.p99Ms ?? Number.POSITIVE_INFINITY, objective.p95Ms ?? Number.POSITIVE_INFINITY);
  const rates = ratesOf(load, pipelines.length);
  const slackMs = stages.map((_, v) => sloMs - ((paths[v] ?? 0) - (aloneMs[v] ?? 0)));
  return {
    inventory,
    devices,
    simulated: { concurrency: devices.map(({ concurrency }) => concurrency), transferMs: transferTimes(inventory) },
    cells,
    cellOf,
    kinds,
    stages,
    stageNames: named.map(({ stage, pipeline }) => `${pipeline.name}/${stage.id}`),
    pools: models.map((model, p) => poolOf(model, drafts[p] ?? [], kinds.length, stages, rates, slackMs)),
    load,
    objective,
    assumptions,
  };
}

/**
 * Embedders of caches and indexes are auxiliary: without a profile they are left out, with an assumption that says so.
 */
function withoutUnprofiled(pipelines: readonly PipelineShape[], profiles: readonly ReadProfile[]) {
  const assumptions = pipelines.flatMap((pipeline) => pipeline.assumptions);
  const known = new Set(profiles.map(({ value }) => value.model));
  const kept = pipelines.map((pipeline) => {
    const gone = (stage: StageShape) => stage.id.endsWith('.embed') && !known.has(stage.model);
    const places: number[] = [];
    const stages: StageShape[] = [];
    const behind: (readonly number[])[] = [];
    for (const [i, stage] of pipeline.stages.entries()) {
      const after = [...new Set(stage.after.flatMap((j) => behind[j] ?? []))];
      if (gone(stage)) {
        assumptions.push(`${stage.id} (${stage.model}) has no profile; it is assumed to cost nothing`);
        behind[i] = after;
      } else {
        places[i] = stages.push({ ...stage, after }) - 1;
        behind[i] = [places[i] ?? 0];
      }
    }
    return { ...pipeline, stages };
  });
  return { pipelines: kept, assumptions };
}

function cellsOf(devices: readonly Device[], kinds: readonly string[]) {
  const keys: string[] = [];
  const cells: (Cell & { devices: number[] })[] = [];
  const cellOf = devices.map(({ kind, node, pricePerHour, concurrency, memoryBytes }, d) => {
    const key = JSON.stringify([kind, node, pricePerHour, concurrency]);
    let at = keys.indexOf(key);
    if (at < 0) {
      at = keys.push(key) - 1;
      cells.push({ kind: kinds.indexOf(kind), node, pricePerHour, concurrency, memoryBytes, devices: [] });
    }
    cells[at]?.devices.push(d);
    return at;
  });
  return { cells, cellOf };
}

/** A variant of a pool on a kind, before its batch sizes are known. */
interface Draft {
  readonly kind: number;
  readonly profile: Profile;
  readonly source: ReadProfile;
  readonly tables: readonly (Table | undefined)[];
  readonly times: readonly (CallTimes | undefined)[];
}

interface NamedStage {
  readonly stage: StageShape;
  readonly pipeline: PipelineShape;
}

function draftsOf(
  model: string,
  named: readonly NamedStage[],
  stages: readonly SimulatedStage[],
  kinds: readonly string[],
  cells: readonly Cell[],
  { profiles, load, qualityFloor = 0 }: PlannerInput,
): readonly Draft[] {
  const own = named.flatMap(({ stage, pipeline }, v) =>
    stage.model === model ? [{ v, names: [stage.id, `${pipeline.name}/${stage.id}`] }] : [],
  );
  const ofModel = profiles.filter(({ value }) => value.model === model);
  const variants = [...new Set(ofModel.map(({ value }) => value.variant))];
  const drafts = variants.flatMap((variant) =>
    kinds.flatMap((kind, k): Draft[] => {
      const candidates = ofModel.filter(({ value }) => value.variant === variant && value.deviceKind === kind);
      const chosen = own.map(({ names }) => {
        const special = candidates.find(({ value }) => value.stage !== undefined && names.includes(value.stage));
        return special ?? candidates.find(({ value }) => value.stage === undefined);
      });
      const [first] = chosen;
      if (first === undefined || chosen.includes(undefined)) return [];
      const tables: (Table | undefined)[] = new Array(stages.length).fill(undefined);
      const times: (CallTimes | undefined)[] = new Array(stages.length).fill(undefined);
      for (const [i, { v }] of own.entries()) {
        const profile = (chosen[i] ?? first).value;
        const table = tableOf(profile);
        tables[v] = table;
        times[v] = callTimes(table, load, largestBatch(profile));
      }
      return [{ kind: k, profile: first.value, source: first, tables, times }];
    }),
  );
  if (drafts.length === 0)
    throw missing(
      model,
      own.flatMap(({ names }) => names[1] ?? []),
      ofModel,
      profiles,
      kinds,
    );
  const good = drafts.filter(({ profile }) => profile.quality >= qualityFloor);
  if (good.length === 0) {
    const best = Math.max(...drafts.map(({ profile }) => profile.quality));
    const message = `no variant of "${model}" reaches the quality floor of ${qualityFloor}: the best has ${best}; lower the floor or profile a better one`;
    throw refused('PROFILE_MISSING', '--quality-floor', message);
  }
  const fitting = good.filter(({ profile, kind }) => fits(profile, kind, cells));
  if (fitting.length === 0) throw fitsNowhere(model, good, kinds, cells);
  return fitting;
}

/** Whether some node has enough devices, each with room for the model and one request. */
function fits(profile: Profile, kind: number, cells: readonly Cell[]): boolean {
  const needed = memoryPerDevice(profile, 1);
  const nodes = new Map<string, number>();
  for (const cell of cells) {
    if (cell.kind === kind && cell.memoryBytes >= needed) {
      nodes.set(cell.node, (nodes.get(cell.node) ?? 0) + cell.devices.length);
    }
  }
  return [...nodes.values()].some((count) => count >= devicesPerReplica(profile));
}

function missing(
  model: string,
  stages: readonly string[],
  ofModel: readonly ReadProfile[],
  profiles: readonly ReadProfile[],
  kinds: readonly string[],
): MillraceError {
  const needs = stages.join(', ');
  if (ofModel.length === 0) {
    const known = [...new Set(profiles.map(({ value }) => value.model))];
    return refused(
      'PROFILE_MISSING',
      needs,
      `there is no profile of the model "${model}"${nearest(model, known)}: profile it`,
    );
  }
  const fields = ofModel.map(
    ({ at, value }): FieldError => ({
      field: at(['deviceKind']),
      message: `the inventory has no "${value.deviceKind}"${nearest(value.deviceKind, kinds)}: profile "${model}" (for ${needs}) on a kind that it has`,
    }),
  );
  return invalidFields('PROFILE_MISSING', fields);
}

function fitsNowhere(
  model: string,
  drafts: readonly Draft[],
  kinds: readonly string[],
  cells: readonly Cell[],
): MillraceError {
  const fields = drafts.map(({ profile, source, kind }): FieldError => {
    const room = Math.max(...cells.flatMap((cell) => (cell.kind === kind ? [cell.memoryBytes] : [])));
    const needed = memoryPerDevice(profile, 1);
    const width = devicesPerReplica(profile);
    const message =
      needed > room
        ? `"${model}" needs ${spellBytes(needed)} on each of ${width} ${kinds[kind]}, which has ${spellBytes(room)}: add a larger device, or profile a smaller or a more parallel variant`
        : `"${model}" needs ${width} ${kinds[kind]} on one node, and no node has as many: add devices to a node`;
    return { field: source.at(['memory', 'weights']), message };
  });
  return invalidFields('MODEL_FITS_NOWHERE', fields);
}

const refused = (code: 'PROFILE_MISSING' | 'SLO_UNREACHABLE', field: string, message: string): MillraceError =>
  new MillraceError(code, `${field}: ${message}`, { fields: [{ field, message }] });

function checkReach(
  objective: Objective,
  aloneMs: readonly number[],
  paths: readonly number[],
  named: readonly NamedStage[],
  drafts: readonly (readonly Draft[])[],
  { pipelines }: PlannerInput,
): void {
  const longest = Math.max(...paths);
  for (const [option, ms] of [
    ['--slo-p95', objective.p95Ms],
    ['--slo-p99', objective.p99Ms],
  ] as const) {
    if (ms === undefined || ms >= longest) continue;
    const on = named.flatMap(({ stage, pipeline }, v) => (paths[v] === longest ? [{ stage, pipeline, v }] : []));
    const models = [...new Set(named.map(({ stage }) => stage.model))];
    const fields = on.map(({ stage, pipeline, v }): FieldError => {
      const best = (drafts[models.indexOf(stage.model)] ?? [])
        .slice()
        .sort((a, b) => (a.times[v]?.aloneMs ?? 0) - (b.times[v]?.aloneMs ?? 0))[0];
      const where = best?.source.at([best.profile.batching === 'dynamic' ? 'latency' : 'prefill']) ?? stage.id;
      return { field: where, message: `${pipeline.name}/${stage.id} takes ${Math.round(aloneMs[v] ?? 0)} ms at best` };
    });
    const message = `${ms} ms is less than the ${Math.ceil(longest)} ms that the stages of ${pipelines.map(({ name }) => name).join(', ')} take one after the other on idle devices: allow more than ${Math.ceil(longest)} ms, or profile faster variants or devices`;
    throw invalidFields('SLO_UNREACHABLE', [{ field: option, message }, ...fields]);
  }
}

/** Runs per second of each pipeline. */
function ratesOf(load: Load, pipelines: number): readonly number[] {
  const rate = rateOf(load);
  const counts = new Array<number>(pipelines).fill(0);
  for (const p of load.pipelines) counts[p] = (counts[p] ?? 0) + 1;
  return counts.map((count) => (rate * count) / Math.max(1, load.timesMs.length));
}

function poolOf(
  model: string,
  drafts: readonly Draft[],
  kinds: number,
  stages: readonly SimulatedStage[],
  rates: readonly number[],
  slackMs: readonly number[],
): PoolProblem {
  const variants = [...new Set(drafts.map(({ profile }) => profile.variant))];
  const configs = variants.flatMap((variant): Config[] => {
    const own = drafts.filter(({ profile }) => profile.variant === variant);
    return batchesOf(own.map(({ profile }) => profile)).flatMap((maxBatch): Config[] => {
      const uses: (Use | undefined)[] = new Array(kinds).fill(undefined);
      for (const draft of own) uses[draft.kind] = useOf(draft, maxBatch, stages, rates, slackMs);
      const [{ profile } = { profile: undefined }] = own;
      if (profile === undefined || uses.every((use) => use === undefined)) return [];
      return [{ variant, quality: profile.quality, batching: profile.batching, maxBatch, uses }];
    });
  });
  return { model, configs };
}

/** Batch sizes worth trying: the measured ones, evenly thinned out. */
function batchesOf(profiles: readonly Profile[]): readonly number[] {
  const measured = profiles.flatMap((profile) =>
    (profile.batching === 'dynamic' ? profile.latency : profile.decode).map(({ batch }) => batch),
  );
  const sorted = [...new Set(measured)].sort((a, b) => a - b);
  if (sorted.length <= MOST_BATCHES) return sorted;
  const step = (sorted.length - 1) / (MOST_BATCHES - 1);
  return Array.from({ length: MOST_BATCHES }, (_, i) => sorted[Math.round(i * step)] ?? 1);
}

function useOf(
  { profile, tables, times }: Draft,
  batch: number,
  stages: readonly SimulatedStage[],
  rates: readonly number[],
  slackMs: readonly number[],
): Use {
  const maxBatch = Math.min(batch, largestBatch(profile));
  let erlangs = 0;
  let reachableErlangs = 0;
  let batchMs = 0;
  for (const [v, time] of times.entries()) {
    const stage = stages[v];
    if (time === undefined || stage === undefined) continue;
    const calls = ((rates[stage.pipeline] ?? 0) * callsPerRun(stage)) / 1000;
    const all = time.workMs.slice(0, maxBatch);
    batchMs += time.batchMs[maxBatch - 1] ?? 0;
    erlangs += calls * Math.min(...all);
    const reachable = all.filter((_, i) => (time.batchMs[i] ?? 0) * LUCKY <= (slackMs[v] ?? 0));
    reachableErlangs += calls === 0 ? 0 : calls * Math.min(...reachable);
  }
  const tokens = profile.batching === 'continuous' ? profile.size.typicalIn + profile.size.typicalOut : 0;
  return {
    profile,
    maxBatch,
    preferred: profile.batching === 'dynamic' ? profile.preferredBatchSizes.filter((size) => size <= maxBatch) : [],
    width: devicesPerReplica(profile),
    memoryBytes: memoryPerDevice(profile, maxBatch),
    mostTokens: profile.batching === 'continuous' ? maxBatch * tokens : Number.POSITIVE_INFINITY,
    tables,
    batchMs,
    erlangs,
    reachableErlangs,
  };
}

/** A batch may be faster than its mean; one that exceeds the objective even at this share of it cannot meet it. */
const LUCKY = 0.5;
