import { describe, expect, it, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { generate } from '../../../../placement/apply/index.js';
import { tritonConfig } from '../../../../placement/apply/triton-config.js';
import { placedPool, placementOf } from '../../../support/placements.js';
import { base, inventory, options } from './generated.js';

/** As NVIDIA's sample of Triton's vLLM backend has it. */
const VLLM = 'backend: "vllm"\ninstance_group [\n  {\n    count: 1\n    kind: KIND_MODEL\n  }\n]\n';
const LLM = { batching: 'continuous', maxBatch: 32, parallel: { tensor: 2, pipeline: 1 } } as const;

describe('Triton’s configuration of an LLM', () => {
  it('has instances, and of batches what its author wrote', () => {
    const llm = placedPool('m', [['gpu1/0']], { ...LLM, parallel: { tensor: 1, pipeline: 1 } });
    expect(tritonConfig(llm, { gpu: 0 }, 1, VLLM)).toBe(
      'backend: "vllm"\n# By millrace apply: m, default.\ninstance_group [ { count: 1 kind: KIND_MODEL } ]\n',
    );
    const trt =
      'backend: "tensorrtllm"\nmax_batch_size: 64\ndynamic_batching { max_queue_delay_microseconds: 1000 }\n' +
      'instance_group [ { count: 1 kind: KIND_CPU } ]\n';
    expect(tritonConfig(llm, { gpu: 0 }, 1, trt)).toBe(
      trt.replace('instance_group', '# By millrace apply: m, default.\ninstance_group'),
    );
  });

  test.each([
    ['the vLLM backend', 'dynamic', { gpu: 0 }, 'backend: "vllm" instance_group { kind: KIND_GPU gpus: 3 }', 'MODEL'],
    ['an author’s KIND_MODEL', 'dynamic', { gpu: 0 }, 'instance_group { kind: KIND_MODEL }', 'MODEL'],
    ['several GPUs', 'dynamic', 'gpus', 'instance_group { kind: KIND_GPU gpus: 0 }', 'MODEL'],
    ['an LLM on several GPUs', 'continuous', 'gpus', 'max_batch_size: 0', 'MODEL'],
    ['an LLM on a GPU', 'continuous', { gpu: 0 }, 'backend: "python"', 'GPU gpus: [ 0 ]'],
    ['an author’s KIND_CPU', 'dynamic', { gpu: 0 }, 'instance_group { kind: KIND_CPU }', 'GPU gpus: [ 0 ]'],
    ['a CPU', 'dynamic', 'cpu', 'instance_group { kind: KIND_GPU gpus: 0 }', 'CPU'],
    ['a CPU, whatever its author wrote', 'dynamic', 'cpu', 'instance_group { kind: KIND_MODEL }', 'CPU'],
  ] as const)('has the kind of %s', (_, batching, on, config, kind) => {
    const made = tritonConfig(placedPool('m', [['gpu1/0']], { batching }), on, 1, config);
    expect(made).toContain(`instance_group [ { count: 1 kind: KIND_${kind} } ]`);
  });
});

describe('a Triton with models on one and on several GPUs', () => {
  const known = { ...base, llm: { connector: 'triton', model: 'llm', kind: 'chat' } };
  const made = (...pools: Parameters<typeof placementOf>[0]) => {
    const configOf = (model: string) => (model === 'llm' ? VLLM : undefined);
    const { files, notes } = generate(placementOf(pools), inventory, { ...options, base: known, configOf });
    return { of: (name: string) => files.find(({ path }) => path === name)?.text ?? `no ${name}`, notes };
  };
  const whisper = placedPool('whisper', [['gpu1/0']]);
  const llm = placedPool('llm', [['gpu1/0', 'gpu1/1']], LLM);

  it('sees the GPUs of all, whichever comes first', () => {
    for (const { of } of [made(whisper, llm), made(llm, whisper)]) {
      expect(of('commands/triton-gpu1-0.sh')).toContain('CUDA_VISIBLE_DEVICES=0,1 tritonserver');
      expect(of('triton/triton-gpu1-0/whisper_large/config.pbtxt')).toContain('kind: KIND_GPU gpus: [ 0 ]');
      expect(of('triton/triton-gpu1-0/llm/config.pbtxt')).toContain('{ count: 1 kind: KIND_MODEL }');
      const manifests = parseAllDocuments(of('kubernetes.yaml')).map((each) => each.toJS());
      const server = manifests.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'triton-gpu1-0');
      expect(server.spec.template.spec.containers[0].resources.limits).toEqual({ 'nvidia.com/gpu': 2 });
    }
  });

  it('sees those of the narrower one first, which that one takes', () => {
    const wide = placedPool('whisper', [['gpu1/0', 'gpu1/2', 'gpu1/1']]);
    expect(made(wide, llm).of('commands/triton-gpu1-0.sh')).toContain('CUDA_VISIBLE_DEVICES=0,1,2 tritonserver');
  });

  it('gets a note on what its LLM’s engine has to be configured with', () => {
    expect(made(whisper, llm).notes).toContainEqual(
      expect.stringMatching(/^llm: .*: state 32 sequences there, tensor parallelism 2, .*max_num_seqs/),
    );
    const one = { devices: ['gpu1/2'], queue: 'q', parallel: { tensor: 1, pipeline: 1 } };
    const mixed = placedPool('llm', [], { ...LLM, replicas: [...llm.replicas, one] });
    expect(made(mixed).notes).toContainEqual(
      expect.stringContaining('tensor parallelism 2, pipeline parallelism 1 or tensor parallelism 1, pipeline'),
    );
    expect(made(whisper).notes).toEqual([]);
  });
});
