import { Redis } from 'ioredis';
import { down, up } from '../../deploy/local/stack/index.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { cutOff } from './cuts.js';
import { deploy } from './deploy.js';
import type { Incident } from './incidents.js';
import { isReady, killPart, killProcess, PARTS } from './kills.js';
import { Link } from './link.js';
import { failingReplica, outage } from './outages.js';
import { ChaosProcess } from './process.js';
import { FaultyProxy } from './proxy.js';
import { Receiver } from './receiver.js';
import { Replica } from './replica.js';
import { Seeded } from './seeded.js';
import { LINK_PORTS, METRICS_PORTS, PROXY_PORTS, REPLICA_PORT, settings } from './settings.js';
import { failedOver, flushed, full } from './state-store.js';
import type { StruckCalls } from './struck-calls.js';
import type { Start } from './verdict.js';

const HOST = '127.0.0.1';

export interface SceneOptions {
  readonly seed: number;
  /** Whether Triton and the LLM server are present, and which of their calls are struck. */
  readonly models: { readonly triton: StruckCalls; readonly llm: StruckCalls } | undefined;
  /** Whether there is a second LLM server. */
  readonly withReplica: boolean;
  readonly onCall: (start: Start) => void;
  readonly onFailedAttempt: (stage: string, code: string) => void;
}

/** All participants: the stack, two workers and a gateway in processes of their own, and the proxies between them. */
export class Scene {
  readonly receiver: Receiver;
  readonly temporal: string;
  readonly base = gatewayUrl(settings);
  readonly processes: readonly ChaosProcess[];
  /** Keeps the release that a deploy has replaced, for the runs that began under it. */
  readonly #old: ChaosProcess;
  readonly #seed: number;
  readonly #redis: Redis;
  readonly replica: Replica | undefined;
  readonly #links: Links;
  readonly #closing: readonly { close(): void }[];

  private constructor(
    { seed }: SceneOptions,
    parts: {
      readonly receiver: Receiver;
      readonly temporal: string;
      readonly processes: readonly ChaosProcess[];
      readonly old: ChaosProcess;
      readonly links: Links;
      readonly proxies: readonly FaultyProxy[];
      readonly replica: Replica | undefined;
    },
  ) {
    this.#seed = seed;
    this.receiver = parts.receiver;
    this.temporal = parts.temporal;
    this.processes = parts.processes;
    this.#old = parts.old;
    this.replica = parts.replica;
    this.#links = parts.links;
    this.#redis = new Redis(settings.MILLRACE_REDIS_PORT, HOST).on('error', () => undefined);
    this.#closing = [
      parts.receiver,
      ...Object.values(parts.links),
      ...parts.proxies,
      ...(parts.replica ? [parts.replica] : []),
    ];
  }

  static async open(options: SceneOptions): Promise<Scene> {
    const { models, withReplica, onCall } = options;
    const redisParts = ['temporal', 'redis', 'redis-index', 'redis-cache'] as const;
    const { temporal } = await up({ settings, parts: models ? [...redisParts, 'triton', 'llm'] : redisParts });
    const behind = (port: number, target: number, protocol: 'http1' | 'http2', faults: StruckCalls) =>
      FaultyProxy.open({ port, target, protocol, faults, onCall });
    const proxies = models
      ? [
          await behind(PROXY_PORTS.triton, settings.MILLRACE_TRITON_GRPC_PORT, 'http2', models.triton),
          await behind(PROXY_PORTS.llm, LINK_PORTS.llm, 'http1', models.llm),
        ]
      : [];
    const target = PROXY_PORTS.llm;
    const replica = withReplica ? await Replica.open({ port: REPLICA_PORT, target, onCall }) : undefined;
    const links = {
      redis: await Link.open({ port: LINK_PORTS.redis, target: settings.MILLRACE_REDIS_PORT }),
      temporal: await Link.open({ port: LINK_PORTS.temporal, target: settings.MILLRACE_TEMPORAL_PORT }),
      llm: await Link.open({ port: LINK_PORTS.llm, target: settings.MILLRACE_LLM_PORT }),
    };
    const { processes, old } = processesOf(options);
    const receiver = await Receiver.open();
    const scene = new Scene(options, { receiver, temporal, processes, old, links, proxies, replica });
    await Promise.all(processes.map((each) => each.start()));
    return scene;
  }

  async close(): Promise<void> {
    await Promise.all([...this.processes, this.#old].map((each) => each.kill()));
    this.#redis.disconnect();
    for (const each of this.#closing) each.close();
    await down(settings);
  }

  /** @param handedOut resolves while a run with a waiting client is in progress */
  incidents(handedOut: () => Promise<void>): ReadonlyMap<string, Incident> {
    const whole = () => this.processes.every(({ ready }) => ready) && isReady('redis');
    const isGateway = ({ name }: ChaosProcess) => name === 'gateway';
    const workers = this.processes.filter((each) => !isGateway(each));
    const gateways = this.processes.filter(isGateway);
    return new Map<string, Incident>([
      ...PARTS.map((part) => [part, killPart(part)] as const),
      ...workers.map((worker) => [worker.name, killProcess(worker)] as const),
      ...gateways.map((gateway) => [gateway.name, killProcess(gateway, handedOut)] as const),
      ...gateways.map((gateway) => ['deploy', deploy({ workers, gateway, old: this.#old }, whole)] as const),
      ...(this.replica ? [['replica', failingReplica(this.replica, () => isReady('llm'))] as const] : []),
      ['outage', outage(this.#links.llm, () => isReady('llm'))],
      ['flushed', flushed(this.#redis, whole)],
      ['failed-over', failedOver(this.#redis, whole)],
      ['full', full(this.#redis, whole)],
      ['redis-cut', cutOff(this.#links.redis, new Seeded(this.#seed, 'Redis'), whole)],
      ['temporal-cut', cutOff(this.#links.temporal, new Seeded(this.#seed, 'Temporal'), whole)],
    ]);
  }
}

interface Links {
  readonly redis: Link;
  readonly temporal: Link;
  readonly llm: Link;
}

function processesOf({ models, withReplica, onFailedAttempt }: SceneOptions) {
  const llms = [PROXY_PORTS.llm, ...(withReplica ? [REPLICA_PORT] : [])].map((port) => `http://${HOST}:${port}/v1`);
  const servers: Readonly<Record<string, string>> = models
    ? { TRITON_URL: `${HOST}:${PROXY_PORTS.triton}`, LLM_BASE_URL: llms.join(',') }
    : {};
  const worker = (name: keyof typeof METRICS_PORTS, more: Readonly<Record<string, string>> = {}) => {
    const port = METRICS_PORTS[name];
    const env = { ...servers, ...more, MILLRACE_WORKER_METRICS_PORT: String(port) };
    return new ChaosProcess({ name, role: 'worker', env, probe: `http://${HOST}:${port}/readyz`, onFailedAttempt });
  };
  const linked = {
    REDIS_URL: `redis://${HOST}:${LINK_PORTS.redis}`,
    REDIS_INDEX_URL: `redis://${HOST}:${settings.MILLRACE_REDIS_INDEX_PORT}`,
    TEMPORAL_ADDRESS: `${HOST}:${LINK_PORTS.temporal}`,
  };
  const probe = `${gatewayUrl(settings)}/readyz`;
  const gateway = new ChaosProcess({ name: 'gateway', role: 'gateway', env: servers, probe });
  return { processes: [worker('worker-a', linked), worker('worker-b'), gateway], old: worker('worker-old') };
}
