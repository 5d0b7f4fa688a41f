import { makeLoad } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import type { PlannerInput } from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';

/** A small cluster and tables of a voice pipeline, as files. */
export const CLUSTER = `format: 1
nodes:
  - name: gpu1
    devices:
      - { kind: a100, count: 2, memory: 80GiB, pricePerHour: 2.40 }
  - name: gpu2
    devices:
      - { kind: l4, count: 4, memory: 24GiB, pricePerHour: 0.70 }
`;

export const PIPELINE = JSON.stringify({
  format: 1,
  name: 'voice',
  stages: [
    { id: 'hear', model: 'whisper' },
    { id: 'speak', model: 'tts', after: ['hear'] },
  ],
});

type Row = Readonly<Record<string, unknown>>;

/** A profile file of a model whose batches cost half of a call for each more. */
export function profileFile(model: string, deviceKind: string, ms: number, more: Row = {}) {
  const latency = [1, 2, 4].map((batch) => {
    const p50Ms = (ms * (1 + batch)) / 2;
    return { batch, p50Ms, p95Ms: p50Ms * 1.1, p99Ms: p50Ms * 1.2 };
  });
  const file = {
    format: 1,
    model,
    deviceKind,
    batching: 'dynamic',
    memory: { weights: '4GiB', perRequest: '200MiB' },
    latency,
  };
  const variant = typeof more.variant === 'string' ? `-${more.variant}` : '';
  return { file: `${model}-${deviceKind}${variant}.json`, text: JSON.stringify({ ...file, ...more }, null, 2) };
}

export const PROFILES = [
  profileFile('whisper', 'a100', 20),
  profileFile('whisper', 'l4', 50),
  profileFile('tts', 'a100', 30),
  profileFile('tts', 'l4', 70),
];

export function plannerInput(
  more: {
    readonly cluster?: string;
    readonly pipelines?: readonly string[];
    readonly profiles?: readonly { readonly file: string; readonly text: string }[];
    readonly rate?: number;
    readonly p99Ms?: number;
    readonly qualityFloor?: number;
  } = {},
): PlannerInput {
  const { cluster = CLUSTER, pipelines = [PIPELINE], profiles = PROFILES, rate = 5, p99Ms = 400, qualityFloor } = more;
  return {
    pipelines: pipelines.map((text) => readPipelineShape(text, 'pipeline.json')),
    inventory: readInventory(cluster),
    profiles: readProfiles(profiles),
    load: makeLoad(
      pipelines.map(() => ({ rate, cv: 1 })),
      p99Ms,
      1,
    ),
    objective: { p99Ms },
    qualityFloor,
  };
}

/** A profile of an LLM: the time to the first token of a short prompt, and of each token for one sequence and for eight. */
export function llmProfile(model: string, deviceKind: string, promptMs: number, tokenMs: number) {
  const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms * 1.1, p99Ms: p50Ms * 1.2 });
  const file = {
    format: 1,
    model,
    deviceKind,
    batching: 'continuous',
    memory: { weights: '8GiB', perToken: '128KiB' },
    size: { typicalIn: 200, typicalOut: 80 },
    prefill: [{ tokens: 200, ...row(promptMs) }],
    decode: [1, 8].map((batch) => ({ batch, tokens: 250, ...row(tokenMs * (1 + (batch - 1) / 14)) })),
  };
  return { file: `${model}-${deviceKind}.json`, text: JSON.stringify(file, null, 2) };
}
