import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Backend } from '../connectors/connector.js';
import { type Connectors, type PoolAccess, type RegisteredConnector, shared } from '../connectors/registered.js';
import { Device } from './device.js';
import { connectorOf, invalid, type ModelsConfig } from './models.js';
import { Pool } from './pool.js';
import type { PoolReport } from './reports.js';

export interface PoolsParts {
  readonly models: ModelsConfig;
  readonly connectors: Connectors;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly canaryIntervalMs: number;
  /** Counts the rate limits of pools over all workers; absent: each worker counts only its own calls. */
  readonly redis?: Redis;
}

/** A worker's pools by the name that pipelines use. Pools with the same server, key and options share a client. */
export class Pools {
  readonly #pools: ReadonlyMap<string, Pool>;
  readonly #backends = new Map<string, Backend>();

  /**
   * Opens no connection. Throws `INVALID_SETTING` for a pool whose connector does not exist or cannot serve its kind.
   */
  constructor({ models, connectors, ...parts }: PoolsParts) {
    this.#pools = new Map(
      Object.entries(models).map(([name, config]) => {
        const connector = connectorOf(name, config, connectors);
        return [name, new Pool(name, config, { ...parts, backendOf: (url) => this.#backend(connector, url, config) })];
      }),
    );
  }

  /** Throws `MODEL_NOT_CONFIGURED`. */
  get(name: string): Pool {
    const pool = this.#pools.get(name);
    if (pool) return pool;
    const known = [...this.#pools.keys()].join(', ') || 'none';
    throw new MillraceError('MODEL_NOT_CONFIGURED', `no pool serves a model "${name}" (configured: ${known})`);
  }

  /** Number of endpoints per pool that do not answer. */
  async reach(signal: AbortSignal): Promise<PoolReport> {
    const all = [...this.#pools].map(async ([name, pool]) => [name, await pool.reach(signal)] as const);
    return Object.fromEntries(await Promise.all(all));
  }

  /** The endpoints with this device label, by pool. Throws `INVALID_SETTING` if there are none. */
  device(label: string): Device {
    const all = [...this.#pools].map(([name, pool]) => [name, pool.on(label)] as const);
    const there = all.filter(([, placed]) => placed.length > 0);
    if (there.length === 0) invalid('endpoints', `no endpoint is on the device "${label}"`);
    return new Device(new Map(there));
  }

  /** Ends canaries and repairs and closes every client; calls still in flight fail. */
  close(): void {
    for (const pool of this.#pools.values()) pool.close();
    for (const backend of this.#backends.values()) backend.close();
  }

  #backend(connector: RegisteredConnector, url: string, pool: PoolAccess): Backend {
    const id = `${connector.name} ${url} ${shared(pool)}`;
    const backend = this.#backends.get(id) ?? connector.connect(url, pool);
    this.#backends.set(id, backend);
    return backend;
  }
}
