import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { importProfiles, importTrace } from '../../../placement/import/index.js';
import type { ProfileFile } from '../../../placement/profiles/index.js';

/** A workload made of public files. */
export interface PublicCell {
  readonly name: string;
  readonly pipeline: string;
  readonly cluster: string;
  readonly profiles: readonly ProfileFile[];
  readonly trace: string;
  readonly p99Ms: number;
  /** What the cheapest plan of another search costs. */
  readonly other?: number;
  /** How calls come to servers that cache prefixes. Absent: the trace says nothing of prefixes. */
  readonly affinity?: 'prefix' | 'none';
}

/** Names of the public files, as they are published, below the folder that the user gives. */
const FILES = {
  conversation: ['AzureLLMInferenceTrace_conv.csv', 'azure_conv.csv'],
  code: ['AzureLLMInferenceTrace_code.csv', 'azure_code.csv'],
  mooncake: ['conversation_trace.jsonl', 'mooncake_conv.jsonl', 'mooncake_trace.jsonl'],
  proteus: ['aggregate_profiled.csv', 'proteus.csv'],
  muxserve: ['llama.json'],
} as const;

/**
 * Weights in half precision and key-value cache of a token (2 x layers x width x 2 bytes) of the models in MuxServe's table,
 * by their published shapes.
 */
const LLAMA = {
  'llama-7b': { weights: '13GiB', perToken: '512KiB' },
  'llama-13b': { weights: '25GiB', perToken: '800KiB' },
  'llama-30b': { weights: '61GiB', perToken: '1560KiB' },
  'llama-65b': { weights: '122GiB', perToken: '2560KiB' },
} as const;

const PROTEUS_KINDS = { onnxruntime_cpu: 'cpu', onnxruntime_gpu_pascal: 'pascal', onnxruntime_gpu_ampere: 'ampere' };
const SHARED = `format: 1
nodes:
  - name: n1
    devices:
      - { kind: cpu, count: 24, memory: 64GiB, pricePerHour: 1 }
      - { kind: pascal, count: 8, memory: 64GiB, pricePerHour: 4 }
      - { kind: ampere, count: 8, memory: 64GiB, pricePerHour: 6 }
`;
const A100 = (count: number) => `format: 1
nodes:
  - name: n1
    devices:
      - { kind: a100, count: ${count}, memory: 80GiB, pricePerHour: 4 }
`;
/** Most servers for which it is computed what their prefix caches have. */
const CACHES = 16;
const PIPELINES = {
  p2: ['yolov5m', 'resnet50_v1'],
  p3: ['bert-base-uncased', 't5-small', 'gpt2'],
  p4: ['t5-base', 'bert-base-uncased', 'gpt2', 't5-small'],
  p5: ['yolov5s', 'efficientnet-b3', 'resnet50_v1', 'bert-base-uncased', 't5-small'],
  p6: ['mobilenet1.0', 'yolov5m', 'densenet121', 'roberta-base', 'bert-large-uncased', 'gpt2'],
} as const;

function find(folder: string, names: readonly string[]): { readonly text: string; readonly file: string } | undefined {
  const file = names.map((name) => path.join(folder, name)).find((each) => existsSync(each));
  return file === undefined ? undefined : { text: readFileSync(file, 'utf8'), file: path.basename(file) };
}

const chain = (name: string, models: readonly string[]) =>
  JSON.stringify({
    format: 1,
    name,
    stages: models.map((model, i) => ({ id: `s${i}`, model, after: i === 0 ? [] : [`s${i - 1}`] })),
  });

/** The cells for which the folder has the files; `missing` names the files of the others. */
export function publicCells(folder: string): {
  readonly cells: readonly PublicCell[];
  readonly missing: readonly string[];
} {
  const found = Object.fromEntries(Object.entries(FILES).map(([key, names]) => [key, find(folder, names)]));
  const missing = Object.entries(FILES).flatMap(([key, names]) => (found[key] ? [] : [names[0]]));
  const cells: PublicCell[] = [];
  const { conversation, code, mooncake, proteus, muxserve } = found;
  if (proteus && conversation) {
    // As in the published comparison: every percentile is the average.
    const profiles = importProfiles('proteus', proteus.text, proteus.file, {
      kinds: PROTEUS_KINDS,
      memory: {},
      perToken: {},
    }).map((profile) => ({
      ...profile,
      memory: { weights: '1MiB' },
      ...(profile.batching === 'dynamic' && {
        latency: profile.latency.map(({ batch, meanMs, p50Ms }) => ({ batch, p50Ms: meanMs ?? p50Ms })),
      }),
    })) as readonly ProfileFile[];
    for (const speed of [1, 2]) {
      const trace = importTrace('azure', conversation.text, conversation.file, { speed });
      for (const [name, models] of Object.entries(PIPELINES)) {
        const alone = models.reduce((sum, model) => sum + fastest(profiles, model), 0);
        for (const factor of [2, 3, 5]) {
          const own = profiles.filter(({ model }) => (models as readonly string[]).includes(model));
          const cell = { pipeline: chain(name, models), cluster: SHARED, profiles: own, trace };
          cells.push({ ...cell, name: `conv-${speed}x/${name}/${factor}`, p99Ms: Math.round(factor * alone) });
        }
      }
    }
  }
  if (muxserve) {
    const models = Object.keys(JSON.parse(muxserve.text) as object);
    const sized = Object.entries(LLAMA).filter(([model]) => models.includes(model));
    const memory = Object.fromEntries(sized.map(([model, { weights }]) => [model, weights]));
    const perToken = Object.fromEntries(sized.map(([model, each]) => [model, each.perToken]));
    const profiles = importProfiles('muxserve', muxserve.text, muxserve.file, { kinds: {}, memory, perToken });
    for (const [name, source, format] of [
      ['azure-conv', conversation, 'azure'],
      ['azure-code', code, 'azure'],
      ['mooncake', mooncake, 'mooncake'],
    ] as const) {
      if (!source) continue;
      for (const [model, speed, seconds] of [
        ['llama-7b', 1, 20],
        ['llama-13b', 1, 40],
        ['llama-13b', 0.25, 40],
      ] as const) {
        const trace = importTrace(format, source.text, source.file, { speed, limit: 6_000 });
        const own = profiles.filter((each) => each.model === model);
        const p99Ms = 1_000 * seconds * (name === 'mooncake' ? 4 : 1);
        const cell = { pipeline: chain(model, [model]), cluster: A100(64), profiles: own, trace };
        cells.push({ ...cell, name: `${name}/${model}/${speed}x`, p99Ms });
        if (name !== 'mooncake') continue;
        const known = importTrace(format, source.text, source.file, { speed, limit: 6_000, caches: CACHES });
        for (const affinity of ['prefix', 'none'] as const)
          cells.push({
            ...cell,
            trace: known,
            affinity,
            name: `${name}/${model}/${speed}x/affinity ${affinity}`,
            p99Ms,
          });
      }
    }
  }
  return { cells, missing };
}

/** The cells of a file that lists objectives and the costs of another search: `[{ cell, sloP99Ms, independent }]`. */
export function comparedCells(cells: readonly PublicCell[], file: string): readonly PublicCell[] {
  const listed = JSON.parse(readFileSync(file, 'utf8')) as readonly {
    readonly cell: string;
    readonly sloP99Ms: number;
    readonly independent: Readonly<Record<string, number>>;
  }[];
  return listed.flatMap(({ cell, sloP99Ms, independent }) => {
    const other = Math.min(...Object.values(independent));
    return cells.flatMap((each) => (each.name === cell ? [{ ...each, p99Ms: sloP99Ms, other }] : []));
  });
}

const fastest = (profiles: readonly ProfileFile[], model: string): number =>
  Math.min(
    ...profiles.flatMap((profile) =>
      profile.model === model && profile.batching === 'dynamic'
        ? profile.latency.flatMap(({ batch, p50Ms }) => (batch === 1 ? [p50Ms] : []))
        : [],
    ),
  );
