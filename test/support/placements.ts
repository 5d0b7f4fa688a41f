import { type PlacementDocument, sealPlacement } from '../../placement/document/index.js';

type Body = Omit<PlacementDocument, 'version'>;
type Pool = Body['pools'][number];

const robust = { holds: true, p95Ms: 1, p99Ms: 1, shedShare: 0 };

export const placedPool = (model: string, devices: readonly (readonly string[])[], more: Partial<Pool> = {}): Pool => ({
  model,
  variant: 'default',
  quality: 1,
  batching: 'dynamic',
  parallel: { tensor: 1, pipeline: 1 },
  maxBatch: 8,
  preferredBatchSizes: [],
  maxQueueDelayMs: 0,
  memoryBytes: 2 ** 30,
  queue: `pool.${model}`,
  replicas: devices.map((each) => ({ devices: [...each], queue: `device.${each[0]?.replace('/', '.')}` })),
  reason: 'a test',
  ...more,
});

/** A placement of pools, with whatever else a document has. */
export const placementOf = (
  pools: Pool[],
  stages: Record<string, string> = {},
  predicted: Body['predicted']['stages'] = {},
): PlacementDocument =>
  sealPlacement({
    format: 1,
    objective: 'cost',
    slo: {},
    ratePerSecond: 1,
    currency: 'EUR',
    costPerHour: 1,
    pools,
    stages,
    predicted: {
      ...{ p50Ms: 1, p95Ms: 1, p99Ms: 1, throughputPerSecond: 1, arrivedPerSecond: 1, failedShare: 0 },
      ...{ oversizedShare: 0, preemptionsPerRun: 0 },
      stages: predicted,
      devices: {},
    },
    bottleneck: { model: pools[0]?.model ?? '', utilisation: 0, reason: 'a test' },
    next: null,
    bound: 1,
    gap: 0,
    optimal: true,
    degraded: [],
    robustness: { slowerBy50Percent: robust, twiceTheRate: robust },
    assumptions: [],
    warnings: [],
    refusedShare: 0,
  });

export const CLUSTER = `
format: 1
nodes:
  - name: gpu1
    devices:
      - { kind: a100, count: 2, memory: 80GiB }
      - { kind: l4, memory: 24GiB }
  - name: cpu1
    devices:
      - { kind: cpu, memory: 64GiB, concurrency: 8 }
`;
