import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Service } from 'kubernetes-models/v1/Service';
import { describe, expect, it, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { generate } from '../../../../placement/apply/index.js';
import { blocksOf, fieldNames, withFields } from '../../../../placement/apply/pbtxt.js';
import { tritonConfig, withBatchSettings } from '../../../../placement/apply/triton-config.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { placedPool, placementOf } from '../../../support/placements.js';
import { base, GIB, generated, inventory, options, text } from './generated.js';

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

  it('keeps comments among the fields of a group and of a queue without losing what follows them', () => {
    const merged = configOf(
      'max_batch_size: 8\ninstance_group [ {\n  count: 1 # one a GPU\n  rate_limiter { }\n} ]\n' +
        'dynamic_batching { default_queue_policy {\n  max_queue_size: 4 # few\n  timeout_action: DELAY\n} }\n',
    );
    const [group = ''] = blocksOf(merged, 'instance_group');
    expect([...fieldNames(group)].sort()).toEqual(['count', 'gpus', 'kind', 'rate_limiter']);
    const [policy = ''] = blocksOf(blocksOf(merged, 'dynamic_batching')[0] ?? '', 'default_queue_policy');
    expect([...fieldNames(policy)].sort()).toEqual(['max_queue_size', 'timeout_action']);
  });

  it('leaves no separator where a field was that it replaces', () => {
    const merged = configOf(
      'max_batch_size: 64,\ninstance_group [ { kind: KIND_GPU, count: 1 } ],\n' +
        'dynamic_batching { preferred_batch_size: [ 4, 8 ], priority_levels: 2, max_queue_delay_microseconds: 5; },\n' +
        'parameters { key: "a, b", value: { string_value: "c;" } }',
    );
    expect(merged).toContain('instance_group [ { count: 2 kind: KIND_GPU gpus: [ 0 ] } ]');
    expect(merged).toContain('parameters { key: "a, b", value: { string_value: "c;" } }');
    expect(blocksOf(merged, 'dynamic_batching')[0]).toMatch(/^\s*priority_levels: 2\n/);
    expect(merged).not.toMatch(/(^|[{,;\n])\s*[,;]/);
    const searched = withBatchSettings('instance_group [ { count: 1, kind: KIND_CPU } ]', { instances: 3 });
    expect(searched).toBe('instance_group [ { kind: KIND_CPU count: 3 } ]\n');
  });

  test.each([
    ['a: 1 b: 2', 'b: 2\na: 9\n'],
    ['a { x: "}" } # a: 3\nb: "a: 1"', '# a: 3\nb: "a: 1"\na: 9\n'],
    ['a [ { c: 1 }, { c: 2 } ]\nb: [1, 2]; a: "x\\"y"', 'b: [1, 2]\na: 9\n'],
    ['a: 1, b: 2, c: 3', 'b: 2 c: 3\na: 9\n'],
    ['b: "x, y",c: 3; # one, two;\na: 1;', 'b: "x, y" c: 3 # one, two;\na: 9\n'],
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

  it('gives a vLLM a port of its pool, whichever others are beside it', () => {
    const openai = (model: string, kind: string) => ({ connector: 'openai', model, kind });
    const known = { whisper: base.whisper, e: openai('e', 'embed'), r: openai('r', 'rerank') };
    const portsOf = (e: readonly string[], r: readonly string[]) => {
      const pools = [
        placedPool(
          'e',
          e.map((id) => [id]),
        ),
        placedPool(
          'r',
          r.map((id) => [id]),
        ),
      ];
      const { servers, files } = generate(placementOf(pools), inventory, { ...options, base: known });
      const { endpoints } = JSON.parse(files.find(({ path }) => path === 'models.json')?.text ?? '').r;
      expect(endpoints).toMatchObject(r.map(() => ({ url: 'http://gpu1:9001/v1' })));
      return Object.fromEntries(servers.map(({ name, port }) => [name, port]));
    };
    // One hour after another: the reranker goes on, and none of the servers that start beside it has its port.
    expect(portsOf(['gpu1/0'], ['gpu1/0'])).toEqual({ 'e-gpu1-0': 9000, 'r-gpu1-0': 9001 });
    expect(portsOf(['gpu1/1'], ['gpu1/0'])).toEqual({ 'e-gpu1-1': 9010, 'r-gpu1-0': 9001 });
    expect(portsOf(['gpu1/0', 'gpu1/0'], ['gpu1/0'])).toEqual({
      'e-gpu1-0': 9000,
      'e-gpu1-0-2': 9002,
      'r-gpu1-0': 9001,
    });
    // More than the ports that are left between those of the others: each has one nevertheless.
    const many = portsOf(
      Array.from({ length: 9 }, () => 'gpu1/0'),
      ['gpu1/0'],
    );
    expect(Object.values(many).toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => 9000 + i));
  });

  it('names each server as a cluster takes it, and no two alike', () => {
    const node = 'gke-my-cluster-gpu-pool-a100-1b2c3d4e-abcd';
    const devices = '[{ kind: a100, count: 2, memory: 80GiB }]';
    const nodes = [node, 'a.lan', 'a-lan'].map((name) => `{ name: ${name}, devices: ${devices} }`).join(', ');
    const known = readInventory(`format: 1\nnodes: [${nodes}]\n`);
    const llm = (model: string, ...on: readonly string[]) =>
      placedPool(
        model,
        on.map((id) => [id]),
        { batching: 'continuous' },
      );
    const long = llm('llama-3-1-70b-instruct', `${node}/0`, `${node}/1`);
    const pools = [long, llm('8b-chat', 'a.lan/0', 'a-lan/0'), llm('_x', 'a.lan/1')];
    const own = Object.fromEntries(pools.map(({ model }) => [model, base.assistant]));
    const { servers, files } = generate(placementOf(pools), known, { ...options, base: own });
    const [first = '', second = '', ...others] = servers.map(({ name }) => name);
    expect(first).toMatch(/^llama-3-1-70b-instruct-gke-my-cluster-gpu-pool-a100-1b[0-9a-z]*-[0-9a-f]{8}$/);
    expect(second.slice(0, 54)).toBe(first.slice(0, 54));
    expect([first.length, second.length, first === second]).toEqual([63, 63, false]);
    expect(others).toEqual([
      'm-8b-chat-a-lan-0',
      expect.stringMatching(/^m-8b-chat-a-lan-0-[0-9a-f]{8}$/),
      'x-a-lan-1',
    ]);
    const manifests = files.find(({ path }) => path === 'kubernetes.yaml')?.text ?? '';
    const made = parseAllDocuments(manifests).map((document) => document.toJS() as Manifest);
    const names = made.filter(({ kind }) => kind === 'Deployment').map(({ metadata }) => metadata.name);
    expect(new Set(names).size).toBe(5 + 3 + 1);
    for (const name of names) expect(name).toMatch(/^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/);
    expect(manifests).toContain('kubernetes.io/hostname: a.lan\n');
    const models = JSON.parse(files.find(({ path }) => path === 'models.json')?.text ?? '');
    expect(models._x.endpoints).toEqual([{ url: 'http://a.lan:9012/v1', device: 'a.lan/1', concurrency: 8 }]);
  });

  it('has each of the servers of an LLM with several replicas on a device, which share its memory', () => {
    const replica = { devices: ['gpu1/0'], queue: 'q', memoryBytes: 36 * GIB, cacheTokens: 1_000 };
    const replicas = [replica, { ...replica, devices: ['gpu1/1'] }, replica];
    const llm = placedPool('assistant', [], { batching: 'continuous', memoryBytes: 20 * GIB, replicas });
    const { files, servers } = generate(placementOf([llm]), inventory, options);
    const named = { 'assistant-gpu1-0': 9000, 'assistant-gpu1-1': 9010, 'assistant-gpu1-0-2': 9002 };
    expect(Object.fromEntries(servers.map(({ name, port }) => [name, port]))).toEqual(named);
    for (const [name, port] of Object.entries(named)) {
      const command = files.find(({ path }) => path === `commands/${name}.sh`)?.text;
      expect(command).toContain(`--port ${port} --gpu-memory-utilization 0.45`);
    }
    const models = JSON.parse(files.find(({ path }) => path === 'models.json')?.text ?? '');
    expect(models.assistant.endpoints).toEqual([
      { url: 'http://gpu1:9000/v1', device: 'gpu1/0', concurrency: 8 },
      { url: 'http://gpu1:9010/v1', device: 'gpu1/1', concurrency: 8 },
      { url: 'http://gpu1:9002/v1', device: 'gpu1/0', concurrency: 8 },
    ]);
  });

  it('uses servers that run already', () => {
    const running = placedPool('whisper', [], {
      replicas: [{ devices: ['gpu1/2'], queue: 'device.gpu1.2', endpoint: 'there:8001' }],
    });
    const { files, servers } = generate(placementOf([running]), inventory, options);
    expect(servers).toEqual([]);
    const models = JSON.parse(files.find(({ path }) => path === 'models.json')?.text ?? '');
    expect(models.whisper.endpoints).toEqual([{ url: 'there:8001', device: 'gpu1/2', concurrency: 8 }]);
    // Their calls wait in the queues of their devices for workers.
    const manifests = files.find(({ path }) => path === 'kubernetes.yaml')?.text ?? '';
    expect(manifests).toMatch(/name: worker-gpu1\n[\s\S]*- name: MILLRACE_DEVICES\n +value: gpu1\/2\n/);
  });

  it('uses none of another connector, unless the inventory says that it serves the pool', () => {
    const at = (url: string, connector: string, models: string[] = []) => ({
      url,
      connector,
      device: 'gpu1/2',
      models,
    });
    const triton = at('there:8001', 'triton');
    const replica = { devices: ['gpu1/2'], queue: 'q', endpoint: triton.url };
    const replicas = [replica, replica];
    const placement = placementOf([placedPool('assistant', [], { batching: 'continuous', replicas })]);
    const made = (...endpoints: ReturnType<typeof at>[]) => {
      const { files, servers, notes } = generate(placement, { ...inventory, endpoints }, options);
      const textOf = (end: string) => files.find(({ path }) => path === end)?.text ?? '';
      expect(JSON.parse(textOf('placement.json'))).toEqual(placement);
      const [{ url }] = JSON.parse(textOf('models.json')).assistant.endpoints;
      const said = notes.filter((note) => note.includes('there:8001 is a server of the connector triton'));
      return [url, servers.map(({ name }) => name), said.length];
    };
    expect(made(triton)).toEqual(['http://gpu1:9020/v1', ['assistant-gpu1-2', 'assistant-gpu1-2-2'], 1]);
    expect(made(triton, at('http://v/v1', 'openai', ['other']))).toEqual(made(triton));
    expect(made(triton, at('http://v/v1', 'openai'))).toEqual(['http://v/v1', [], 1]);
    for (const known of [[at(triton.url, 'triton', ['assistant'])], [at(triton.url, 'openai')], []])
      expect(made(...known)).toEqual([triton.url, [], 0]);
  });

  test.each([
    ['a device that the inventory has not', placedPool('whisper', [['gpu9/0']]), 'gpu9/0 is not in the inventory'],
    ['a pool that the models file has not', placedPool('nobody', [['cpu1/0']]), 'has the name nobody'],
    [
      'more vLLM on one device than it has ports',
      placedPool(
        'assistant',
        Array.from({ length: 11 }, () => ['gpu1/0']),
        { batching: 'continuous' },
      ),
      'pools.assistant.replicas.10: gpu1/0 has more than 10 servers of vLLM',
    ],
  ])('is refused %s', (_, pool, message) => {
    expect(() => generate(placementOf([pool]), inventory, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_PLACEMENT', message: expect.stringContaining(message) }),
    );
  });
});

const KINDS = { ConfigMap, Deployment, Service, ScaledObject } as const;
type Manifest = { kind: keyof typeof KINDS; metadata: { name: string }; spec?: never; data?: Record<string, string> };

describe('Kubernetes', () => {
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

  it('starts workers as their image is described, and asks each whether it is alive and takes tasks', () => {
    for (const name of ['worker-gpu1', 'worker']) {
      const asked = (path: string) => ({ httpGet: { path, port: 'probes' } });
      const container = {
        args: ['npx', 'millrace', 'worker'],
        env: expect.arrayContaining([
          // On loopback, its default, no probe and no Prometheus reaches it.
          { name: 'MILLRACE_WORKER_METRICS_HOST', value: '0.0.0.0' },
          { name: 'MILLRACE_WORKER_METRICS_PORT', value: '7401' },
        ]),
        ports: [{ name: 'probes', containerPort: 7401 }],
        startupProbe: asked('/healthz'),
        livenessProbe: asked('/healthz'),
        readinessProbe: asked('/readyz'),
      };
      expect(named('Deployment', name)).toMatchObject({ spec: { template: { spec: { containers: [container] } } } });
    }
  });

  it('has workers for the devices of each node, and scales the others by their queue’s backlog', () => {
    expect(JSON.stringify(named('Deployment', 'worker-gpu1'))).toContain(
      JSON.stringify({ name: 'MILLRACE_DEVICES', value: 'gpu1/2,gpu1/0' }),
    );
    expect(named('ScaledObject', 'worker')).toMatchObject({
      spec: { triggers: [{ type: 'temporal', metadata: { taskQueue: 'millrace', endpoint: 'temporal:7233' } }] },
    });
    const models = JSON.parse(named('ConfigMap', 'millrace-placement')?.data?.['models.json'] ?? '');
    expect(models).toEqual(JSON.parse(generated.serviceModels));
    expect(models.assistant.endpoints[0].url).toBe('http://assistant-gpu1-0:9000/v1');
  });
});
