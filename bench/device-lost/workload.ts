import { z } from 'zod';
import { infer, type Pipeline, pipeline, tensor } from '../../pipelines/index.js';

/** Requests per batch. */
export const MAX_BATCH = 2;
/** Milliseconds per batch of any size: many times Temporal's time for a stage, even on a loaded machine. */
export const COST_MS = { first: 500, second: 1_000, third: 500 } as const;
/** Four fifths of four devices' capacity, too much for three: a device serves 4, 2 and 4 runs per second. */
export const RATE = 3.2;
/** Almost four times the stages' time on idle devices: queues are long at four fifths of the capacity. */
export const SLO_MS = 7_500;
export const NODES = ['n1', 'n2', 'n3', 'n4'] as const;
export const DEVICE_KIND = 'gpu-like';
/** Approximate orchestration time of a stage. */
const OVERHEAD_MS = 15;
/** Under overload runs wait; here none should fail for that. */
const PATIENT = { timeout: { attempt: '4m', total: '10m', queue: '10m' } } as const;

export type StageName = keyof typeof COST_MS;
export const STAGES = Object.keys(COST_MS) as StageName[];

const scalar = tensor({ dtype: 'FP32', shape: [1, 1] });
const add = (name: StageName) => infer({ model: name, inputs: { X: scalar }, outputs: { Y: scalar } });

export const threeStages = pipeline(
  'three-stages',
  { input: z.object({ x: scalar }), deadline: '10m' },
  ({ input, stage }) => {
    const first = stage('first', add('first'), { X: input.x }, PATIENT);
    const second = stage('second', add('second'), { X: first.Y }, PATIENT);
    return { y: stage('third', add('third'), { X: second.Y }, PATIENT).Y };
  },
) as Pipeline;

/** The input files of a placement, by name. */
export const FILES: Readonly<Record<string, unknown>> = {
  'cluster.yaml': {
    format: 1,
    nodes: NODES.map((name) => ({ name, devices: [{ kind: DEVICE_KIND, memory: '16GiB', pricePerHour: 1 }] })),
  },
  'pipeline.json': {
    format: 1,
    name: threeStages.name,
    stages: STAGES.map((id, i) => ({
      id,
      model: id,
      after: STAGES.slice(Math.max(0, i - 1), i),
      overheadMs: OVERHEAD_MS,
    })),
  },
  ...Object.fromEntries(
    STAGES.map((model) => {
      const ms = { p50Ms: COST_MS[model], p95Ms: COST_MS[model], p99Ms: COST_MS[model] };
      const latency = Array.from({ length: MAX_BATCH }, (_, i) => ({ batch: i + 1, ...ms }));
      const common = { format: 1, model, deviceKind: DEVICE_KIND, batching: 'dynamic' };
      return [`profiles/${model}.json`, { ...common, memory: { weights: '4GiB' }, latency }];
    }),
  ),
};
