import { z } from 'zod';
import { httpUrl, list, redisUrl } from './fields.js';
import { TEMPORAL_SETTINGS } from './temporal.js';

/** The user’s own servers. Unset: the embedded stack’s. */
export const SERVER_SETTINGS = {
  ...TEMPORAL_SETTINGS,
  MILLRACE_TASK_QUEUE: z
    .string()
    .default('millrace')
    .describe('Temporal task queue; use different names for two deployments in one namespace.'),
  TEMPORAL_UI_URL: httpUrl('Base URL of the Temporal UI, for links to runs.'),
  REDIS_URL: redisUrl(
    'URL of your Redis for the state of runs: journals, jobs, events, sessions, limits. Its `maxmemory-policy` must be `noeviction`.',
  ),
  REDIS_INDEX_URL: redisUrl(
    'URL of your Redis (8 or later) for vector indexes, also with `noeviction`; default: that of `REDIS_URL`, else the embedded one.',
  ),
  REDIS_CACHE_URL: redisUrl(
    'URL of your Redis (8 or later) for the caches: a separate server that may evict (`volatile-lru`, which keeps vector sets, or `allkeys-lru`); default: the embedded one.',
  ),
  MILLRACE_RECORD_KEPT_MS: z.coerce
    .number()
    .int()
    .positive()
    .default(24 * 3_600_000)
    .describe(
      'How long the record of a run is kept after its end, a day by default; a failed run can be resumed until then.',
    ),
  MILLRACE_STORE_POLICY_UNSEEN: z
    .enum(['refuse', 'accept'])
    .default('refuse')
    .describe(
      'Whether to use a Redis for state or indexes that reveals its `maxmemory-policy` neither in `INFO` nor by `CONFIG GET`: `accept` confirms that you have verified `noeviction`.',
    ),
  TRITON_URL: list('host:port of your Triton gRPC endpoints, separated by commas.'),
  LLM_BASE_URL: list('Base URLs (ending in /v1) of your OpenAI-compatible servers, separated by commas.'),
  LLM_MODEL: z.string().default('assistant').describe('Model name to send to the LLM server.'),
  LLM_API_KEY: z
    .string()
    .default('none')
    .describe(
      'Bearer token, sent to LLM_BASE_URL only; other pools name theirs in the models file (apiKey). llama.cpp and vLLM need none by default.',
    ),
  MILLRACE_ZONE: z
    .string()
    .min(1)
    .optional()
    .describe('Zone of this worker: endpoints with the same `zone` are preferred while they have room.'),
  MILLRACE_DNS_SERVERS: list(
    'DNS servers (address or address:port), separated by commas, for pools with `discover`; default: the system’s resolver.',
  ),
  MILLRACE_KUBERNETES_API: httpUrl(
    'Base URL of the Kubernetes API server, for pools with `discover: kubernetes`; in a cluster https://kubernetes.default.svc.',
  ),
  MILLRACE_KUBERNETES_TOKEN_FILE: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount/token')
    .describe('Bearer token for the Kubernetes API server; read again for every request.'),
  MILLRACE_KUBERNETES_CA_FILE: z
    .string()
    .default('/var/run/secrets/kubernetes.io/serviceaccount/ca.crt')
    .describe('Certificate authority of the Kubernetes API server.'),
  MILLRACE_GATEWAY_URL: httpUrl('Base URL of the gateway, for the command line; default: this machine’s.'),
  MILLRACE_PUBLIC_URL: httpUrl(
    'Base URL at which callers reach this gateway, if a proxy in front has another scheme, host or path: links start with it, and addresses at which model servers call back. Forwarded headers are not trusted.',
  ),
};
