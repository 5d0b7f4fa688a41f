import type { IScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment';
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap';
import type { IContainer } from 'kubernetes-models/v1/Container';
import type { IService } from 'kubernetes-models/v1/Service';
import type { IVolume } from 'kubernetes-models/v1/Volume';
import type { Device } from '../inventory/index.js';
import { sideChannelPort } from './apart.js';
import { nameFor } from './names.js';
import { type ModelServer, partOf } from './servers.js';

export type Manifest = IConfigMap | IDeployment | IScaledObject | IService;

export interface ManifestOptions {
  readonly version: string;
  readonly taskQueue: string;
  readonly images: { readonly triton: string; readonly vllm: string; readonly millrace: string };
  /** Resource name by which a GPU is requested. */
  readonly gpuResource: string;
  /** Claim of the volume that holds Triton's model repository. */
  readonly modelsClaim: string;
  /** Claim of the volume with the weights that vLLM loads or caches, mounted at /weights; absent: none. */
  readonly weightsClaim?: string | undefined;
  /** Claim of the volume with the artifact store, mounted in the workers at /artifacts; absent: none. */
  readonly artifactsClaim?: string | undefined;
  /** Host and port of Temporal, for workers and the scaler. */
  readonly temporal: string;
  readonly namespace: string;
  readonly modelsFile: string;
  readonly placement: string;
  /** The devices that workers serve: those by which the models file labels its endpoints. */
  readonly served: readonly Pick<Device, 'id' | 'node'>[];
  /** Configurations of each Triton server, by model. */
  readonly configsOf: (server: ModelServer) => Readonly<Record<string, string>>;
  readonly commandOf: (server: ModelServer) => readonly string[];
  readonly isCpu: (server: ModelServer) => boolean;
}

/** Waiting runs per shared worker before another worker is started. */
const BACKLOG_PER_WORKER = 20;
const MOST_WORKERS = 10;
/** Time for stages to end when a worker is stopped; Temporal gives the remaining ones to another worker. */
const WORKER_GRACE_SECONDS = 30;
/** Further settings of workers, REDIS_URL and keys, in a secret that the operator creates. */
const ENVIRONMENT = 'millrace-env';
/** Settings of vLLM, such as HF_TOKEN, in a secret that the operator creates. */
const VLLM_ENVIRONMENT = 'vllm-env';
const WEIGHTS = '/weights';
const ARTIFACTS = '/artifacts';
/** Requested for each server beside its devices: its own process, and buffers of requests. */
const CPUS = '2';
const HOST_MEMORY = '8Gi';
const SHARED_MEMORY = '8Gi';
const STARTUP_SECONDS = 1_800;
/** Of a worker’s `/healthz`, `/readyz` and `/metrics`. */
const WORKER_PORT = 7401;
/** A worker that has not started by then, or that does not answer for so long, is started again. */
const WORKER_START_SECONDS = 120;
const WORKER_SILENT_SECONDS = 60;
const PROBE_SECONDS = 10;
const CONFIG = 'millrace-placement';
const CONFIG_FOLDER = '/etc/millrace';

/**
 * Manifests of a placement: each model server with its GPUs on its node, a service for it, a worker on each node for
 * its devices, and workers for everything else, which KEDA's Temporal scaler scales by the backlog of their queue.
 */
export function manifestsOf(servers: readonly ModelServer[], options: ManifestOptions): Manifest[] {
  const { modelsFile, placement, version, served } = options;
  const nodes = [...new Set(served.map(({ node }) => node))];
  const names = new Set([...servers.map(({ name }) => name), 'worker']);
  const data = { 'models.json': modelsFile, 'placement.json': placement };
  return [
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata(CONFIG, version), data },
    ...servers.flatMap((server) => serverManifests(server, options)),
    ...nodes.map((node) => {
      const devices = served.filter((device) => device.node === node).map(({ id }) => id);
      const env = [{ name: 'MILLRACE_DEVICES', value: devices.join(',') }];
      const name = nameFor(`worker-${node}`, names);
      names.add(name);
      return worker(name, options, { env, replicas: 1 });
    }),
    worker('worker', options, { env: [], replicas: 1 }),
    scaler('worker', options),
  ];
}

function serverManifests(server: ModelServer, options: ManifestOptions): Manifest[] {
  const { name, type, node, port, devices } = server;
  const { images, gpuResource, modelsClaim, weightsClaim, version } = options;
  const triton = type === 'triton';
  const configs = triton ? options.configsOf(server) : {};
  const gpus = options.isCpu(server) ? {} : { [gpuResource]: devices.length };
  const ports = triton ? { http: port, grpc: port + 1, metrics: port + 2 } : { http: port };
  const probe = { httpGet: { path: triton ? '/v2/health/ready' : '/health', port: 'http' as const }, periodSeconds: 5 };
  const container: IContainer = {
    name: type,
    image: triton ? images.triton : images.vllm,
    command: [...options.commandOf(server)],
    ports: Object.entries(ports).map(([of, containerPort]) => ({ name: of, containerPort })),
    resources: { requests: { cpu: CPUS, memory: HOST_MEMORY }, limits: gpus },
    // HF_TOKEN of the secret loads weights that need a licence; the volume keeps them.
    ...(!triton && {
      env: [
        ...(weightsClaim === undefined ? [] : [{ name: 'HF_HOME', value: WEIGHTS }]),
        ...(partOf(server) ? sideChannel(sideChannelPort(server)) : []),
      ],
      envFrom: [{ secretRef: { name: VLLM_ENVIRONMENT, optional: true } }],
    }),
    // Loading takes minutes; a server that is not up by then is started again.
    startupProbe: { ...probe, failureThreshold: STARTUP_SECONDS / 5 },
    readinessProbe: probe,
    volumeMounts: [
      // A model of several instances or processes shares memory, of which a container has 64 MiB by default.
      { name: 'shm', mountPath: '/dev/shm' },
      ...(triton ? [{ name: 'models', mountPath: '/models' }] : []),
      ...(!triton && weightsClaim !== undefined ? [{ name: 'weights', mountPath: WEIGHTS }] : []),
      ...Object.keys(configs).map((model) => ({
        name: 'configs',
        mountPath: `/models/${model}/config.pbtxt`,
        subPath: model,
      })),
    ],
  };
  const volumes: IVolume[] = [
    { name: 'shm', emptyDir: { medium: 'Memory', sizeLimit: SHARED_MEMORY } },
    ...(triton
      ? [
          { name: 'models', persistentVolumeClaim: { claimName: modelsClaim } },
          { name: 'configs', configMap: { name } },
        ]
      : []),
    ...(!triton && weightsClaim !== undefined
      ? [{ name: 'weights', persistentVolumeClaim: { claimName: weightsClaim } }]
      : []),
  ];
  const selector = { app: name };
  return [
    ...(triton
      ? [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: metadata(name, version), data: configs } satisfies IConfigMap]
      : []),
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: metadata(name, version),
      spec: {
        replicas: 1,
        // The device exists once: the new server can start only after the old one has ended.
        strategy: { type: 'Recreate' },
        selector: { matchLabels: selector },
        template: {
          metadata: { labels: { ...selector, 'millrace/placement': version } },
          spec: { nodeSelector: { 'kubernetes.io/hostname': node }, containers: [container], volumes },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: metadata(name, version),
      spec: { selector, ports: Object.entries(ports).map(([of, each]) => ({ name: of, port: each })) },
    },
  ];
}

/** Partners ask a server for its memory at its pod’s own address: a service has none that stays for a transfer. */
const sideChannel = (port: number) => [
  { name: 'VLLM_NIXL_SIDE_CHANNEL_HOST', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
  { name: 'VLLM_NIXL_SIDE_CHANNEL_PORT', value: String(port) },
];

function worker(
  name: string,
  { images, taskQueue, temporal, namespace, version, artifactsClaim }: ManifestOptions,
  { env, replicas }: { env: { name: string; value: string }[]; replicas: number },
): IDeployment {
  const settings = {
    MILLRACE_TASK_QUEUE: taskQueue,
    TEMPORAL_ADDRESS: temporal,
    TEMPORAL_NAMESPACE: namespace,
    MILLRACE_MODELS: `${CONFIG_FOLDER}/models.json`,
    // By default only the pod itself reaches it.
    MILLRACE_WORKER_METRICS_HOST: '0.0.0.0',
    MILLRACE_WORKER_METRICS_PORT: String(WORKER_PORT),
    ...(artifactsClaim !== undefined && { MILLRACE_HOME: ARTIFACTS }),
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: metadata(name, version),
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name, 'millrace/placement': version } },
        spec: {
          terminationGracePeriodSeconds: WORKER_GRACE_SECONDS,
          containers: [
            {
              name: 'worker',
              image: images.millrace,
              args: ['npx', 'millrace', 'worker'],
              env: [...Object.entries(settings).map(([key, value]) => ({ name: key, value })), ...env],
              envFrom: [{ secretRef: { name: ENVIRONMENT, optional: true } }],
              ports: [{ name: 'probes', containerPort: WORKER_PORT }],
              startupProbe: { ...workerProbe('/healthz'), failureThreshold: WORKER_START_SECONDS / PROBE_SECONDS },
              livenessProbe: { ...workerProbe('/healthz'), failureThreshold: WORKER_SILENT_SECONDS / PROBE_SECONDS },
              readinessProbe: workerProbe('/readyz'),
              volumeMounts: [
                { name: 'config', mountPath: CONFIG_FOLDER },
                ...(artifactsClaim === undefined ? [] : [{ name: 'artifacts', mountPath: ARTIFACTS }]),
              ],
            },
          ],
          volumes: [
            { name: 'config', configMap: { name: CONFIG } },
            ...(artifactsClaim === undefined
              ? []
              : [{ name: 'artifacts', persistentVolumeClaim: { claimName: artifactsClaim } }]),
          ],
        },
      },
    },
  };
}

const workerProbe = (path: string) => ({
  httpGet: { path, port: 'probes' },
  periodSeconds: PROBE_SECONDS,
  timeoutSeconds: PROBE_SECONDS / 2,
});

const scaler = (name: string, { taskQueue, temporal, namespace, version }: ManifestOptions): IScaledObject => ({
  apiVersion: 'keda.sh/v1alpha1',
  kind: 'ScaledObject',
  metadata: metadata(name, version),
  spec: {
    scaleTargetRef: { name },
    minReplicaCount: 1,
    maxReplicaCount: MOST_WORKERS,
    triggers: [
      {
        type: 'temporal',
        metadata: {
          endpoint: temporal,
          namespace,
          taskQueue,
          queueTypes: 'workflow,activity',
          targetQueueSize: String(BACKLOG_PER_WORKER),
        },
      },
    ],
  },
});

const metadata = (name: string, version: string) => ({ name, labels: { app: name, 'millrace/placement': version } });
