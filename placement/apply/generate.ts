import { stringify } from 'yaml';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import { type PlacementDocument, servedModel } from '../document/index.js';
import type { Device, Inventory } from '../inventory/index.js';
import { routedPools, routerCommand, routerOf, sideChannelPort } from './apart.js';
import { calledBy } from './ensembles.js';
import { type ManifestOptions, manifestsOf } from './manifests.js';
import { labelsOf, modelsFile } from './models-file.js';
import { modelAt, type PoolBase } from './pool-base.js';
import { atCallable } from './running.js';
import { indexOf, type ModelServer, partOf, serversOf, threadsOf } from './servers.js';
import { shellLine } from './shell.js';
import { type OnDevice, tritonConfig } from './triton-config.js';
import { argumentOf, optionOf, POOLING, vllmArguments } from './vllm-arguments.js';

export interface ApplyOptions {
  /** The models file that configures the placement's pools. */
  readonly base: Readonly<Record<string, PoolBase>>;
  /** The author's configuration of a Triton model, by its name at the server. */
  readonly configOf: (model: string) => string | undefined;
  /** The same of a model that need not have one, as it is a part of an ensemble; default: `configOf`. */
  readonly configIfAny?: (model: string) => string | undefined;
  /** Device kinds that are CPUs; all others are GPUs. */
  readonly cpuKinds: ReadonlySet<string>;
  /** Folder or repository of a vLLM pool's weights; default: the model's name in the models file. */
  readonly weights: Readonly<Record<string, string>>;
  /** vLLM's `--speculative-config` by pool; absent: that of the placement. */
  readonly speculative: Readonly<Record<string, JsonObject>>;
  /** vLLM's `--tool-call-parser` by pool. */
  readonly toolParsers: Readonly<Record<string, string>>;
  /** URL of the router before a pool served apart. */
  readonly routers?: Readonly<Record<string, string>>;
  /** Further arguments of vLLM, by pool. */
  readonly vllmArguments?: Readonly<Record<string, readonly string[]>>;
  readonly kubernetes: Pick<
    ManifestOptions,
    | 'weightsClaim'
    | 'artifactsClaim'
    | 'images'
    | 'gpuResource'
    | 'modelsClaim'
    | 'temporal'
    | 'namespace'
    | 'taskQueue'
  >;
}

/** A file to be written, by its path relative to the version's folder. */
export interface GeneratedFile {
  readonly path: string;
  readonly text: string;
}

/** A model of the author's repository that a server needs as it is: a part of an ensemble. */
interface LinkedModel {
  /** Of its folder, relative to the version's folder. */
  readonly path: string;
  readonly model: string;
}

export interface Generated {
  readonly files: readonly GeneratedFile[];
  readonly linked: readonly LinkedModel[];
  /** The models file of `kubernetes.yaml`, as JSON: with the servers at the names of their Services. */
  readonly serviceModels: string;
  readonly servers: readonly ModelServer[];
  /** Warnings for the operator that the files cannot express. */
  readonly notes: readonly string[];
}

/** Folder of the model repository in a container. */
const CONTAINER_MODELS = '/models';

/**
 * All files for a placement's servers: for machines (`commands/`, with separate ports on each node, `models.json`) and
 * for Kubernetes (`kubernetes.yaml`); Triton's repositories in `triton/<server>/`. Throws `INVALID_PLACEMENT`.
 */
export function generate(document: PlacementDocument, inventory: Inventory, options: ApplyOptions): Generated {
  const { placement, notes } = atCallable(document, inventory, options.base);
  const servers = serversOf(placement, inventory, options.base);
  const isCpu = ({ devices: [first] }: ModelServer) => first !== undefined && options.cpuKinds.has(kindOf(first));
  const on = (server: ModelServer): OnDevice => (isCpu(server) ? 'cpu' : { gpu: 0 });
  const visible = (server: ModelServer) => visibleDevices(server, inventory, options.cpuKinds);
  const routed = routedPools(placement).map((pool) => ({
    pool,
    url: routerOf(pool, placement, servers, options.routers?.[pool.model]),
  }));
  const routers = new Map(routed.map(({ pool, url }) => [pool.model, url.origin]));
  const models = modelsFile(placement, servers, options.base, ({ node }) => node, routers);
  const serviceModels = json(modelsFile(placement, servers, options.base, ({ name }) => name, routers));
  const placementText = json(document as unknown as JsonObject);
  const manifests = manifestsOf(servers, {
    ...options.kubernetes,
    version: placement.version,
    modelsFile: serviceModels,
    placement: placementText,
    served: labelsOf(placement).flatMap((label) => inventory.devices.find(({ id }) => id === label) ?? []),
    configsOf: (server) => configs(server, on(server), options),
    commandOf: (server) => (server.type === 'vllm' ? vllm(server, options) : triton(server, CONTAINER_MODELS, options)),
    isCpu,
  });
  const parts = (server: ModelServer) => (server.type === 'triton' ? partsOn(server, options) : []);
  return {
    servers,
    linked: servers.flatMap((server) =>
      parts(server).map((model) => ({ path: `triton/${server.name}/${model}`, model })),
    ),
    serviceModels,
    notes: [
      ...notes,
      ...notesOn(servers),
      ...notesOnTriton(servers),
      ...notesOnVllm(servers, options),
      ...routed.map(({ pool }) => noteOnRouter(pool.model)),
    ],
    files: [
      { path: 'placement.json', text: placementText },
      { path: 'models.json', text: json(models) },
      ...servers.flatMap((server) => [
        {
          path: `commands/${server.name}.sh`,
          text: script(server, options, isCpu(server) ? undefined : visible(server)),
        },
        ...(server.type === 'triton'
          ? Object.entries(configs(server, on(server), options)).map(([model, text]) => ({
              path: `triton/${server.name}/${model}/config.pbtxt`,
              text,
            }))
          : []),
      ]),
      ...routed.map(({ pool, url }) => ({
        path: `commands/${pool.model}-router.sh`,
        text: routerScript(routerCommand(pool, placement, servers, url.port || '80'), url),
      })),
      { path: 'kubernetes.yaml', text: manifests.map((manifest) => stringify(manifest)).join('---\n') },
    ],
  };
}

/** A share of a device has the device's kind. */
const kindOf = ({ kind }: Device): string => kind.split(':', 1)[0] as string;
const isPart = ({ id, node }: Device): boolean => id.slice(node.length).includes('.');

/**
 * What a server may see, as CUDA_VISIBLE_DEVICES names it: the devices' ids from the inventory; without them the places
 * of whole GPUs among the node's GPUs. Throws `INVALID_PLACEMENT` for a part of a GPU without an id.
 */
function visibleDevices(server: ModelServer, { devices }: Inventory, cpuKinds: ReadonlySet<string>): readonly string[] {
  return server.devices.map((device) => {
    if (device.uuid !== undefined) return device.uuid;
    if (isPart(device)) {
      const field = `${server.name}: ${device.id}`;
      const message = `is a part of a GPU, which CUDA knows by its id only: give "uuids" in cluster.yaml (nvidia-smi -L)`;
      throw new MillraceError('INVALID_PLACEMENT', `${field} ${message}`, { fields: [{ field, message }] });
    }
    const gpus = devices.filter((each) => each.node === device.node && !cpuKinds.has(kindOf(each)));
    const places = [...new Set(gpus.map(indexOf))].sort((a, b) => a - b);
    return String(places.indexOf(indexOf(device)));
  });
}
const json = (value: JsonObject): string => `${JSON.stringify(value, null, 2)}\n`;

function configs(server: ModelServer, on: OnDevice, options: ApplyOptions): Record<string, string> {
  return Object.fromEntries(
    server.hosted.map(({ pool, instances, spans }) => {
      const name = modelAt(options.base, pool);
      return [name, tritonConfig(pool, spans && on !== 'cpu' ? 'gpus' : on, instances, options.configOf(name))];
    }),
  );
}

/** Models that the server's ensembles call, beside those that are placed there. */
const partsOn = ({ hosted }: ModelServer, { base, configOf, configIfAny = configOf }: ApplyOptions) =>
  calledBy(
    hosted.map(({ pool }) => modelAt(base, pool)),
    configIfAny,
  );

/**
 * Ports as recorded for the server; models are loaded explicitly by name, so that a broken one can be unloaded and
 * loaded again.
 */
const triton = ({ port, hosted }: ModelServer, repository: string, options: ApplyOptions): string[] => [
  'tritonserver',
  `--model-repository=${repository}`,
  '--model-control-mode=explicit',
  ...hosted.map(({ pool }) => `--load-model=${modelAt(options.base, pool)}`),
  ...[`--http-port=${port}`, `--grpc-port=${port + 1}`, `--metrics-port=${port + 2}`],
];

const contextOf = ({ base }: ApplyOptions, model: string): number | undefined => {
  const tokens = base[model]?.contextTokens;
  return typeof tokens === 'number' ? tokens : undefined;
};

const kindOfPool = ({ base }: ApplyOptions, model: string): string => base[model]?.kind ?? 'chat';

function vllm(server: ModelServer, options: ApplyOptions): string[] {
  const {
    hosted: [only],
    devices: [first],
    port,
    memoryBytes,
    cacheTokens,
    tokenBytes,
    reservedBytes,
    chunkTokens = only?.pool.chunkTokens,
    parallel,
  } = server;
  if (only === undefined || first === undefined) return [];
  const model = servedModel(only.pool);
  // Both parts of a model have its name: the router sends them the same call.
  const pool = { ...only.pool, model, ...(parallel && { parallel }) };
  return [
    'vllm',
    ...vllmArguments(pool, {
      weights: options.weights[model] ?? modelAt(options.base, pool),
      servedAs: modelAt(options.base, pool),
      kind: kindOfPool(options, model),
      replicaBytes: memoryBytes,
      cacheTokens,
      tokenBytes,
      reservedBytes,
      chunkTokens,
      contextTokens: contextOf(options, model),
      more: options.vllmArguments?.[model],
      deviceMemoryBytes: first.memoryBytes,
      port,
      speculative: options.speculative[model] ?? only.pool.speculative,
      toolParser: options.toolParsers[model],
    }),
  ];
}

/** Script to be run on the server's node, in the version's folder. */
function script(server: ModelServer, options: ApplyOptions, gpus: readonly string[] | undefined): string {
  const { name, node, type } = server;
  const command = type === 'vllm' ? vllm(server, options) : triton(server, `triton/${name}`, options);
  const threads = threadsOf(server);
  // Each server sees its own devices only, from 0. Places are those of nvidia-smi, which orders by bus.
  const own = [
    ...(gpus ? ['CUDA_DEVICE_ORDER=PCI_BUS_ID', `CUDA_VISIBLE_DEVICES=${gpus.join(',')}`] : []),
    ...(threads === undefined ? [] : [`CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=${threads}`]),
    ...(partOf(server)
      ? [`VLLM_NIXL_SIDE_CHANNEL_HOST=${node}`, `VLLM_NIXL_SIDE_CHANNEL_PORT=${sideChannelPort(server)}`]
      : []),
  ];
  const seen = own.length > 0 ? ['env', ...own] : [];
  return `#!/bin/sh\n# ${name}, on ${node}\nexec ${shellLine([...seen, ...command])}\n`;
}

const routerScript = (command: string, { host }: URL): string =>
  `#!/bin/sh\n# The router at ${host}: of the vLLM project, not part of Millrace. Start it when its servers answer.\nexec ${command}\n`;

const noteOnRouter = (model: string): string =>
  `${model} is served apart: commands/${model}-router.sh starts its router (pip install vllm-router), and every vLLM of it needs NIXL (pip install nixl)`;

function notesOn(servers: readonly ModelServer[]): string[] {
  const byDevice = new Map<string, string[]>();
  for (const { name, devices } of servers)
    for (const { id } of devices) byDevice.set(id, [...(byDevice.get(id) ?? []), name]);
  const shared = [...byDevice].filter(([, names]) => names.length > 1);
  const parts = servers.flatMap(({ devices }) => devices).filter(({ kind }) => kind.includes(':'));
  return [
    ...shared.map(
      ([id, names]) =>
        `${names.join(' and ')} share ${id}: Kubernetes gives a GPU to one container only, unless its device plugin shares it`,
    ),
    ...[
      ...new Set(
        parts.map(({ id, kind }) =>
          kind.includes(':mps')
            ? `${id} is shared by MPS (${kind}): start nvidia-cuda-mps-control -d on its node before its servers; in Kubernetes let the device plugin share it`
            : `${id} is a part (${kind}): partition the GPU, and give its resource's name`,
        ),
      ),
    ],
  ];
}

/** An LLM's engine has its batch, devices and memory from files that only its author knows. */
function notesOnTriton(servers: readonly ModelServer[]): string[] {
  const hosted = servers.flatMap((server) => (server.type === 'triton' ? server.hosted : []));
  const llms = [...new Set(hosted.map(({ pool }) => pool))].filter(({ batching }) => batching === 'continuous');
  return llms.map(({ model, maxBatch, parallel: usual, replicas }) => {
    const ways = replicas.map(
      ({ parallel: { tensor, pipeline } = usual }) => `tensor parallelism ${tensor}, pipeline parallelism ${pipeline}`,
    );
    return `${model}: Triton leaves batches to the LLM's backend, whose own configuration apply does not write: state ${maxBatch} sequences there, ${[...new Set(ways)].join(' or ')}, and its part of the device's memory (vLLM's model.json: max_num_seqs, tensor_parallel_size, pipeline_parallel_size, gpu_memory_utilization)`;
  });
}

function notesOnVllm(servers: readonly ModelServer[], options: ApplyOptions): string[] {
  const started = servers.filter(({ type }) => type === 'vllm');
  const hosted = started.flatMap((server) => server.hosted);
  return [...new Set(hosted.map(({ pool }) => servedModel(pool)))].flatMap((model) => {
    const own = started.filter((server) => server.hosted.some(({ pool }) => servedModel(pool) === model));
    const onRoom = [...notesOnLength(model, own, options), ...notesOnMemory(model, own, options)];
    if (kindOfPool(options, model) !== 'chat') return onRoom;
    const more = options.vllmArguments?.[model] ?? [];
    const knows = (option: string) => more.some((word) => word.startsWith('--') && optionOf(word) === option);
    const isCounted = hosted.some(({ pool }) => servedModel(pool) === model && pool.prefixCache !== undefined);
    return [
      ...onRoom,
      ...(options.toolParsers[model] === undefined && !knows('--tool-call-parser')
        ? [`${model}: vLLM refuses calls with tools, unless --tool-parser says how its model writes them`]
        : []),
      ...(contextOf(options, model) === undefined && !knows('--max-model-len')
        ? [
            `${model}: vLLM does not start if the model's own context exceeds its cache; state contextTokens in the models file, or --vllm-args ${model}='--max-model-len <tokens>'`,
          ]
        : []),
      ...(isCounted && knows('--no-enable-prefix-caching')
        ? [`${model}: the prediction counts on prefix caches, and --vllm-args ${model} switches them off`]
        : []),
    ];
  });
}

/** The plan counts calls as served that the cache holds as planned; vLLM starts with a shorter length, and refuses those beyond it. */
function notesOnLength(model: string, servers: readonly ModelServer[], options: ApplyOptions): string[] {
  const context = contextOf(options, model) ?? 0;
  const longest = Math.min(...servers.map((server) => Number(argumentOf(vllm(server, options), '--max-model-len'))));
  if (!(longest < context)) return [];
  return [
    `${model}: vLLM refuses calls of more than ${longest} tokens (--max-model-len), of which the plan may count some as served; its contextTokens are ${context}: state fewer, or place it with more memory`,
  ];
}

/** Where a placement does not say what a vLLM needs beside its weights, the servers may not start. */
function notesOnMemory(model: string, servers: readonly ModelServer[], options: ApplyOptions): string[] {
  const kind = kindOfPool(options, model);
  const more = options.vllmArguments?.[model] ?? [];
  const isOwn = (option: string) => argumentOf(more, option) !== undefined;
  const inProfile = servers.find(({ memoryBytes }) => memoryBytes === undefined);
  const uncounted = servers.find(({ cacheTokens }) => cacheTokens === undefined);
  const length = uncounted && argumentOf(vllm(uncounted, options), '--max-model-len');
  return [
    ...(inProfile && !isOwn('--gpu-memory-utilization')
      ? [
          `${model}: vLLM gets ${argumentOf(vllm(inProfile, options), '--gpu-memory-utilization')} of its device: the memory that its profile states, and 2 %. Beside the weights it needs some GiB for activations, CUDA graphs and a key-value cache: if the profile states the weights only, state all of it with --memory ${model}=<amount> and place again, or pass --vllm-args ${model}='--gpu-memory-utilization <share>'`,
        ]
      : []),
    // An embedder or a reranker may have no cache.
    ...(length !== undefined && !POOLING.has(kind) && !isOwn('--max-model-len')
      ? [
          `${model}: vLLM does not start if its cache holds less than ${length} tokens (contextTokens), and the placement does not know how many it holds: ${kind === 'chat' ? `profile it with --per-token ${model}=<amount>, or ` : ''}state fewer`,
        ]
      : []),
  ];
}
