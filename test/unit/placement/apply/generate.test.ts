import { readFileSync } from 'node:fs';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Service } from 'kubernetes-models/v1/Service';
import { describe, expect, it, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { generate, shellWords } from '../../../../placement/apply/index.js';
import { fieldNames, withFields } from '../../../../placement/apply/pbtxt.js';
import { tritonConfig } from '../../../../placement/apply/triton-config.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { CLUSTER, placedPool, placementOf } from '../../../support/placements.js';

const base = {
  whisper: { connector: 'triton', model: 'whisper_large', kind: 'transcribe' },
  minilm: { connector: 'triton', model: 'minilm', kind: 'embed' },
  assistant: { connector: 'openai', model: 'org/assistant-8b', kind: 'chat' },
  other: { connector: 'openai', model: 'other', kind: 'chat', endpoints: [{ url: 'http://o/v1', device: 'o' }] },
};
const GIB = 2 ** 30;
const placement = placementOf([
  placedPool('whisper', [['gpu1/2'], ['gpu1/2']], { preferredBatchSizes: [4, 8, 16], maxQueueDelayMs: 2.5 }),
  placedPool('minilm', [['cpu1/0'], ['gpu1/2']], { maxBatch: 32 }),
  placedPool('assistant', [['gpu1/0', 'gpu1/1']], {
    batching: 'continuous',
    parallel: { tensor: 2, pipeline: 1 },
    maxBatch: 64,
    memoryBytes: 60 * GIB,
  }),
]);
const options: Parameters<typeof generate>[2] = {
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
const inventory = readInventory(CLUSTER);
const generated = generate(placement, inventory, options);
const text = (path: string): string => generated.files.find((file) => file.path === path)?.text ?? `no ${path}`;

describe('Triton', () => {
  it('gets one server for each device, with instances, batches and queue of the placement', () => {
    expect(generated.files.map(({ path }) => path).filter((path) => path.startsWith('triton/'))).toEqual([
      'triton/triton-gpu1-2/whisper_large/config.pbtxt',
      'triton/triton-gpu1-2/minilm/config.pbtxt',
      'triton/triton-cpu1-0/minilm/config.pbtxt',
    ]);
    expect(text('triton/triton-gpu1-2/whisper_large/config.pbtxt')).toBe(`# By millrace apply: whisper, default.
max_batch_size: 8
instance_group [ { count: 2 kind: KIND_GPU gpus: [ 0 ] } ]
dynamic_batching {
  preferred_batch_size: [ 4, 8 ]
  max_queue_delay_microseconds: 2500
  default_queue_policy { max_queue_size: 128 }
}
`);
    expect(text('commands/triton-gpu1-2.sh')).toContain(
      'exec env CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=2 tritonserver --model-repository=triton/triton-gpu1-2 --model-control-mode=explicit ' +
        '--load-model=whisper_large --load-model=minilm --http-port=8020 --grpc-port=8021 --metrics-port=8022\n',
    );
  });

  it('keeps of the author’s configuration what is not the placement’s', () => {
    const config = text('triton/triton-cpu1-0/minilm/config.pbtxt');
    expect(config).toContain('instance_group [ { count: 1 kind: KIND_CPU } ]');
    expect(config).toContain('max_batch_size: 32');
    expect(config).toContain('output [ { name: "EMBEDDING" data_type: TYPE_FP32 dims: [ 384 ] } ]');
    expect(config).toContain('parameters { key: "fingerprint" value: { string_value: "8199be6f699a395f" } }');
    expect(config.match(/dynamic_batching/g)).toHaveLength(1);
    expect(config.match(/instance_group/g)).toHaveLength(1);
  });

  const configOf = (base: string) => tritonConfig(placedPool('m', [['gpu1/0']], { maxBatch: 8 }), { gpu: 0 }, 2, base);

  it('leaves an ensemble, a model without batches and a sequence batcher their form', () => {
    const ensemble = 'platform: "ensemble"\nmax_batch_size: 8\nensemble_scheduling { step [ { model_name: "a" } ] }\n';
    expect(configOf(ensemble)).toBe(`# By millrace apply: m, default.\n${ensemble}`);
    const alone = configOf('max_batch_size: 0\ninput [ { name: "a" } ]');
    expect(alone).toContain('max_batch_size: 0\n');
    expect(alone).toContain('instance_group [ { count: 2 kind: KIND_GPU gpus: [ 0 ] } ]');
    expect(alone).not.toContain('dynamic_batching');
    const sequence = configOf('max_batch_size: 4\nsequence_batching { max_sequence_idle_microseconds: 5 }');
    expect(sequence).toContain('max_batch_size: 4');
    expect(sequence).not.toContain('dynamic_batching');
  });

  it('merges instances and batches into the author’s, field by field', () => {
    const merged = configOf(
      'max_batch_size: 64\n' +
        'instance_group [ { count: 1 kind: KIND_GPU rate_limiter { resources [ { name: "R" count: 4 } ] } } ]\n' +
        'dynamic_batching { preferred_batch_size: [ 3, 4096 ] preserve_ordering: true priority_levels: 2 ' +
        'default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 9 } }\n' +
        'optimization { execution_accelerators { gpu_execution_accelerator [ { name: "tensorrt" } ] } }',
    );
    expect(merged).toContain(
      'instance_group [ { rate_limiter { resources [ { name: "R" count: 4 } ] } count: 2 kind: KIND_GPU gpus: [ 0 ] } ]',
    );
    for (const kept of ['preferred_batch_size: [ 3 ]', 'preserve_ordering: true', 'priority_levels: 2', 'tensorrt']) {
      expect(merged).toContain(kept);
    }
    expect(merged).toContain(
      'default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 9 max_queue_size: 128 }',
    );
    expect(merged).toContain('max_batch_size: 8');
  });

  test.each([
    ['a: 1 b: 2', 'b: 2\na: 9\n'],
    ['a { x: "}" } # a: 3\nb: "a: 1"', '# a: 3\nb: "a: 1"\na: 9\n'],
    ['a [ { c: 1 }, { c: 2 } ]\nb: [1, 2]; a: "x\\"y"', 'b: [1, 2];\na: 9\n'],
    ["a: 'it'\nb { a: 1 # }\n}", 'b { a: 1 # }\n}\na: 9\n'],
    ['', 'a: 9\n'],
  ])('replaces a field in %j', (config, changed) => {
    expect(withFields(config, { a: 'a: 9' }).trimStart()).toBe(changed);
    expect(fieldNames(changed).has('a')).toBe(true);
  });
});

describe('a variant that the pool names', () => {
  const pool = { ...base.minilm, variants: { int8: { model: 'minilm-int8' } } };
  const filesOf = (variant: string) =>
    generate(placementOf([placedPool('minilm', [['cpu1/0']], { variant })]), inventory, {
      ...options,
      base: { ...base, minilm: pool },
      configOf: (model) => `name: "${model}"`,
    }).files;
  const found = (files: ReturnType<typeof filesOf>, end: string) => files.find(({ path }) => path.endsWith(end))?.text;

  it('is loaded, configured and called by its own name', () => {
    const files = filesOf('int8');
    expect(found(files, 'minilm-int8/config.pbtxt')).toContain('name: "minilm-int8"');
    expect(found(files, 'triton-cpu1-0.sh')).toContain('--load-model=minilm-int8');
    expect(JSON.parse(found(files, 'models.json') ?? '{}').minilm).toMatchObject({ model: 'minilm-int8' });
  });

  it('is the pool’s model if the pool names no variants', () => {
    const { files } = generate(
      placementOf([placedPool('minilm', [['cpu1/0']], { variant: 'int8' })]),
      inventory,
      options,
    );
    expect(found(files, 'triton-cpu1-0.sh')).toContain('--load-model=minilm ');
    expect(JSON.parse(found(files, 'models.json') ?? '{}').minilm).toMatchObject({ model: 'minilm' });
  });

  it.each(['default', 'constructor'])('is refused as %s if the pool names others only', (variant) => {
    expect(() => filesOf(variant)).toThrow(
      expect.objectContaining({
        code: 'INVALID_PLACEMENT',
        message: expect.stringContaining(`the variant "${variant}", and the models file names int8`),
      }),
    );
  });
});

describe('vLLM', () => {
  it('gets one server for each replica, on its devices', () => {
    expect(text('commands/assistant-gpu1-0.sh')).toContain(
      'exec env CUDA_DEVICE_ORDER=PCI_BUS_ID CUDA_VISIBLE_DEVICES=0,1 vllm serve org/assistant-8b ' +
        '--served-model-name org/assistant-8b assistant --port 9000 ' +
        `--tensor-parallel-size 2 --gpu-memory-utilization 0.77 --max-num-seqs 64 ` +
        `--speculative-config '{"method":"ngram","num_speculative_tokens":4}' ` +
        '--enable-auto-tool-choice --tool-call-parser hermes\n',
    );
  });

  it('decodes speculatively as the placement says, unless the operator says otherwise', () => {
    const drafts = { method: 'ngram', num_speculative_tokens: 2, prompt_lookup_max: 2 };
    const llm = placedPool('assistant', [['gpu1/0']], {
      batching: 'continuous',
      memoryBytes: 30 * GIB,
      speculative: drafts,
    });
    const command = (speculative: typeof options.speculative) =>
      generate(placementOf([llm]), inventory, { ...options, speculative }).files.find(({ path }) =>
        path.startsWith('commands/assistant'),
      )?.text;
    expect(command({})).toContain(`--speculative-config '${JSON.stringify(drafts)}'`);
    expect(command(options.speculative)).toContain(`'${JSON.stringify(options.speculative.assistant)}'`);
  });

  it('gets its part of the memory, its length, and the operator’s arguments in place of generated ones', () => {
    const llm = placedPool('assistant', [], {
      batching: 'continuous',
      maxBatch: 256,
      memoryBytes: 30 * GIB,
      replicas: [{ devices: ['gpu1/0'], queue: 'q', memoryBytes: 72 * GIB, cacheTokens: 40_000 }],
    });
    const known = { ...base, assistant: { ...base.assistant, contextTokens: 131_072 } };
    const made = generate(placementOf([llm]), inventory, {
      ...options,
      base: known,
      vllmArguments: { assistant: shellWords(`--quantization fp8 --max-num-seqs=128 --chat-template 'a b'`) },
    });
    const command = made.files.find(({ path }) => path === 'commands/assistant-gpu1-0.sh')?.text ?? '';
    expect(command).toContain('--gpu-memory-utilization 0.90 --max-model-len 40000');
    expect(command).toContain(`--quantization fp8 --max-num-seqs=128 --chat-template 'a b'`);
    expect(command).not.toContain('256');
    expect(() => shellWords(`--a 'b`)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }));
  });

  it('serves pools of other kinds whose connector is OpenAI’s', () => {
    const pools = { ...base, embedder: { connector: 'openai', model: 'org/e', kind: 'embed' } };
    const made = generate(placementOf([placedPool('embedder', [['gpu1/2']])]), inventory, { ...options, base: pools });
    expect(made.files.find(({ path }) => path === 'commands/embedder-gpu1-2.sh')?.text).toContain(
      'CUDA_VISIBLE_DEVICES=2 vllm serve org/e --served-model-name org/e embedder --port 9020 --runner pooling',
    );
  });

  it('sees devices by their ids, and a part of a GPU by nothing else', () => {
    const parted = (uuids: string) =>
      readInventory(`format: 1
nodes:
  - name: n
    devices:
      - { kind: cpu, memory: 64GiB }
      - { kind: a100, memory: 80GiB }
      - { kind: a100, memory: 80GiB, share: { mode: mig, parts: 2 }${uuids} }
`);
    const pool = (device: string) =>
      placementOf([placedPool('assistant', [[device]], { batching: 'continuous', memoryBytes: 20 * GIB })]);
    const seen = (device: string, uuids: string) => {
      const { files } = generate(pool(device), parted(uuids), options);
      return /CUDA_VISIBLE_DEVICES=(\S+)/.exec(files.find(({ path }) => path.startsWith('commands/'))?.text ?? '')?.[1];
    };
    expect(seen('n/1', '')).toBe('0');
    expect(seen('n/2.1', ', uuids: [MIG-a, MIG-b]')).toBe('MIG-b');
    expect(() => seen('n/2.1', '')).toThrow(expect.objectContaining({ code: 'INVALID_PLACEMENT' }));
  });

  it('refuses tools unless it is told how they are called, which the operator is told', () => {
    const notesFor = (toolParsers: Record<string, string>) =>
      generate(placement, inventory, { ...options, toolParsers }).notes.filter((note) =>
        note.includes('--tool-parser'),
      );
    expect(notesFor({})).toEqual([expect.stringMatching(/^assistant: /)]);
    expect(notesFor({ assistant: 'hermes' })).toEqual([]);
  });

  it('gets no argument that its parser does not have', () => {
    const recorded = JSON.parse(readFileSync('test/fixtures/vllm/options.recorded.json', 'utf8')) as {
      options: string[];
    };
    const whole = generate(
      placementOf([
        placedPool('assistant', [['gpu1/0', 'gpu1/1']], {
          batching: 'continuous',
          parallel: { tensor: 1, pipeline: 2 },
        }),
      ]),
      inventory,
      options,
    );
    const commands = [...generated.files, ...whole.files].filter(({ path }) => /commands\/assistant/.test(path));
    const used = commands.flatMap(({ text }) => text.match(/(?<= )--[a-z-]+/g) ?? []);
    expect(new Set(used).size).toBe(9);
    expect(used.filter((option) => !recorded.options.includes(option))).toEqual([]);
  });

  it('is refused a pool of which no profile states the memory', () => {
    const unknown = placedPool('assistant', [['gpu1/0']], { batching: 'continuous', memoryBytes: 0 });
    expect(() => generate(placementOf([unknown]), inventory, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLACEMENT', message: expect.stringContaining('--memory assistant=') }),
    );
  });

  it('is refused memory that the device does not have', () => {
    const large = placedPool('assistant', [['gpu1/0']], { batching: 'continuous', memoryBytes: 79 * GIB });
    expect(() => generate(placementOf([large]), inventory, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLACEMENT', message: expect.stringContaining('assistant needs') }),
    );
  });
});

describe('the models file', () => {
  it('has an endpoint for each device, and leaves other pools as they are', () => {
    expect(JSON.parse(text('models.json'))).toEqual({
      whisper: { ...base.whisper, endpoints: [{ url: 'gpu1:8021', device: 'gpu1/2', concurrency: 16 }] },
      minilm: {
        ...base.minilm,
        endpoints: [
          { url: 'gpu1:8021', device: 'gpu1/2', concurrency: 32 },
          { url: 'cpu1:8001', device: 'cpu1/0', concurrency: 32 },
        ],
      },
      assistant: {
        ...base.assistant,
        endpoints: [{ url: 'http://gpu1:9000/v1', device: 'gpu1/0', concurrency: 64 }],
      },
      other: base.other,
    });
  });

  it('names a server at the same address in every placement, whatever runs beside it', () => {
    const addressIn = (...pools: Parameters<typeof placementOf>[0]) => {
      const { servers } = generate(placementOf(pools), inventory, options);
      return Object.fromEntries(servers.map(({ name, port }) => [name, port]));
    };
    const [whisper, assistant] = [placedPool('whisper', [['gpu1/2']]), placedPool('assistant', [['gpu1/1']])];
    const first = placedPool('minilm', [['gpu1/0'], ['gpu1/1']]);
    const other = placedPool('other', [['gpu1/1']]);
    expect(addressIn(whisper)).toEqual({ 'triton-gpu1-2': 8020 });
    expect(addressIn(first, whisper)).toEqual({ 'triton-gpu1-0': 8000, 'triton-gpu1-1': 8010, 'triton-gpu1-2': 8020 });
    expect(addressIn(assistant)).toEqual({ 'assistant-gpu1-1': 9010 });
    expect(addressIn(first, assistant, other)).toMatchObject({ 'assistant-gpu1-1': 9010, 'other-gpu1-1': 9011 });
  });

  it('uses servers that run already', () => {
    const running = placedPool('whisper', [], {
      replicas: [{ devices: ['gpu1/2'], queue: 'device.gpu1.2', endpoint: 'there:8001' }],
    });
    const { files, servers } = generate(placementOf([running]), inventory, options);
    expect(servers).toEqual([]);
    const models = JSON.parse(files.find(({ path }) => path === 'models.json')?.text ?? '');
    expect(models.whisper.endpoints).toEqual([{ url: 'there:8001', device: 'gpu1/2', concurrency: 8 }]);
  });

  test.each([
    ['a device that the inventory has not', placedPool('whisper', [['gpu9/0']]), 'gpu9/0 is not in the inventory'],
    ['a pool that the models file has not', placedPool('nobody', [['cpu1/0']]), 'has the name nobody'],
    [
      'two vLLM on one device',
      placedPool('assistant', [['gpu1/0'], ['gpu1/0']], { batching: 'continuous' }),
      'gpu1/0 has two replicas of assistant',
    ],
  ])('is refused %s', (_, pool, message) => {
    expect(() => generate(placementOf([pool]), inventory, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLACEMENT', message: expect.stringContaining(message) }),
    );
  });
});

describe('Kubernetes', () => {
  const KINDS = { ConfigMap, Deployment, Service, ScaledObject } as const;
  type Manifest = { kind: keyof typeof KINDS; metadata: { name: string }; spec?: never; data?: Record<string, string> };
  const manifests = parseAllDocuments(text('kubernetes.yaml')).map((document) => document.toJS() as Manifest);
  const named = (kind: string, name: string) =>
    manifests.find((each) => each.kind === kind && each.metadata.name === name);

  it('validates against the schemas of Kubernetes and KEDA', () => {
    for (const manifest of manifests) {
      const { apiVersion: _, kind, ...rest } = manifest as Manifest & { apiVersion: string };
      const model = new KINDS[kind](rest as never);
      expect(() => model.validate(), `${kind} ${manifest.metadata.name}`).not.toThrow();
    }
    expect(() => new Deployment({ spec: { replicas: 'one' } } as never).validate()).toThrow();
    expect(manifests.map(({ kind, metadata: { name } }) => `${kind} ${name}`)).toEqual([
      'ConfigMap millrace-placement',
      ...['ConfigMap triton-gpu1-2', 'Deployment triton-gpu1-2', 'Service triton-gpu1-2'],
      ...['ConfigMap triton-cpu1-0', 'Deployment triton-cpu1-0', 'Service triton-cpu1-0'],
      ...['Deployment assistant-gpu1-0', 'Service assistant-gpu1-0'],
      ...['Deployment worker-gpu1', 'Deployment worker-cpu1', 'Deployment worker', 'ScaledObject worker'],
    ]);
  });

  it('requests the GPUs of each server on its node, which a container counts from 0', () => {
    const pod = { nodeSelector: { 'kubernetes.io/hostname': 'gpu1' } };
    const limits = (count: number) => ({ resources: { limits: { 'nvidia.com/gpu': count } } });
    const template = (...containers: object[]) => ({ spec: { template: { spec: { ...pod, containers } } } });
    expect(named('Deployment', 'assistant-gpu1-0')).toMatchObject(template(limits(2)));
    expect(named('Deployment', 'triton-gpu1-2')).toMatchObject(template(limits(1)));
    expect(named('ConfigMap', 'triton-gpu1-2')?.data?.minilm).toContain('KIND_GPU gpus: [ 0 ]');
    expect(JSON.stringify(named('Deployment', 'triton-cpu1-0'))).not.toContain('nvidia');
  });

  it('has workers for the devices of each node, and scales the others by their queue’s backlog', () => {
    expect(JSON.stringify(named('Deployment', 'worker-gpu1'))).toContain(
      JSON.stringify({ name: 'MILLRACE_DEVICES', value: 'gpu1/2,gpu1/0' }),
    );
    expect(named('ScaledObject', 'worker')).toMatchObject({
      spec: { triggers: [{ type: 'temporal', metadata: { taskQueue: 'millrace', endpoint: 'temporal:7233' } }] },
    });
    const models = JSON.parse(named('ConfigMap', 'millrace-placement')?.data?.['models.json'] ?? '');
    expect(models.assistant.endpoints[0].url).toBe('http://assistant-gpu1-0:9000/v1');
  });
});

describe('an LLM whose prompts and answers are served apart', () => {
  const llm = { batching: 'continuous', maxBatch: 32, memoryBytes: 40 * GIB } as const;
  const apart = placementOf([
    placedPool('assistant', [['gpu1/0'], ['gpu1/1']], { ...llm, apart: { part: 'decode', with: 'assistant.prefill' } }),
    placedPool('assistant.prefill', [['gpu1/2']], {
      ...llm,
      maxBatch: 4,
      memoryBytes: 20 * GIB,
      apart: { part: 'prefill', with: 'assistant' },
    }),
  ]);
  const made = (routers: Readonly<Record<string, string>>) => generate(apart, inventory, { ...options, routers });
  const textOf = (path: string) =>
    made({ assistant: 'http://gpu1:8080' }).files.find((file) => file.path === path)?.text ?? `no ${path}`;

  it('gets servers that give and take caches, under one name', () => {
    const [prompts, answers] = [textOf('commands/assistant-prefill-gpu1-2.sh'), textOf('commands/assistant-gpu1-1.sh')];
    expect(prompts).toContain('VLLM_NIXL_SIDE_CHANNEL_HOST=gpu1 VLLM_NIXL_SIDE_CHANNEL_PORT=5620 vllm serve');
    expect(prompts).toContain(`--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_producer"}'`);
    expect(answers).toContain('VLLM_NIXL_SIDE_CHANNEL_PORT=5610 ');
    expect(answers).toContain(`--kv-transfer-config '{"kv_connector":"NixlConnector","kv_role":"kv_consumer"}'`);
    for (const text of [prompts, answers])
      expect(text).toContain('serve org/assistant-8b --served-model-name org/assistant-8b assistant --port 90');
    expect(generated.files.map(({ text: each }) => each).join()).not.toContain('kv-transfer');
  });

  it('is served as the variant that was placed', () => {
    const { files } = generate(placementOf(apart.pools.map((pool) => ({ ...pool, variant: 'fp8' }))), inventory, {
      ...options,
      base: { ...base, assistant: { ...base.assistant, variants: { fp8: { model: 'org/assistant-8b-fp8' } } } },
      routers: { assistant: 'http://gpu1:8080' },
    });
    const textAt = (path: string) => files.find((file) => file.path === path)?.text ?? '';
    for (const name of ['assistant-prefill-gpu1-2', 'assistant-gpu1-1'])
      expect(textAt(`commands/${name}.sh`)).toContain(
        'serve org/assistant-8b-fp8 --served-model-name org/assistant-8b-fp8 assistant ',
      );
    expect(JSON.parse(textAt('models.json')).assistant).toMatchObject({
      model: 'org/assistant-8b-fp8',
      endpoints: [{ url: 'http://gpu1:8080/v1' }],
    });
  });

  it('is called through its router, which is started by a script', () => {
    const models = JSON.parse(textOf('models.json')) as Record<string, { endpoints: unknown }>;
    expect(models.assistant?.endpoints).toEqual([{ url: 'http://gpu1:8080/v1', device: 'gpu1/0', concurrency: 64 }]);
    expect(models['assistant.prefill']).toBeUndefined();
    expect(textOf('commands/assistant-router.sh')).toContain(
      'exec vllm-router --vllm-pd-disaggregation --kv-connector nixl --policy round_robin --prefill http://gpu1:9020 ' +
        '--decode http://gpu1:9000 --decode http://gpu1:9010 --host 0.0.0.0 --port 8080\n',
    );
    expect(made({ assistant: 'http://gpu1:8080' }).notes).toContainEqual(
      expect.stringContaining('assistant-router.sh'),
    );
    const documents = parseAllDocuments(textOf('kubernetes.yaml')).map((each) => each.toJS());
    const server = documents.find((each) => each.kind === 'Deployment' && each.metadata.name === 'assistant-gpu1-0');
    expect(server.spec.template.spec.containers[0].env).toEqual([
      { name: 'VLLM_NIXL_SIDE_CHANNEL_HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
      { name: 'VLLM_NIXL_SIDE_CHANNEL_PORT', value: '5600' },
    ]);
    // A worker serves the devices by which the models file has endpoints.
    const worker = documents.find((each) => each.kind === 'Deployment' && each.metadata.name === 'worker-gpu1');
    expect(worker.spec.template.spec.containers[0].env).toContainEqual({ name: 'MILLRACE_DEVICES', value: 'gpu1/0' });
  });

  it('is refused without a router, with a command that starts one', () => {
    expect(() => made({})).toThrow(
      /--router: assistant is served apart: .*"vllm-router --vllm-pd-disaggregation .*--prefill http:\/\/gpu1:9020.*--router assistant=http:/,
    );
    expect(() => made({ assistant: 'http://gpu1:8080/v1' })).toThrow(/give a URL without a path/);
  });
});
