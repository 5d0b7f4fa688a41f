import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { MillraceError } from '../../pipelines/errors.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Backend } from '../connectors/connector.js';
import { type Connectors, type PoolAccess, type RegisteredConnector, shared } from '../connectors/registered.js';
import { Device } from './device.js';
import { type DiscoverySettings, discoveryOf } from './discovery/index.js';
import { accessAt, connectTo } from './endpoint-client.js';
import { ServerModels, type Worth } from './model-cache/index.js';
import { connectorOf, type EndpointConfig, invalid, type ModelsConfig, type PoolConfig } from './models.js';
import { Pool } from './pool.js';
import type { PoolReport } from './reports.js';
import { serverAddress } from './server-address.js';
import { ServerLoad } from './server-load.js';
import { SharedSlots } from './shared-slots.js';

export interface PoolsParts {
  readonly models: ModelsConfig;
  readonly connectors: Connectors;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly canaryIntervalMs: number;
  /** Counts the rate limits of pools over all workers; absent: each worker counts only its own calls. */
  readonly redis?: Redis;
  /** How endpoints are searched for, where pools ask for it. */
  readonly discovery?: DiscoverySettings | undefined;
  readonly discoveryMs?: number | undefined;
  /** Zone of this worker. */
  readonly zone?: string | undefined;
  /** Which models that are loaded on demand are evicted first. Default: by use, time of loading and size. */
  readonly worth?: Worth | undefined;
}

/** A worker's pools by the name that pipelines use. Pools with the same server and key share a client. */
export class Pools {
  readonly #parts: Omit<PoolsParts, 'models'>;
  readonly #pools = new Map<string, Pool>();
  readonly #servers = new Map<string, ServerLoad>();
  readonly #serverModels = new Map<string, ServerModels>();
  readonly #closing = new AbortController();
  /** Identifies this process to others that share servers with it. */
  readonly worker = randomUUID();
  readonly #backends = new Map<string, { readonly backend: Backend; users: number }>();

  /**
   * Opens no connection. Throws `INVALID_SETTING` for a pool whose connector does not exist or cannot serve its kind.
   */
  constructor({ models, ...parts }: PoolsParts) {
    this.#parts = parts;
    for (const [name, config] of Object.entries(models)) this.#pools.set(name, this.#open(name, config));
  }

  /**
   * Takes a changed models file: pools are added, removed and replaced; where only endpoints have changed, the pool stays, with
   * the measurements of its other endpoints. Calls in flight end where they are. Throws `INVALID_SETTING` before any pool has
   * changed, and then holds no client that it did not have before.
   */
  reload(models: ModelsConfig): void {
    // All clients first, since a connector may refuse an address, a link or a key. None connects before its first call.
    const held: Backend[] = [];
    try {
      for (const [name, config] of Object.entries(models)) {
        const connector = connectorOf(name, config, this.#parts.connectors);
        // Those that are discovered have other addresses, but the same link.
        if (config.discover !== undefined && !config.tls && !config.headers) continue;
        for (const endpoint of config.endpoints) held.push(this.#backend(connector, endpoint, config));
      }
      for (const [name, pool] of this.#pools) {
        const config = models[name];
        if (config && pool.sameBut(config)) pool.reconfigure(config.endpoints);
        else {
          // Its successor first: servers that both have keep their client.
          if (config) this.#pools.set(name, this.#open(name, config));
          else this.#pools.delete(name);
          pool.retire();
        }
      }
      for (const [name, config] of Object.entries(models)) {
        if (!this.#pools.has(name)) this.#pools.set(name, this.#open(name, config));
      }
    } finally {
      // The pools have counted themselves as users of theirs.
      for (const backend of held) this.#release(backend);
    }
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

  /** Ends canaries, repairs and searches and closes every client; calls still in flight fail. */
  close(): void {
    this.#closing.abort(new Error('the pools are closed'));
    for (const pool of this.#pools.values()) pool.close();
    for (const { slots } of this.#servers.values()) slots?.close();
    for (const models of this.#serverModels.values()) models.close();
    for (const { backend } of this.#backends.values()) backend.close();
  }

  #open(name: string, config: PoolConfig): Pool {
    const { connectors, discovery, worth: _, ...parts } = this.#parts;
    const connector = connectorOf(name, config, connectors);
    return new Pool(name, config, {
      ...parts,
      discovery: discoveryOf(config, discovery),
      joining: config.microBatch && connector.joins?.(config),
      backendOf: (endpoint) => this.#backend(connector, endpoint, config),
      serverOf: ({ url }) =>
        this.#server(
          `${connector.name} ${serverAddress(url)}${connector.capacity === 'server' ? '' : ` ${config.model}`}`,
        ),
      modelsOf: ({ url }) => this.#modelsAt(connector.name, url),
      release: (backend) => this.#release(backend),
    });
  }

  #backend(connector: RegisteredConnector, endpoint: EndpointConfig, pool: PoolAccess): Backend {
    const id = `${connector.name} ${endpoint.url} ${shared(accessAt(endpoint, pool))}`;
    const shares = this.#backends.get(id) ?? { backend: connectTo(connector, endpoint, pool), users: 0 };
    shares.users += 1;
    this.#backends.set(id, shares);
    return shares.backend;
  }

  /** Kept for good: a few numbers for every server that there ever was. */
  #server(id: string): ServerLoad {
    const known = this.#servers.get(id);
    if (known) return known;
    const server = new ServerLoad(this.#closing.signal);
    const { redis } = this.#parts;
    if (redis) {
      const { worker } = this;
      const [limit, changed] = [() => server.most, () => server.changed()];
      server.slots = new SharedSlots({ redis, server: id, worker, limit, changed });
    }
    this.#servers.set(id, server);
    return server;
  }

  /** Kept for good, as `#server`. */
  #modelsAt(connector: string, endpoint: string): ServerModels {
    const id = `${connector} ${serverAddress(endpoint)}`;
    const { redis, metrics, logger, worth } = this.#parts;
    const { worker } = this;
    const known = this.#serverModels.get(id);
    const closing = this.#closing.signal;
    const models = known ?? new ServerModels({ connector, endpoint, worker, redis, metrics, logger, closing, worth });
    this.#serverModels.set(id, models);
    return models;
  }

  #release(backend: Backend): void {
    for (const [id, shares] of this.#backends) {
      if (shares.backend !== backend) continue;
      shares.users -= 1;
      if (shares.users > 0) return;
      this.#backends.delete(id);
      backend.close();
    }
  }
}
