import type { Redis } from 'ioredis';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import type { RateLimitConfig } from '../../../../activities/pools/rate-limit.js';
import { type ErrorCode, MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { createMetrics, type Metrics } from '../../../../telemetry/metrics.js';

/** A model server whose calls fail while `failing` says so; calls stay open until `finish` unless `instant`. */
export class FakeBackend implements Backend {
  readonly endpoint: string;
  failing: ErrorCode | undefined;
  readonly log: string[] = [];
  /** What a heal does; by default it works. */
  onHeal: () => Promise<void> | void = () => {
    this.failing = undefined;
  };
  /** Canaries do not answer. */
  silent = false;
  print = 'weights-1';

  constructor(endpoint: string) {
    this.endpoint = endpoint;
  }

  invoke = async () => {
    this.log.push('invoke');
    this.#fail();
    return { output: {} };
  };

  async probe(_model: string, _kind: string, signal: AbortSignal): Promise<void> {
    this.log.push('probe');
    if (this.silent) {
      await new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      });
    }
    this.#fail();
  }

  async heal(): Promise<void> {
    this.log.push('heal');
    await this.onHeal();
  }

  async fingerprint(): Promise<string> {
    this.log.push('fingerprint');
    this.#fail();
    return this.print;
  }

  close(): void {
    this.log.push('close');
  }

  #fail(): void {
    if (this.failing) throw new MillraceError(this.failing, `${this.endpoint} fails`);
  }
}

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface FakePoolOptions {
  readonly concurrency?: number;
  readonly canaryIntervalMs?: number;
  readonly rateLimit?: RateLimitConfig;
  readonly heal?: 'on' | 'off';
  readonly redis?: Redis;
  options?: JsonObject;
  readonly modalities?: readonly string[];
  readonly kind?: string;
  readonly affinity?: 'session' | 'prefix';
  readonly model?: string;
  /** Names of the pools. Default: one, `m`. */
  readonly names?: readonly [string, ...string[]];
}

/** Pools of fake servers, each over the given urls. */
export function fakePools(
  urls: string[],
  {
    concurrency = 32,
    canaryIntervalMs = 15_000,
    rateLimit,
    heal,
    redis,
    names = ['m'],
    ...settings
  }: FakePoolOptions = {},
) {
  const backends = new Map<string, FakeBackend>();
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['chat', 'embed']),
    capabilities: new Set<never>(),
    check: () => undefined,
    connect: (url) => {
      const backend = new FakeBackend(url);
      backends.set(url, backend);
      return backend;
    },
  };
  const endpoints = urls.map((url) => ({ url, device: `gpu-${url}`, concurrency }));
  const model = { connector: 'fake', model: 'real-m', kind: 'embed', endpoints, rateLimit, heal, ...settings };
  const metrics: Metrics = createMetrics();
  const pools = new Pools({
    models: parseModels(Object.fromEntries(names.map((name) => [name, model])), 'test'),
    connectors: new Map([['fake', connector]]),
    metrics,
    logger: quiet,
    canaryIntervalMs,
    ...(redis && { redis }),
  });
  const backend = (url: string): FakeBackend => {
    const found = backends.get(url);
    if (!found) throw new Error(`no backend ${url}`);
    return found;
  };
  return { pools, pool: pools.get(names[0]), backend, metrics };
}

/** A call that stays open until told to end. */
export function openCall() {
  let end: (error?: MillraceError) => void = () => undefined;
  const done = new Promise<void>((resolve, reject) => {
    end = (error) => (error ? reject(error) : resolve());
  });
  return { work: () => done, end: (error?: MillraceError) => end(error) };
}

/** Lets promises settle without moving the clock. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

/** Values of a counter that are not 0, by their labels joined with spaces. */
export async function counts(counter: Metrics['heals' | 'backendCalls' | 'hedges']): Promise<Record<string, number>> {
  const { values } = await counter.get();
  const counted = values.filter(({ value }) => value > 0);
  return Object.fromEntries(counted.map(({ labels, value }) => [Object.values(labels).join(' '), value]));
}
