import { makeLoad } from '../../placement/explain/index.js';
import { readInventory } from '../../placement/inventory/index.js';
import type { PlannerInput } from '../../placement/planner/index.js';
import { readProfiles } from '../../placement/profiles/index.js';
import { readPipelineShape } from '../../placement/workload/index.js';

/**
 * Six workloads of different shape, each on a cluster of its own; times are invented, in the range of public tables.
 */

interface Model {
  readonly name: string;
  /** Milliseconds of one call on an A100, and the share of it that a batch pays once. */
  readonly ms: number;
  readonly fixed: number;
  readonly gib: number;
}

interface Workload {
  readonly name: string;
  readonly models: readonly Model[];
  /** Stages as `model after,after`. */
  readonly stages: readonly string[];
  /** Device kinds with their count. */
  readonly cluster: Readonly<Record<string, number>>;
  readonly p99Ms: number;
  readonly cv: number;
}

/** Speed relative to an A100, memory, price. */
const KINDS: Readonly<Record<string, { readonly speed: number; readonly gib: number; readonly price: number }>> = {
  a100: { speed: 1, gib: 80, price: 2.4 },
  l4: { speed: 0.35, gib: 24, price: 0.7 },
  t4: { speed: 0.18, gib: 16, price: 0.35 },
};

const WORKLOADS: readonly Workload[] = [
  {
    name: 'voice: ASR, LLM, TTS',
    models: [
      { name: 'asr', ms: 45, fixed: 0.6, gib: 3 },
      { name: 'llm', ms: 180, fixed: 0.8, gib: 16 },
      { name: 'tts', ms: 60, fixed: 0.5, gib: 1 },
    ],
    stages: ['asr', 'llm asr', 'tts llm'],
    cluster: { a100: 2, l4: 2 },
    p99Ms: 1_500,
    cv: 1,
  },
  {
    name: 'RAG: embed, rerank, LLM',
    models: [
      { name: 'embed', ms: 6, fixed: 0.7, gib: 1 },
      { name: 'rerank', ms: 35, fixed: 0.4, gib: 2 },
      { name: 'llm', ms: 300, fixed: 0.85, gib: 30 },
    ],
    stages: ['embed', 'rerank embed', 'llm rerank'],
    cluster: { a100: 3, t4: 2 },
    p99Ms: 1_800,
    cv: 1,
  },
  {
    name: 'four even stages',
    models: ['a', 'b', 'c', 'd'].map((name) => ({ name, ms: 30, fixed: 0.5, gib: 4 })),
    stages: ['a', 'b a', 'c b', 'd c'],
    cluster: { l4: 6 },
    p99Ms: 1_000,
    cv: 1,
  },
  {
    name: 'one stage that is ten times the others',
    models: [
      { name: 'detect', ms: 8, fixed: 0.5, gib: 2 },
      { name: 'caption', ms: 90, fixed: 0.3, gib: 10 },
      { name: 'embed', ms: 7, fixed: 0.6, gib: 1 },
    ],
    stages: ['detect', 'caption detect', 'embed caption'],
    cluster: { l4: 4, t4: 4 },
    p99Ms: 1_600,
    cv: 1,
  },
  {
    name: 'diamond: two branches and a join',
    models: [
      { name: 'split', ms: 10, fixed: 0.5, gib: 1 },
      { name: 'speech', ms: 60, fixed: 0.5, gib: 4 },
      { name: 'vision', ms: 80, fixed: 0.4, gib: 6 },
      { name: 'fuse', ms: 25, fixed: 0.5, gib: 3 },
    ],
    stages: ['split', 'speech split', 'vision split', 'fuse speech,vision'],
    cluster: { a100: 1, l4: 5 },
    p99Ms: 900,
    cv: 1,
  },
  {
    name: 'bursts on mixed devices',
    models: [
      { name: 'guard', ms: 9, fixed: 0.6, gib: 2 },
      { name: 'asr', ms: 45, fixed: 0.6, gib: 3 },
      { name: 'mt', ms: 70, fixed: 0.5, gib: 8 },
      { name: 'tts', ms: 50, fixed: 0.5, gib: 1 },
    ],
    stages: ['guard', 'asr guard', 'mt asr', 'tts mt'],
    cluster: { a100: 1, l4: 3, t4: 3 },
    p99Ms: 1_500,
    cv: 2,
  },
];

/** The workloads as input of `millrace place`, with arrivals to place for and others to measure by. */
export const workloads = (): readonly {
  readonly name: string;
  readonly input: PlannerInput;
  readonly unseen: PlannerInput;
}[] =>
  WORKLOADS.map((workload) => ({ name: workload.name, input: inputOf(workload, 1), unseen: inputOf(workload, 2) }));

function inputOf({ models, stages, cluster, p99Ms, cv }: Workload, seed: number): PlannerInput {
  const nodes = Object.entries(cluster).map(([kind, count]) => {
    const { gib, price } = KINDS[kind] ?? { gib: 1, price: 0 };
    return `  - name: ${kind}\n    devices: [{ kind: ${kind}, count: ${count}, memory: ${gib}GiB, pricePerHour: ${price} }]`;
  });
  const profiles = models.flatMap(({ name, ms, fixed, gib }) =>
    Object.keys(cluster).map((deviceKind) => ({
      file: `${name}-${deviceKind}.json`,
      text: JSON.stringify({
        format: 1,
        model: name,
        deviceKind,
        batching: 'dynamic',
        memory: { weights: `${gib}GiB`, perRequest: '100MiB' },
        latency: [1, 2, 4, 8, 16].map((batch) => {
          const p50Ms = (ms * (fixed + (1 - fixed) * batch)) / (KINDS[deviceKind]?.speed ?? 1);
          return { batch, p50Ms, p95Ms: p50Ms * 1.1, p99Ms: p50Ms * 1.2 };
        }),
      }),
    })),
  );
  const shape = {
    format: 1,
    name: 'workload',
    stages: stages.map((text) => {
      const [id = '', after] = text.split(' ');
      return { id, model: id, after: after?.split(',') ?? [], outputBytes: 20_000 };
    }),
  };
  return {
    pipelines: [readPipelineShape(JSON.stringify(shape), 'workload.json')],
    inventory: readInventory(`format: 1\nnodes:\n${nodes.join('\n')}\n`),
    profiles: readProfiles(profiles),
    load: makeLoad([{ rate: 10, cv }], p99Ms, seed),
    objective: { p99Ms },
  };
}
