import { invalidSetting } from '../pipelines/invalid-setting.js';
import { withoutSlash } from '../runtime/without-slash.js';
import type { TemporalServer } from '../temporal/options.js';
import type { Settings } from './settings.js';

/**
 * Addresses of the servers: the user's own if a setting names them, else the embedded stack's port on loopback. Does
 * not check whether a server is up.
 */
export interface Endpoints {
  /** host:port of Temporal's gRPC frontend. */
  readonly temporal: string;
  /** Base URL of the Temporal UI, without a trailing slash. */
  readonly temporalUi: string;
  /** redis:// or rediss:// URLs of the stores for state, vector indexes and the semantic cache. */
  readonly redis: string;
  readonly redisIndex: string;
  readonly redisCache: string;
  /** host:port of each Triton gRPC endpoint; never empty. */
  readonly triton: readonly string[];
  /** Base URL, ending in /v1, of each OpenAI-compatible server; never empty. */
  readonly llm: readonly string[];
}

/**
 * The address that embedded servers bind: they have no authentication, so they must not be reachable from other
 * machines.
 */
export const LOOPBACK = '127.0.0.1';

export function endpointsOf(settings: Settings): Endpoints {
  return {
    temporal: settings.TEMPORAL_ADDRESS ?? `${LOOPBACK}:${settings.MILLRACE_TEMPORAL_PORT}`,
    temporalUi: withoutSlash(settings.TEMPORAL_UI_URL ?? `http://${LOOPBACK}:${settings.MILLRACE_TEMPORAL_UI_PORT}`),
    redis: settings.REDIS_URL ?? `redis://${LOOPBACK}:${settings.MILLRACE_REDIS_PORT}`,
    // The user's server may serve state and index; the cache needs a server of its own that may evict.
    redisIndex:
      settings.REDIS_INDEX_URL ?? settings.REDIS_URL ?? `redis://${LOOPBACK}:${settings.MILLRACE_REDIS_INDEX_PORT}`,
    redisCache: settings.REDIS_CACHE_URL ?? `redis://${LOOPBACK}:${settings.MILLRACE_REDIS_CACHE_PORT}`,
    triton: settings.TRITON_URL ?? [`${LOOPBACK}:${settings.MILLRACE_TRITON_GRPC_PORT}`],
    llm: (settings.LLM_BASE_URL ?? [`http://${LOOPBACK}:${settings.MILLRACE_LLM_PORT}/v1`]).map(withoutSlash),
  };
}

/**
 * Temporal’s frontend with its connection settings. Throws `INVALID_SETTING` if TLS or a key is set without a server:
 * the embedded server has neither, and a key must not be sent to a server that it was not issued for.
 */
export function temporalServer(settings: Settings): TemporalServer {
  if (settings.TEMPORAL_ADDRESS === undefined && settings.TEMPORAL_TLS === 'true') {
    throw invalidSetting(
      'TEMPORAL_ADDRESS',
      'TLS or an API key for Temporal is set, but no server: set TEMPORAL_ADDRESS, or unset TEMPORAL_API_KEY and TEMPORAL_TLS…',
    );
  }
  return { ...settings, TEMPORAL_ADDRESS: endpointsOf(settings).temporal };
}

/** URL at which this machine reaches a server that binds an address. */
export function urlAt(host: string, port: number): string {
  if (['0.0.0.0', '::'].includes(host)) return `http://${LOOPBACK}:${port}`;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Base URL of the gateway, for the command line: where that of this machine listens, unless a setting names another. */
export const gatewayUrl = (settings: Settings): string =>
  settings.MILLRACE_GATEWAY_URL ?? urlAt(settings.MILLRACE_GATEWAY_HOST, settings.MILLRACE_GATEWAY_PORT);

/** Builds URLs of workflows in the Temporal UI: of one execution if its id is given, else of the latest. */
export const runPages =
  (temporalUi: string, namespace: string) =>
  (workflowId: string, runId?: string): string => {
    const run = `${temporalUi}/namespaces/${namespace}/workflows/${encodeURIComponent(workflowId)}`;
    return runId === undefined ? run : `${run}/${runId}/timeline`;
  };
