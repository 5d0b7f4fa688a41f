import type { Inventory } from '../../placement/inventory/index.js';
import { buildProblem, type Replica, simulatedPlacement } from '../../placement/planner/index.js';
import { profileOfBatches, type ReadProfile, readProfile } from '../../placement/profiles/index.js';
import { type Load, percentile, Simulator, sortedNumbers } from '../../placement/simulator/index.js';
import type { PipelineShape } from '../../placement/workload/index.js';

export interface Figures {
  /** Runs per second, from the first arrival to the last end. */
  readonly throughput: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p95: number;
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
  const simulator = new Simulator(problem.stages, problem.simulated, load);
  const { latencyMs, completed, spanMs } = simulator.run(simulatedPlacement(problem, { configs, replicas }), { seed });
  const sorted = sortedNumbers(latencyMs);
  return {
    throughput: (1_000 * completed) / spanMs,
    p50: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
  };
}

/** The same for measured runs; times as returned by `performance.now()`. */
export function observed(runs: readonly { readonly latencyMs: number; readonly endedAt: number }[]): Figures {
  const sorted = sortedNumbers(Float64Array.from(runs, ({ latencyMs }) => latencyMs));
  const first = Math.min(...runs.map(({ endedAt, latencyMs }) => endedAt - latencyMs));
  const last = Math.max(...runs.map(({ endedAt }) => endedAt));
  return {
    throughput: (1_000 * runs.length) / (last - first),
    p50: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
  };
}
