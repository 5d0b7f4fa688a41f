import { readFileSync } from 'node:fs';
import { generate } from '../../../../placement/apply/index.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { CLUSTER, placedPool, placementOf } from '../../../support/placements.js';

/* A placement of every connector, and what `millrace apply` makes of it. */

export const base = {
  whisper: { connector: 'triton', model: 'whisper_large', kind: 'transcribe' },
  minilm: { connector: 'triton', model: 'minilm', kind: 'embed' },
  assistant: { connector: 'openai', model: 'org/assistant-8b', kind: 'chat' },
  other: { connector: 'openai', model: 'other', kind: 'chat', endpoints: [{ url: 'http://o/v1', device: 'o' }] },
};
export const GIB = 2 ** 30;
export const placement = placementOf([
  placedPool('whisper', [['gpu1/2'], ['gpu1/2']], { preferredBatchSizes: [4, 8, 16], maxQueueDelayMs: 2.5 }),
  placedPool('minilm', [['cpu1/0'], ['gpu1/2']], { maxBatch: 32 }),
  placedPool('assistant', [['gpu1/0', 'gpu1/1']], {
    batching: 'continuous',
    parallel: { tensor: 2, pipeline: 1 },
    maxBatch: 64,
    memoryBytes: 60 * GIB,
  }),
]);
export const options: Parameters<typeof generate>[2] = {
  base,
  configOf: (model) =>
    model === 'minilm' ? readFileSync('deploy/local/models/minilm/config.pbtxt', 'utf8') : undefined,
  cpuKinds: new Set(['cpu']),
  weights: {},
  speculative: { assistant: { method: 'ngram', num_speculative_tokens: 4 } },
  toolParsers: { assistant: 'hermes' },
  kubernetes: {
    images: { triton: 'tritonserver', vllm: 'vllm-openai', millrace: 'millrace' },
    gpuResource: 'nvidia.com/gpu',
    modelsClaim: 'models',
    temporal: 'temporal:7233',
    namespace: 'default',
    taskQueue: 'millrace',
  },
};
export const inventory = readInventory(CLUSTER);
export const generated = generate(placement, inventory, options);
export const text = (path: string): string => generated.files.find((file) => file.path === path)?.text ?? `no ${path}`;
