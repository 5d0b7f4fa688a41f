import type { Inventory } from '../../placement/inventory/index.js';
import { buildProblem, type Replica, simulatedPlacement } from '../../placement/planner/index.js';
import { profileOfBatches, type ReadProfile, readProfile } from '../../placement/profiles/index.js';
import { type Load, percentile, Simulator, sortedNumbers } from '../../placement/simulator/index.js';
import type { PipelineShape } from '../../placement/workload/index.js';
import type { Seen } from './drive.js';

export interface Figures {
  /** Runs per second, from the first arrival to the last end. */
  readonly throughput: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
  /** Until the run's first audio, where it speaks. */
  readonly firstP50?: number;
  readonly firstP95?: number;
}

/** The simulator's input; none of it was measured under load. */
export interface System {
  readonly shape: PipelineShape;
  readonly inventory: Inventory;
  readonly profiles: readonly ReadProfile[];
  /** Id of each model's device. */
  readonly deviceOf: Readonly<Record<string, string>>;
}

/** No objective: the full behaviour is simulated. */
const ANY_MS = 1e9;

const ORCHESTRATOR = 'orchestrator';
/** The stage whose first output is the run's first audio. */
const SPOKEN = 'speak';
/** More than the runs in flight: the orchestrator's time delays each run but blocks none. */
const AT_ONCE = 256;

/** A system with a run's time outside its models, in milliseconds, as a first stage of every run. */
export function orchestrated(system: System, outsideMs: readonly number[]): System {
  const of = { model: ORCHESTRATOR, variant: 'default', deviceKind: ORCHESTRATOR, quality: 1 };
  const samples = { cells: [{ batch: 1, ms: outsideMs }], overheadMs: [], preferred: [], calls: outsideMs.length };
  const fingerprint = { model: '', server: '', device: '' };
  const profile = profileOfBatches({ ...of, fingerprint, measuredAt: new Date().toISOString() }, samples);
  const { shape, inventory } = system;
  const [first] = shape.stages;
  if (first === undefined) return system;
  const own = { ...first, id: ORCHESTRATOR, model: ORCHESTRATOR, after: [] };
  const rest = shape.stages.map((stage) => ({
    ...stage,
    after: stage.after.length > 0 ? stage.after.map((i) => i + 1) : [0],
  }));
  const device = {
    id: ORCHESTRATOR,
    node: 'here',
    kind: ORCHESTRATOR,
    memoryBytes: 1,
    pricePerHour: 0,
    concurrency: AT_ONCE,
    sharing: 'time-sliced' as const,
    memoryUtilization: 0.9,
  };
  return {
    shape: { ...shape, stages: [own, ...rest] },
    inventory: { ...inventory, devices: [...inventory.devices, device] },
    profiles: [...system.profiles, readProfile(JSON.stringify(profile), ORCHESTRATOR)],
    deviceOf: { ...system.deviceOf, [ORCHESTRATOR]: ORCHESTRATOR },
  };
}

/** The simulator's prediction for a load. */
export function predict({ shape, inventory, profiles, deviceOf }: System, load: Load, seed: number): Figures {
  const problem = buildProblem({ pipelines: [shape], inventory, profiles, load, objective: { p99Ms: ANY_MS } });
  const replicas = problem.pools.flatMap(({ model }, pool) => {
    const device = problem.devices.findIndex(({ id }) => id === deviceOf[model]);
    if (device < 0) throw new Error(`no device of ${model}`);
    const count = model === ORCHESTRATOR ? AT_ONCE : 1;
    return new Array<Replica>(count).fill({ pool, devices: [device] });
  });
  const configs = problem.pools.map((pool) => pool.configs.length - 1);
  const spoken = shape.stages.findIndex(({ id }) => id === SPOKEN);
  const watched = spoken < 0 ? [] : [{ stage: spoken, metric: 'first' as const }];
  const simulator = new Simulator(problem.stages, problem.simulated, load, watched);
  const result = simulator.run(simulatedPlacement(problem, { configs, replicas }), { seed });
  return {
    throughput: (1_000 * result.completed) / result.spanMs,
    ...quantiles(result.latencyMs),
    ...firstAudio(result.observed[0]),
  };
}

function quantiles(values: Float64Array): { readonly p50: number; readonly p95: number } {
  const sorted = sortedNumbers(values);
  return { p50: percentile(sorted, 0.5), p95: percentile(sorted, 0.95) };
}

function firstAudio(values: Float64Array | undefined): Pick<Figures, 'firstP50' | 'firstP95'> {
  if (values === undefined) return {};
  const { p50, p95 } = quantiles(values);
  return { firstP50: p50, firstP95: p95 };
}

/** The same for measured runs; times as returned by `performance.now()`. */
export function observed(runs: readonly Seen[]): Figures {
  const first = Math.min(...runs.map(({ endedAt, latencyMs }) => endedAt - latencyMs));
  const last = Math.max(...runs.map(({ endedAt }) => endedAt));
  const heard = runs.flatMap(({ firstAudioMs }) => (firstAudioMs === undefined ? [] : [firstAudioMs]));
  return {
    throughput: (1_000 * runs.length) / (last - first),
    ...quantiles(Float64Array.from(runs, ({ latencyMs }) => latencyMs)),
    ...firstAudio(heard.length > 0 ? Float64Array.from(heard) : undefined),
  };
}
