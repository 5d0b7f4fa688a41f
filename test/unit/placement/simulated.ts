import {
  type Curve,
  type Load,
  type Observed,
  type SimulatedPool,
  type SimulatedStage,
  type SimulationOptions,
  Simulator,
  type Table,
} from '../../../placement/simulator/index.js';
import { UNSTATED } from '../../../placement/workload/shape.js';

/** A stage of one pipeline served by the pool of its place. */
export const stage = (
  pool: number,
  after: readonly number[],
  figures: Partial<SimulatedStage> = {},
): SimulatedStage => ({
  ...UNSTATED,
  pipeline: 0,
  pool,
  after,
  ...figures,
});

/** Always the same time for each batch from 1, in milliseconds. */
export const fixed = (...ms: readonly number[]): Table =>
  dynamic(
    curve(
      [0, 1],
      ms.map((each) => [each, each]),
    ),
  );

/** Exponential with this mean, by its quantiles. */
export function exponential(meanMs: number): Table {
  const steps = 200;
  const probabilities = Array.from({ length: steps + 1 }, (_, i) => i / steps);
  const last = 1 - 0.1 / steps;
  const raw = probabilities.map((p) => -Math.log(1 - Math.min(p, last)));
  const mean = raw.slice(1).reduce((sum, value, i) => sum + (value + (raw[i] ?? 0)) / 2, 0) / steps;
  return dynamic(curve(probabilities, [raw.map((value) => (value / mean) * meanMs)]));
}

const curve = (probabilities: readonly number[], knots: readonly (readonly number[])[]): Curve => ({
  batches: knots.length,
  sizes: Float64Array.of(1),
  probabilities: Float64Array.from(probabilities),
  knots: Float64Array.from(knots.flat()),
});

const dynamic = (call: Curve): Table => ({ batching: 'dynamic', overheadMs: 0, typical: 1, call });

/** A pool of Triton instances, one on each of the devices. */
export const pool = (
  table: Table,
  devices: readonly number[],
  of: readonly number[],
  more: Partial<SimulatedPool> = {},
): SimulatedPool => {
  const tables: (Table | undefined)[] = [];
  for (const v of of) tables[v] = table;
  return {
    batching: table.batching,
    maxBatch: 1,
    preferred: [],
    maxQueueDelayMs: 0,
    replicas: devices.map((device) => ({ device, tables, mostTokens: Number.POSITIVE_INFINITY })),
    ...more,
  };
};

export function simulate(
  stages: readonly SimulatedStage[],
  pools: readonly SimulatedPool[],
  load: Load,
  options: SimulationOptions & {
    readonly concurrency?: readonly number[];
    readonly observed?: readonly Observed[];
    readonly transferMs?: (from: number, to: number, bytes: number) => number;
  } = {},
) {
  const { concurrency = [1, 1, 1, 1, 1, 1, 1, 1], transferMs = () => 0, observed = [], ...more } = options;
  return new Simulator(stages, { concurrency, transferMs }, load, observed).run({ pools }, more);
}
