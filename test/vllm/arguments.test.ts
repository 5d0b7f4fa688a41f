import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { VLLM_QUANTISATIONS, vllmQuantisation } from '../../measure/optimize/gpu.js';
import type { JsonObject } from '../../pipelines/json.js';
import { generate } from '../../placement/apply/index.js';
import { readInventory } from '../../placement/inventory/index.js';
import { placedPool, placementOf } from '../support/placements.js';
import { fromSetup } from './from-setup.js';
import { PYTHON_MS, printedBy } from './python.js';

const GIB = 2 ** 30;
const DEVICE_GIB = 80;
const CLUSTER = readInventory(`
format: 1
nodes:
  - name: gpu1
    devices:
      - { kind: a100, count: 8, memory: ${DEVICE_GIB}GiB }
`);

/** What a server is to be started with, and what vLLM has to understand. */
interface Wanted {
  readonly tensor: number;
  readonly pipeline: number;
  readonly maxBatch: number;
  readonly memoryGiB: number;
  /** Tokens of prompts in a step; null: vLLM's own. */
  readonly chunkTokens: number | null;
  readonly weights: string;
  readonly speculative: JsonObject | null;
  readonly toolParser: string | null;
}

const PLAIN: Wanted = {
  ...{ tensor: 1, pipeline: 1, maxBatch: 8, memoryGiB: 20, weights: 'org/assistant-8b' },
  ...{ chunkTokens: null, speculative: null, toolParser: null },
};
const DRAFT = { method: 'draft_model', model: "/models/a draft's folder", num_speculative_tokens: 3 };
const WANTED: readonly Wanted[] = [
  PLAIN,
  { ...PLAIN, maxBatch: 1, memoryGiB: 0.1 },
  { ...PLAIN, maxBatch: 512, memoryGiB: 74 },
  { ...PLAIN, tensor: 2, memoryGiB: 60 },
  { ...PLAIN, tensor: 8, maxBatch: 256 },
  { ...PLAIN, pipeline: 2, weights: '/models/with spaces and $HOME' },
  { ...PLAIN, tensor: 4, pipeline: 2, maxBatch: 64 },
  { ...PLAIN, speculative: { method: 'ngram', num_speculative_tokens: 4, prompt_lookup_max: 4 } },
  { ...PLAIN, tensor: 2, speculative: DRAFT, toolParser: 'hermes' },
  { ...PLAIN, chunkTokens: 4_096 },
  { ...PLAIN, maxBatch: 512, chunkTokens: 256 },
  { ...PLAIN, chunkTokens: 16, speculative: DRAFT },
  { ...PLAIN, chunkTokens: 0 },
];

/** The weights that are served here: vLLM makes of these lines its whole configuration. SmolLM2 has 9 heads and 30 layers. */
const SERVED: Wanted = { ...PLAIN, weights: fromSetup('MODEL') };
const CONFIGURED: readonly Wanted[] = [
  SERVED,
  { ...SERVED, tensor: 3, maxBatch: 4 },
  { ...SERVED, pipeline: 2, memoryGiB: 70 },
  { ...SERVED, chunkTokens: 512 },
  { ...SERVED, chunkTokens: 0 },
  { ...SERVED, speculative: { method: 'ngram', num_speculative_tokens: 4 } },
];
const ALL = [...WANTED, ...CONFIGURED];

/** Of a model that is a folder here this is not told. */
const AS_THEY_ARE = { quantization: null, kv_cache_dtype: 'auto', load_format: 'auto' };

type Answer = Readonly<Record<string, unknown>>;
const understood: Answer[] = [];
const lines = ALL.map(lineOf);
const served = lines[WANTED.length] ?? [];
const WRONG: readonly (readonly [what: string, words: readonly string[], why: RegExp])[] = [
  ['an option that it does not have', [...served, '--no-such-option', 'x'], /unrecognized arguments: --no-such/],
  ['a number that is none', replaced('8', 'eight'), /--max-num-seqs: invalid .*'eight'/],
  ['drafts that are no JSON', [...served, '--speculative-config', '{ngram'], /--speculative-config.*\{ngram/],
  ['drafts of a method that it does not know', [...served, '--speculative-config', '{"method":"guess"}'], /method/],
  ['more memory than the device has', [...served, '--gpu-memory-utilization', '1.4'], /less than or equal to 1/],
  ['more devices than divide the heads', [...served, '--tensor-parallel-size', '2'], /attention heads \(9\)/],
];

/** Of `gpu/vllm.sh` of `millrace optimize`, with weights that are not there: whether a device can do it is asked when they are loaded. */
const QUANTISED = Object.keys(VLLM_QUANTISATIONS).map(
  (name) => [name, vllmQuantisation('assistant', name, 'org/assistant-8b').slice(1)] as const,
);

beforeAll(() => {
  const words = [...lines, ...WRONG.map(([, each]) => each), ...QUANTISED.map(([, each]) => each)];
  // Else it looks for the weights when it reads their name.
  const online = { HF_HUB_OFFLINE: '' };
  understood.push(...printedBy<Answer[]>('parse-arguments.py', [], words, online));
}, PYTHON_MS);

describe('the command lines of `millrace apply`, read by vLLM itself', () => {
  it.each(ALL.map((wanted, i) => [i, JSON.stringify(wanted), wanted] as const))('%i %s', (i, _, wanted) => {
    const { memoryShare, quantisation = AS_THEY_ARE, ...rest } = understood[i] ?? {};
    const drafted = Number(wanted.speculative?.num_speculative_tokens ?? 0);
    expect(quantisation).toEqual(AS_THEY_ARE);
    expect(rest).toEqual({
      command: 'serve',
      model: wanted.weights,
      servedAs: ['assistant'],
      port: 9000,
      tensor: wanted.tensor,
      pipeline: wanted.pipeline,
      maxSequences: wanted.maxBatch,
      batchedTokens: wanted.chunkTokens ? Math.max(wanted.chunkTokens, wanted.maxBatch * (1 + drafted)) : null,
      isUnchunked: wanted.chunkTokens === 0,
      speculative: wanted.speculative,
      toolParser: wanted.toolParser,
    });
    const share = wanted.memoryGiB / DEVICE_GIB;
    expect(memoryShare).toBeGreaterThan(share);
    expect(memoryShare).toBeLessThan(share + 0.04);
  });

  it.each(WRONG.map(([what, , why], i) => [what, i, why] as const))('is refused %s', (_, i, why) => {
    expect(understood[ALL.length + i]).toEqual({ refused: expect.stringMatching(why) });
  });
});

describe('the command lines of `millrace optimize`, read by vLLM itself', () => {
  it.each([
    ['fp8', { quantization: 'fp8', kv_cache_dtype: 'auto', load_format: 'auto' }],
    ['fp8-cache', { quantization: 'fp8', kv_cache_dtype: 'fp8', load_format: 'auto' }],
    ['bitsandbytes', { quantization: 'bitsandbytes', kv_cache_dtype: 'auto', load_format: 'bitsandbytes' }],
  ])('%s', (name, quantisation) => {
    const at = QUANTISED.findIndex(([each]) => each === name);
    expect(understood[ALL.length + WRONG.length + at]).toMatchObject({
      ...{ command: 'serve', model: 'org/assistant-8b', servedAs: [`assistant-${name}`], quantisation },
    });
  });

  it('are all checked', () => {
    expect(QUANTISED.map(([name]) => name)).toEqual(['fp8', 'fp8-cache', 'bitsandbytes']);
  });
});

/** The words behind `vllm` that the generated script starts it with, as a shell gives them. */
function lineOf(wanted: Wanted): string[] {
  const { tensor, pipeline, maxBatch, memoryGiB, chunkTokens, weights, speculative, toolParser } = wanted;
  const devices = Array.from({ length: tensor * pipeline }, (_, i) => `gpu1/${i}`);
  const pool = placedPool('assistant', [devices], {
    batching: 'continuous',
    parallel: { tensor, pipeline },
    maxBatch,
    memoryBytes: memoryGiB * GIB,
    ...(chunkTokens !== null && { chunkTokens }),
  });
  const { files } = generate(placementOf([pool]), CLUSTER, {
    base: { assistant: { connector: 'openai', model: 'assistant', kind: 'chat' } },
    configOf: () => undefined,
    cpuKinds: new Set(['cpu']),
    weights: { assistant: weights },
    speculative: speculative ? { assistant: speculative } : {},
    toolParsers: toolParser ? { assistant: toolParser } : {},
    kubernetes: {
      images: { triton: 'tritonserver', vllm: 'vllm-openai', millrace: 'millrace' },
      gpuResource: 'nvidia.com/gpu',
      modelsClaim: 'models',
      temporal: 'temporal:7233',
      namespace: 'default',
      taskQueue: 'millrace',
    },
  });
  const script = files.find(({ path: name }) => name.startsWith('commands/'))?.text ?? '';
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-vllm-'));
  // In vLLM's place: it prints what it was called with.
  writeFileSync(path.join(folder, 'vllm'), '#!/bin/sh\nprintf \'%s\\0\' "$@"\n');
  chmodSync(path.join(folder, 'vllm'), 0o755);
  const { stdout, stderr } = spawnSync('sh', ['-c', script], {
    env: { PATH: `${folder}:${process.env.PATH}` },
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.split('\0').slice(0, -1);
}

/** The line of the served weights with one of its words replaced. */
function replaced(word: string, by: string): string[] {
  return served.map((each) => (each === word ? by : each));
}
