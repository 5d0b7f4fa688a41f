import type { Redis } from 'ioredis';
import type { HedgePolicy } from '../../pipelines/plan/index.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Backend, Joining } from '../connectors/connector.js';
import type { SlotRequest } from './call-queue.js';
import type { Discovery } from './discovery/index.js';
import type { Endpoint } from './endpoint.js';
import type { ServerModels } from './model-cache/index.js';
import type { EndpointConfig } from './models.js';
import type { ServerLoad } from './server-load.js';

/** Where a call goes. */
export interface CallTarget {
  /** The model's name at the server. */
  readonly model: string;
  /** The stage kind of the pool's calls. */
  readonly kind: string;
  readonly url: string;
  readonly device: string;
  /** Set for the second call of a hedge. */
  readonly hedge?: true;
}

/** One call. It ends within a second of its signal's abort. */
export type Work<T> = (backend: Backend, at: CallTarget, signal: AbortSignal) => Promise<T>;

export interface UseOptions extends SlotRequest {
  /** Tenant whose rate limit applies. Default `default`. */
  readonly tenant?: string | undefined;
  readonly hedge?: HedgePolicy | undefined;
}

export interface PoolParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Interval between canaries of an endpoint without traffic. */
  readonly canaryIntervalMs: number;
  readonly backendOf: (endpoint: EndpointConfig) => Backend;
  /** The server of an endpoint, which other pools may share. Absent: endpoints share nothing. */
  readonly serverOf?: (endpoint: EndpointConfig) => ServerLoad;
  /** The models of an endpoint’s server that workers load on demand, for pools with `load`. */
  readonly modelsOf?: (endpoint: Endpoint) => ServerModels;
  /** Called when an endpoint that is gone has ended its last call. */
  readonly release?: (backend: Backend) => void;
  /** Finds the endpoints; absent: those of the configuration. */
  readonly discovery?: Discovery | undefined;
  /** Interval of the discovery, in milliseconds. Default 5 s. */
  readonly discoveryMs?: number | undefined;
  /** Zone of this worker. */
  readonly zone?: string | undefined;
  /** How its calls go out together, where its `microBatch` says so. */
  readonly joining?: Joining | undefined;
  /** Counts rate limits over all workers; absent: each worker counts only its own calls. */
  readonly redis?: Redis | undefined;
}
