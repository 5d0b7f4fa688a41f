import path from 'node:path';
import { z } from 'zod';
import { MillraceError } from '../pipelines/errors.js';
import { withProfile } from '../temporal/profile.js';
import { TEMPORAL_SETTINGS } from './temporal-settings.js';

/**
 * Every setting of every Millrace process: name, meaning, default and the reason for the default. This file is the only
 * reader of the environment, except that Temporal’s SDK, which reads profiles, gets the environment from here.
 */
const BASE_PORT = 7400;

const port = (about: string, fallback: number) =>
  z.coerce.number().int().min(1).max(65_535).default(fallback).describe(about);
const ms = (about: string, fallback: number) => z.coerce.number().int().positive().default(fallback).describe(about);
const bytes = (about: string, fallback: number) => z.coerce.number().int().positive().default(fallback).describe(about);
/** Shortest secret chosen by a person: 16 random bytes in hex. */
const SHORTEST_SECRET = 32;
const list = (about: string, shortest = 1) =>
  z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((s) => s.trim())
        .filter(Boolean),
    )
    .pipe(z.array(z.string().min(shortest)).min(1))
    .optional()
    .describe(about);

export function settingsSchema(basePort = BASE_PORT) {
  return z.object({
    // Folders and pipelines.
    MILLRACE_HOME: z
      .string()
      .default('.millrace')
      .describe('Folder of the embedded stack: Python venv, databases, logs, artifacts, state.'),
    MILLRACE_VENV: z
      .string()
      .optional()
      .describe(
        'Folder of the embedded servers’ Python packages; default: venv in MILLRACE_HOME. Several homes may share one.',
      ),
    MILLRACE_LOG_LEVEL: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
      .default('info')
      .describe('Lowest level of log lines.'),
    MILLRACE_PIPELINES: z
      .string()
      .optional()
      .describe('Module that exports your pipelines; default: the catalogue shipped with Millrace.'),
    MILLRACE_BUILD_ID: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/)
      .optional()
      .describe(
        'Identifies the build of your pipelines, e.g. a commit: the version of functions that declare none. Must be equal for gateway and workers of a deployment. Default: a hash of the module of MILLRACE_PIPELINES and of all files that it refers to by relative paths; changes in packages do not change it.',
      ),
    MILLRACE_MODELS: z
      .string()
      .optional()
      .describe(
        'JSON file that maps model names to pools of endpoints; default: the embedded models on the servers below.',
      ),
    MILLRACE_MCP_SERVERS: z
      .string()
      .optional()
      .describe(
        'JSON file of the MCP servers whose tools agents may call, by name: `command`, `args` and `env`, or `url` and `headers`.',
      ),
    // The user's own servers. Unset: the embedded stack's.
    ...TEMPORAL_SETTINGS,
    MILLRACE_TASK_QUEUE: z
      .string()
      .default('millrace')
      .describe('Temporal task queue; use different names for two deployments in one namespace.'),
    TEMPORAL_UI_URL: z.url().optional().describe('Base URL of the Temporal UI, for links to runs.'),
    REDIS_URL: z
      .string()
      .optional()
      .describe(
        'URL of your Redis for the state of runs: journals, jobs, events, sessions, limits. Its `maxmemory-policy` must be `noeviction`.',
      ),
    REDIS_INDEX_URL: z
      .string()
      .optional()
      .describe(
        'URL of your Redis (8 or later) for vector indexes, also with `noeviction`; default: that of `REDIS_URL`, else the embedded one.',
      ),
    REDIS_CACHE_URL: z
      .string()
      .optional()
      .describe(
        'URL of your Redis (8 or later) for the semantic cache: a separate server that may evict (`allkeys-lru` or `volatile-lru`); default: the embedded one.',
      ),
    MILLRACE_RECORD_KEPT_MS: ms(
      'How long the record of a run is kept after its end, a day by default; a failed run can be resumed until then.',
      24 * 3_600_000,
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
    MILLRACE_GATEWAY_URL: z
      .url()
      .optional()
      .describe('Base URL of the gateway, for the command line; default: this machine’s.'),
    MILLRACE_PUBLIC_URL: z
      .url({ protocol: /^https?$/ })
      .optional()
      .describe(
        'Base URL at which callers reach this gateway, if a proxy in front has another scheme, host or path: links start with it. Forwarded headers are not trusted.',
      ),
    // Ports of the processes that Millrace starts, from one base, so that a second stack needs one setting.
    MILLRACE_PORT_BASE: port('First of the ports below; they follow in order.', BASE_PORT),
    MILLRACE_GATEWAY_PORT: port('HTTP trigger.', basePort),
    MILLRACE_WORKER_METRICS_PORT: port('Prometheus metrics of the worker.', basePort + 1),
    MILLRACE_TEMPORAL_PORT: port('Embedded Temporal, gRPC.', basePort + 2),
    MILLRACE_TEMPORAL_UI_PORT: port('Embedded Temporal UI.', basePort + 3),
    MILLRACE_REDIS_PORT: port('Embedded Redis for the state of runs.', basePort + 4),
    MILLRACE_TRITON_HTTP_PORT: port('Embedded Triton, HTTP.', basePort + 5),
    MILLRACE_TRITON_GRPC_PORT: port('Embedded Triton, gRPC.', basePort + 6),
    MILLRACE_TRITON_METRICS_PORT: port('Embedded Triton, metrics.', basePort + 7),
    MILLRACE_LLM_PORT: port('Embedded LLM server.', basePort + 8),
    MILLRACE_KSERVE_GRPC_PORT: z.coerce
      .number()
      .int()
      .min(0)
      .max(65_535)
      .default(basePort + 9)
      .describe(
        'gRPC port of the inference protocol (KServe v2), on the gateway’s address; REST is on the gateway’s port. 0 turns gRPC off.',
      ),
    MILLRACE_REDIS_INDEX_PORT: port('Embedded Redis for vector indexes.', basePort + 10),
    MILLRACE_REDIS_CACHE_PORT: port('Embedded Redis for the semantic cache.', basePort + 11),
    MILLRACE_GATEWAY_HOST: z
      .string()
      .default('127.0.0.1')
      .describe(
        'Address the gateway binds. If other machines can reach it, keys or an authenticating proxy are required.',
      ),
    MILLRACE_KEYS: z
      .string()
      .optional()
      .describe(
        'JSON file of API keys, maintained by "millrace keys"; a change takes effect within a second. With it every request needs a key. Unset: the gateway serves this machine only.',
      ),
    MILLRACE_PROXY_AUTHENTICATES: z
      .enum(['no', 'yes'])
      .default('no')
      .describe(
        'Whether a proxy in front authenticates callers, sets `Millrace-Tenant` on every request and removes it from clients’ requests: the gateway then needs no keys.',
      ),
    MILLRACE_PROXY_SECRET: list(
      'What that proxy sends as `Millrace-Proxy-Secret`, at least 32 characters; several, separated by commas, during a rotation. Required if other machines can reach the gateway’s address.',
      SHORTEST_SECRET,
    ),
    MILLRACE_PROXY_GRPC: z
      .enum(['off', 'on'])
      .default('off')
      .describe(
        'Whether gRPC is served when a proxy authenticates. Off: most proxies pass HTTP only, and a port beside the proxy would bypass it. On: the same headers are required as metadata.',
      ),
    MILLRACE_API_KEY: z.string().optional().describe('API key that the command line sends to the gateway.'),
    MILLRACE_PLACEMENT: z
      .string()
      .optional()
      .describe(
        'Placement file, as written by `millrace place`, that new runs use; a change takes effect within a second. Default: none, every stage goes to the shared queue.',
      ),
    // The embedded stack.
    MILLRACE_REDIS_STATE_BYTES: bytes(
      'Memory of the embedded Redis for state: some 10 000 runs with their records. When it is full new runs are rejected.',
      512 * 1024 * 1024,
    ),
    MILLRACE_REDIS_INDEX_BYTES: bytes(
      'Memory of the embedded Redis for vector indexes: some 100 000 passages. When it is full new passages are rejected.',
      512 * 1024 * 1024,
    ),
    MILLRACE_REDIS_CACHE_BYTES: bytes(
      'Memory of the embedded Redis for the semantic cache. When it is full the least recently used answers are evicted.',
      256 * 1024 * 1024,
    ),
    MILLRACE_PYTHON: z
      .string()
      .optional()
      .describe('Python 3.10–3.12 for the embedded servers; default: the first suitable one on PATH, else from uv.'),
    MILLRACE_LLM_GGUF: z
      .string()
      .optional()
      .describe('GGUF file for the embedded LLM server; default: SmolLM2-135M-Instruct.'),
    MILLRACE_MODEL_THREADS: z.coerce
      .number()
      .int()
      .min(1)
      .max(256)
      .optional()
      .describe(
        'Threads of each embedded model; default: the best number for its server alone, at most 4. If models share the processors fewer may be faster: threads that wait for each other also wait for other models.',
      ),
    MILLRACE_LLM_CONTEXT: z.coerce
      .number()
      .int()
      .min(512)
      .default(4096)
      .describe('Context size in tokens for each of the 4 requests that the embedded LLM server decodes concurrently.'),
    MILLRACE_LLM_CHAT_TEMPLATE: z
      .string()
      .optional()
      .describe('Jinja chat template for the embedded LLM server; default: the one in the weights.'),
    // Limits of the gateway.
    MILLRACE_MAX_AUDIO_BYTES: bytes(
      'Largest media file accepted: 64 MiB is an hour of 16-bit mono at 8 kHz.',
      64 * 1024 * 1024,
    ),
    MILLRACE_MAX_JSON_BYTES: bytes('Largest JSON body accepted; base64 media in it count.', 8 * 1024 * 1024),
    MILLRACE_MAX_BODY_MEMORY_BYTES: bytes(
      'Bytes of request bodies that the gateway holds in memory at once, over all doors; media streamed to disk do not count. Requests above it are rejected as `BODY_MEMORY_FULL`. Default: three tenants at their limit.',
      256 * 1024 * 1024,
    ),
    MILLRACE_TENANT_BODY_MEMORY_BYTES: bytes(
      'The same for one tenant. Default: the largest message of the inference protocol, which is a media file plus a JSON body, and some more.',
      80 * 1024 * 1024,
    ),
    MILLRACE_MAX_WAIT_MS: ms(
      'Longest `Prefer: wait`: below the 60 s after which proxies commonly close an idle connection.',
      55_000,
    ),
    MILLRACE_TENANT_RATE: z.coerce
      .number()
      .min(0)
      .max(100_000)
      .default(100)
      .describe(
        'Requests per second of a tenant named by a key or a proxy; 0: no limit. Above what a person or a service needs, low enough to stop a runaway loop.',
      ),
    MILLRACE_TENANT_RUNS: z.coerce
      .number()
      .int()
      .min(0)
      .default(1_000)
      .describe('Concurrent runs of such a tenant; 0: no limit. Each is an open workflow in Temporal and on a worker.'),
    MILLRACE_TENANT_ARTIFACT_BYTES: z.coerce
      .number()
      .int()
      .min(0)
      .default(32 * 1024 ** 3)
      .describe(
        'Bytes of media that a tenant may keep in the artifact store; 0: no limit. 32 GiB are 300 hours of 16-bit mono at 16 kHz. Must be equal for gateway and workers.',
      ),
    MILLRACE_TENANT_PASSAGES: z.coerce
      .number()
      .int()
      .min(0)
      .default(200_000)
      .describe(
        'Passages that a tenant may keep in all its vector indexes; 0: no limit. 200 000 of 384 dimensions take some 220 MB of Redis plus their texts.',
      ),
    MILLRACE_TENANT_PASSAGE_BYTES: z.coerce
      .number()
      .int()
      .min(0)
      .default(1024 ** 3)
      .describe('Bytes of texts, metadata and vectors that a tenant may keep in all its vector indexes; 0: no limit.'),
    MILLRACE_TENANT_SESSIONS: z.coerce
      .number()
      .int()
      .min(0)
      .default(10_000)
      .describe('Sessions that a tenant’s agents may keep at once, until they expire; 0: no limit.'),
    MILLRACE_TENANT_SESSION_BYTES: z.coerce
      .number()
      .int()
      .min(0)
      .default(256 * 1024 ** 2)
      .describe(
        'Total bytes of a tenant’s sessions; 0: no limit. They share the state store with the journals of all runs.',
      ),
    MILLRACE_TENANT_CACHE_BYTES: z.coerce
      .number()
      .int()
      .min(0)
      .default(256 * 1024 ** 2)
      .describe(
        'Bytes of a tenant’s answers that the semantic cache stores per hour; further answers are returned but not cached, so that one tenant does not evict the entries of others. 0: no limit.',
      ),
    MILLRACE_DISK_RESERVE_BYTES: z.coerce
      .number()
      .int()
      .min(0)
      .default(1024 ** 3)
      .describe(
        'Bytes of disk that uploads keep free, so that running stages can still write; workers keep a quarter of it free. 0: none.',
      ),
    MILLRACE_TENANT_STREAMS: z.coerce
      .number()
      .int()
      .min(1)
      .default(1_000)
      .describe(
        'Requests of a tenant that wait for a run or follow it at once, per gateway, over all doors: as many as its concurrent runs.',
      ),
    MILLRACE_MAX_STREAMS: z.coerce
      .number()
      .int()
      .min(1)
      .default(4_000)
      .describe('The same for all tenants together; each costs a socket and some 50 kB.'),
    MILLRACE_LONG_POLLS: z.coerce
      .number()
      .int()
      .min(0)
      .max(1_000)
      .default(256)
      .describe(
        'Concurrent long polls of Temporal by which a gateway waits for the ends of runs, one per run and at most three quarters for one tenant; other runs are polled in turn. A Temporal frontend accepts 1,200 per namespace from all gateways and workers.',
      ),
    MILLRACE_SHED: z
      .enum(['yes', 'no'])
      .default('yes')
      .describe(
        'Whether runs are rejected as `OVERLOADED` if Temporal’s queues would take too much of their deadline, batch first.',
      ),
    MILLRACE_UPLOAD_TIMEOUT_MS: ms('Longest time to receive one request.', 120_000),
    MILLRACE_HEADERS_TIMEOUT_MS: ms(
      'Longest time to receive a request’s headers, and longest idle time of a new connection: a client on a bad line needs a second or two.',
      10_000,
    ),
    MILLRACE_MAX_CONNECTIONS: z.coerce
      .number()
      .int()
      .positive()
      .default(4_096)
      .describe('Concurrent connections to the gateway; each costs some 10 KB and a file descriptor.'),
    MILLRACE_MAX_CONNECTIONS_PER_ADDRESS: z.coerce
      .number()
      .int()
      .positive()
      .default(1_024)
      .describe(
        'Concurrent connections of one address: below the total, so that one client cannot lock out the others. Raise it for a proxy.',
      ),
    // Webhooks: must be equal for gateway and workers.
    MILLRACE_WEBHOOKS: z
      .string()
      .optional()
      .describe('JSON file with each tenant’s webhook secrets and endpoints; default: none, webhooks are off.'),
    MILLRACE_WEBHOOK_PRIVATE_TARGETS: z
      .enum(['refuse', 'allow'])
      .default('refuse')
      .describe(
        'Whether webhooks may be sent to plain http and to addresses that are not public. By default they may not, so that callers cannot reach your own network through Millrace.',
      ),
    // The worker.
    MILLRACE_MAX_ACTIVITIES: z.coerce
      .number()
      .int()
      .positive()
      .default(32)
      .describe('Concurrent stages of a worker: Triton’s Python backend stalls above 32 concurrent calls per model.'),
    MILLRACE_DEVICES: list(
      'Devices that the worker serves, by their labels in the models file, separated by commas: their task queues, and those of the pools that have an endpoint there. Default: none, it serves the shared queue only.',
    ),
    MILLRACE_FAST_PATH: z
      .enum(['on', 'off'])
      .default('on')
      .describe(
        'Whether interactive runs that a caller waits for, and that are one segment, bypass Temporal: the gateway hands them to a worker, with the workflow as their guardian.',
      ),
    MILLRACE_MAX_STAGE_MEDIA_BYTES: bytes(
      'Bytes of media that one call of a stage may write: a few MB of packed audio unpack to gigabytes. 2 GiB are 6 hours of 16-bit mono at 48 kHz.',
      2 * 1024 ** 3,
    ),
    MILLRACE_SHUTDOWN_GRACE_MS: ms('Time that running stages have to finish when a worker is stopped.', 10_000),
    MILLRACE_CANARY_INTERVAL_MS: ms(
      'Interval of canary calls to a model: a model that fails without traffic is detected within it.',
      15_000,
    ),
    MILLRACE_REDIS_TIMEOUT_MS: ms(
      'Timeout of a Redis command, after which a cache lookup counts as a miss: far above a normal reply (< 1 ms), far below an LLM call.',
      250,
    ),
    MILLRACE_FFMPEG: z
      .string()
      .optional()
      .describe(
        'ffmpeg, which decodes audio other than WAV, and encodes speech at the gateway: a path, or a name on PATH. Default: the first one on PATH, else the one in the embedded servers’ packages. WAV does not need it.',
      ),
    MILLRACE_INDEX_TIMEOUT_MS: ms(
      'Timeout of a Redis command on a vector index, which has no fallback: far above a batch of writes (10 ms), and short enough for a cancelled stage to end.',
      1_000,
    ),
  });
}

export type Settings = z.output<ReturnType<typeof settingsSchema>> & { readonly MILLRACE_VENV: string };

/**
 * Reads and validates the settings. Folders become absolute, and the values of a Temporal profile are returned as the
 * equivalent variables, so that a process that gets the settings as its environment does not read the profile again.
 * Throws `INVALID_SETTING` with every invalid variable.
 */
export function readSettings(env: Readonly<Record<string, string | undefined>> = process.env): Settings {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const base = Number(given.MILLRACE_PORT_BASE ?? BASE_PORT);
  const parsed = settingsSchema(Number.isInteger(base) ? base : BASE_PORT).safeParse(given);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => ({ field: issue.path.join('.'), message: issue.message }));
    throw new MillraceError('INVALID_SETTING', fields.map((f) => `${f.field}: ${f.message}`).join('; '), { fields });
  }
  const home = path.resolve(parsed.data.MILLRACE_HOME);
  const temporal = withProfile(given);
  return {
    ...parsed.data,
    ...temporal,
    TEMPORAL_NAMESPACE: temporal.TEMPORAL_NAMESPACE ?? parsed.data.TEMPORAL_NAMESPACE,
    TEMPORAL_CONFIG_FILE: undefined,
    TEMPORAL_PROFILE: undefined,
    MILLRACE_HOME: home,
    MILLRACE_VENV: path.resolve(parsed.data.MILLRACE_VENV ?? path.join(home, 'venv')),
  };
}

/**
 * Variables whose name starts with `MILLRACE_` and that are not settings. `meant`: the setting with that name minus the
 * prefix, if there is one.
 * @param others variables that are not settings but permitted
 */
export function unknownSettings(
  env: Readonly<Record<string, string | undefined>>,
  others: readonly string[] = [],
): readonly { readonly name: string; readonly meant?: string }[] {
  const known = new Set([...Object.keys(settingsSchema().shape), ...others]);
  return Object.keys(env)
    .filter((name) => name.startsWith('MILLRACE_') && !known.has(name))
    .map((name) => {
      const meant = name.slice('MILLRACE_'.length);
      return known.has(meant) ? { name, meant } : { name };
    });
}
