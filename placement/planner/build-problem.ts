import { type Device, type Inventory, transferTimes } from '../inventory/index.js';
import type { Profile, ReadProfile } from '../profiles/index.js';
import { type Load, rateOf, type SimulatedStage } from '../simulator/index.js';
import type { PipelineShape, StageShape } from '../workload/index.js';
import { affinityOf, type PoolAffinity, routingOf } from './affinity.js';
import { type Apart, divided } from './apart.js';
import { delaysUpTo } from './delays.js';
import { type Draft, draftsOf, piecesOf } from './drafts.js';
import { type Calls, callsOf, fanOutAssumption } from './fan-outs.js';
import { LeastTimes } from './least-times.js';
import { memoryAssumptions } from './memory.js';
import { withoutOversized } from './oversized.js';
import { longestPaths } from './paths.js';
import { type Cell, callsPerRun, type Objective, type Problem, type Survive } from './problem.js';
import { demandOf, reachingQuality } from './quality.js';
import { checkReach } from './reach.js';
import { checkCalls, checkLoad, sampleWarnings } from './samples.js';
import { checkTargets, countingTokens, targetsOf } from './targets.js';
import { poolOf } from './uses.js';
import { rangeWarnings } from './warnings.js';

export interface PlannerInput {
  readonly pipelines: readonly PipelineShape[];
  readonly inventory: Inventory;
  readonly profiles: readonly ReadProfile[];
  /** Requests of the pipelines, by index. */
  readonly load: Load;
  readonly objective: Objective;
  readonly qualityFloor?: number | undefined;
  /** Least quality of every pipeline from end to end: the product of the qualities of its stages' variants. */
  readonly quality?: number | undefined;
  /** A single loss after which the objective must hold as well. */
  readonly survive?: Survive | undefined;
  /** Models whose prompts have a pool of their own. */
  readonly apart?: Apart | undefined;
  /** By model: how its calls choose among its endpoints, which says what of their prompts these have cached. Absent: session. */
  readonly affinity?: Readonly<Record<string, PoolAffinity>> | undefined;
  /** The longest time that batches may wait to fill, in milliseconds. Absent: they begin as soon as a replica is free. */
  readonly batchDelayMs?: number | undefined;
  /** Seed of the simulations; default 1. */
  readonly seed?: number | undefined;
}

/**
 * Builds the planner's problem. Throws `PROFILE_MISSING` if no profile covers a model on any device,
 * `MODEL_FITS_NOWHERE` if no device has room for it, and `SLO_UNREACHABLE` if more runs than may be late take longer
 * than the objective even on idle devices; each names the files' lines.
 *
 * @param mayMiss for judging a placement that is given: an objective that no placement meets is not refused
 */
export function buildProblem(input: PlannerInput, mayMiss = false): Problem {
  const { inventory, profiles, objective } = input;
  checkLoad(input.load);
  const { pipelines, assumptions } = withoutUnprofiled(input.pipelines, profiles);
  assumptions.push(...(input.load.assumptions ?? []));
  const { devices } = inventory;
  const kinds = [...new Set(devices.map(({ kind }) => kind))];
  const named = pipelines.flatMap((pipeline, p) => pipeline.stages.map((stage) => ({ stage, pipeline, p })));
  const models = [...new Set(named.map(({ stage }) => stage.model))];
  const firstOf = pipelines.map((_, p) => pipelines.slice(0, p).reduce((sum, { stages }) => sum + stages.length, 0));
  const stageNames = named.map(({ stage, pipeline }) => `${pipeline.name}/${stage.id}`);
  const calls = callsOf(named, stageNames, input.load);
  for (const [v, each] of calls.entries()) assumptions.push(...fanOutAssumption(each, stageNames[v] ?? ''));
  const stages = named.map(
    ({ stage: { streamFrom, callsFrom: _, ...stage }, p }, v): SimulatedStage => ({
      ...stage,
      ...calls[v],
      pipeline: p,
      pool: models.indexOf(stage.model),
      after: stage.after.map((i) => i + (firstOf[p] ?? 0)),
      // Several calls of a stage in a run have no order in which their pieces could be read.
      ...(streamFrom !== undefined &&
        [v, streamFrom + (firstOf[p] ?? 0)].every((each) => isOne(calls[each])) && {
          streamFrom: streamFrom + (firstOf[p] ?? 0),
        }),
    }),
  );
  checkCalls(input.load, stages, stageNames);
  const { cells, cellOf } = cellsOf(devices, kinds);
  const { load, share: oversizedShare, warnings } = withoutOversized(input.load, named, profiles, cells, kinds);
  const ground = {
    profiles,
    load,
    qualityFloor: input.qualityFloor,
    routingOf: (model: string) => routingOf(affinityOf(model, input.affinity, input.apart)),
  };
  const quality = demandOf(input.quality, stages);
  const every = models.map((model) => draftsOf(model, named, stages, kinds, cells, ground));
  const whole = reachingQuality(
    quality,
    every,
    pipelines.map(({ name }) => name),
  );
  const { models: poolNames, drafts, handsTo } = divided(models, whole, stages, load, input.apart);
  for (const [p, model] of models.entries()) {
    if (drafts[p]?.some(({ profile }) => rowsOf(profile).some(({ p99Ms }) => p99Ms === undefined)))
      assumptions.push(`${model}: one of its profiles has no 99th percentiles; slow calls are not in the prediction`);
    const own = (drafts[p] ?? []).map(({ profile }) => profile);
    assumptions.push(...memoryAssumptions(model, own));
    const notes = new Set(drafts[p]?.flatMap(({ profile }) => profile.note ?? []));
    assumptions.push(...[...notes].map((note) => `${model}: ${note}`));
    assumptions.push(...speculations(model, drafts[p] ?? []));
  }
  const targets = targetsOf(objective, stageNames, stages, drafts);
  const names = pipelines.map(({ name }) => name);
  const samples = sampleWarnings(load, names, objective, targets, stages, drafts, input.seed);
  const usable = countingTokens(drafts, targets, stages);
  const seed = input.seed ?? 1;
  const pieces = stages.map((_, v) => piecesOf(named, stages, v, profiles));
  const times = new LeastTimes({ load, stages, drafts: usable, handsTo, pieces, seed });
  if (!mayMiss) {
    checkReach(objective, times, stages, named, load);
    checkTargets(targets, times);
  }
  const usualMs = times.usualMs();
  const paths = longestPaths(stages, usualMs, (v) => usualMs[v] === 0);
  const sloMs = Math.min(objective.p99Ms ?? Number.POSITIVE_INFINITY, objective.p95Ms ?? Number.POSITIVE_INFINITY);
  const rates = ratesOf(load, pipelines.length);
  const callsPerMs = stages.map(({ pipeline }, v) => ((rates[pipeline] ?? 0) * callsPerRun(stages, v)) / 1000);
  const slackMs = stages.map(({ streamFrom }, v) =>
    // The first pieces of a stream are read while it is made.
    streamFrom === undefined ? sloMs - ((paths[v] ?? 0) - (usualMs[v] ?? 0)) : sloMs,
  );
  return {
    inventory,
    devices,
    simulated: {
      concurrency: devices.map(({ concurrency }) => concurrency),
      slowdown: devices.map(({ slowdown = 1 }) => slowdown),
      serial: devices.map(({ sharing }) => sharing === 'serial'),
      transferMs: transferTimes(inventory),
    },
    cells,
    cellOf,
    alike: alikeOf(inventory, cellOf),
    kinds,
    stages,
    stageNames,
    pipelines: names,
    pools: poolNames.map((model, p) => ({
      ...poolOf(model, usable[p] ?? [], { callsPerMs, slackMs, kinds, cells }),
      affinity: affinityOf(models[handsTo[p]?.pool ?? p] ?? model, input.affinity, input.apart),
      ...(handsTo[p] && { handsTo: handsTo[p] }),
    })),
    load,
    failing: times.failing,
    objective,
    targets,
    survive: input.survive,
    quality,
    delaysMs: delaysUpTo(input.batchDelayMs),
    seed,
    assumptions,
    warnings: [...warnings, ...samples, ...rangeWarnings(models, usable, stages, load)],
    oversizedShare,
  };
}

/** Whether every run has exactly one call. */
const isOne = (of: Calls | undefined): boolean => of?.calls === 1 && of.fanOut === undefined;

/**
 * Embedders of caches and indexes, and verifiers of caches, are auxiliary: without a profile they are left out, with an
 * assumption that says so.
 */
function withoutUnprofiled(pipelines: readonly PipelineShape[], profiles: readonly ReadProfile[]) {
  const assumptions = pipelines.flatMap((pipeline) => pipeline.assumptions);
  const known = new Set(profiles.map(({ value }) => value.model));
  const kept = pipelines.map((pipeline) => {
    const gone = ({ id, model }: StageShape) => /\.(?:embed|verify)$/.test(id) && !known.has(model);
    const places: number[] = [];
    const stages: StageShape[] = [];
    const behind: (readonly number[])[] = [];
    for (const [i, stage] of pipeline.stages.entries()) {
      const after = [...new Set(stage.after.flatMap((j) => behind[j] ?? []))];
      if (gone(stage)) {
        assumptions.push(`${stage.id} (${stage.model}) has no profile; it is assumed to cost nothing`);
        behind[i] = after;
      } else {
        const { streamFrom, ...others } = stage;
        const from = streamFrom === undefined ? undefined : places[streamFrom];
        places[i] = stages.push({ ...others, after, ...(from !== undefined && { streamFrom: from }) }) - 1;
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
  const cellOf = devices.map(
    ({ kind, node, pricePerHour, sharing, memoryBytes, memoryUtilization, billing, lossPerHour, ...device }, d) => {
      const { concurrency, slowdown = 1 } = device;
      const paid = [pricePerHour, billing, lossPerHour];
      const key = JSON.stringify([kind, node, paid, concurrency, slowdown, sharing, memoryUtilization]);
      let at = keys.indexOf(key);
      if (at < 0) {
        at = keys.push(key) - 1;
        const like = {
          kind: kinds.indexOf(kind),
          node,
          pricePerHour,
          billing,
          concurrency,
          slowdown,
          capacity: concurrency / slowdown,
          sharing,
          memoryBytes,
          memoryUtilization,
        };
        cells.push({ ...like, devices: [] });
      }
      cells[at]?.devices.push(d);
      return at;
    },
  );
  return { cells, cellOf };
}

function alikeOf({ devices, links }: Inventory, cellOf: readonly number[]): readonly number[] {
  const known = new Map<string, number>();
  return devices.map(({ id }, d) => {
    const joined = links.flatMap((link, l) => (link.devices.has(id) ? [l] : []));
    const key = `${cellOf[d]}/${joined.join()}`;
    const number = known.get(key) ?? known.size;
    known.set(key, number);
    return number;
  });
}

/** Runs per second of each pipeline. */
function ratesOf(load: Load, pipelines: number): readonly number[] {
  const rate = rateOf(load);
  const counts = new Array<number>(pipelines).fill(0);
  for (const p of load.pipelines) counts[p] = (counts[p] ?? 0) + 1;
  return counts.map((count) => (rate * count) / Math.max(1, load.timesMs.length));
}

/** Gains of speculative decoding that were not measured. */
function speculations(model: string, drafts: readonly Draft[]): readonly string[] {
  const all = drafts.flatMap(({ profile }) => {
    const speculative = profile.batching === 'continuous' ? profile.speculative : undefined;
    if (speculative === undefined || speculative.included) return [];
    const { tokens, acceptance, measured } = speculative;
    const share = `${Number((100 * acceptance).toFixed(1))} %`;
    return `${model} (${profile.variant}): ${share} of ${tokens} drafted tokens accepted, ${measured ? 'as measured' : 'an assumption'}; the time per token is computed from that of the model alone`;
  });
  return [...new Set(all)];
}

const rowsOf = (profile: Profile): readonly { readonly p99Ms?: number | undefined }[] =>
  profile.batching === 'dynamic' ? profile.latency : [...profile.prefill, ...profile.decode];
