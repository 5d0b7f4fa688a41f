/** A stage of a bench: a batch's cost, and the devices of its replicas. */
export interface ScenarioStage {
  readonly name: string;
  readonly costMs: number;
  readonly devices: readonly string[];
}

export interface Scenario {
  readonly name: string;
  readonly stages: readonly ScenarioStage[];
}

/** Requests per batch. */
export const MAX_BATCH = 2;
/** Milliseconds per batch: several times Temporal's time for a stage, like a model's call. */
const COST_MS = 150;

const stages = (costs: readonly number[], devices: readonly (readonly string[])[]): readonly ScenarioStage[] =>
  ['first', 'second', 'third'].map((name, i) => ({ name, costMs: costs[i] ?? 0, devices: devices[i] ?? [] }));

const even = [COST_MS, COST_MS, COST_MS];
const uneven = [COST_MS, 2 * COST_MS, COST_MS];

export const SCENARIOS: readonly Scenario[] = [
  { name: 'oneDevice', stages: stages(even, [['d0'], ['d0'], ['d0']]) },
  { name: 'threeDevices', stages: stages(even, [['d0'], ['d1'], ['d2']]) },
  { name: 'unbalanced', stages: stages(uneven, [['d0'], ['d1'], ['d2']]) },
  { name: 'balancedByReplicas', stages: stages(uneven, [['d0'], ['d1', 'd2'], ['d3']]) },
];

/** Upper bound of the rate: the busiest device's capacity, for full batches of all stages on it. */
export function boundPerSecond({ stages }: Scenario): number {
  const busyMs = new Map<string, number>();
  for (const { costMs, devices } of stages)
    for (const device of devices) busyMs.set(device, (busyMs.get(device) ?? 0) + costMs / devices.length);
  return (1_000 * MAX_BATCH) / Math.max(...busyMs.values());
}
