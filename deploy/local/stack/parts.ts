import { createHash } from 'node:crypto';
import path from 'node:path';
import { SEARCH_ATTRIBUTES } from '../../../pipelines/run/index.js';
import { LOOPBACK, urlAt } from '../../../workers/endpoints.js';
import { type ChosenFfmpeg, describeFfmpeg } from '../../../workers/ffmpeg.js';
import type { Settings } from '../../../workers/settings.js';
import { type PartName, type PartPort, type PartSpec, REDIS_PARTS, type RedisPartName } from './part-spec.js';
import { BUILD, CLI_MAIN, PACKAGE_FILE } from './paths.js';
import type { Programs } from './python.js';
import { logPath } from './stack-state.js';

/**
 * Search attributes of every run. A dev server registers those on its command line only when it creates its database;
 * in an older one the worker adds missing ones.
 */
const ATTRIBUTE_TYPES = {
  [SEARCH_ATTRIBUTES.pipeline]: 'Keyword',
  [SEARCH_ATTRIBUTES.version]: 'Keyword',
  [SEARCH_ATTRIBUTES.tenant]: 'Keyword',
  [SEARCH_ATTRIBUTES.cacheHit]: 'Bool',
};

const TRITON_MODELS = ['whisper', 'minilm', 'tts', 'moderation', 'rerank', 'ocr', 'speakers', 'echo'];

/** Ten times the duration of a start on a loaded 2-core machine, in milliseconds. */
const SERVER_START_MS = 60_000;
const TRITON_START_MS = 120_000;

/** Programs of the requested parts: those of servers, and the ffmpeg of worker and gateway. */
export type PartPrograms = Partial<Programs & { readonly ffmpeg: ChosenFfmpeg }>;

type Maker = (settings: Settings, programs: PartPrograms) => PartSpec;

/** How to run a part: command line, ports, readiness. Requires the program of the part. */
export const partSpec = (name: PartName, settings: Settings, programs: PartPrograms): PartSpec =>
  MAKERS[name](settings, programs);

const MAKERS: Record<PartName, Maker> = {
  temporal,
  redis: state,
  'redis-index': index,
  'redis-cache': cache,
  triton,
  llm,
  worker,
  gateway,
};

const shared = (settings: Settings, name: PartName) => ({
  name,
  cwd: settings.MILLRACE_HOME,
  env: {},
  inherit: 'basics' as const,
  log: logPath(settings.MILLRACE_HOME, name),
  needs: [],
  startTimeoutMs: SERVER_START_MS,
  stopGraceMs: 8_000,
});

function temporal(settings: Settings, programs: PartPrograms): PartSpec {
  const command = required(programs.temporal, 'temporal');
  const port = settings.MILLRACE_TEMPORAL_PORT;
  const uiPort = settings.MILLRACE_TEMPORAL_UI_PORT;
  const namespace = settings.TEMPORAL_NAMESPACE;
  return {
    ...shared(settings, 'temporal'),
    command,
    args: [
      // The user's own CLI profile must not affect the embedded server.
      ...['server', 'start-dev', '--disable-config-file', '--disable-config-env', '--log-level', 'error'],
      ...['--ip', LOOPBACK, '--port', String(port), '--ui-port', String(uiPort), '--namespace', namespace],
      ...['--db-filename', path.join(settings.MILLRACE_HOME, 'temporal', 'temporal.db')],
      // Raises 10 workflows per second to 52. A power failure may lose the last second; a killed process loses nothing.
      ...['--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
      // Five activities in sequence on another queue: 550 ms by default, 84 ms with this.
      ...['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'],
      // Timers, including backoffs, fire up to this late, by default a second: two retries after 10 ms took 2.1 s, now
      // 0.14 s.
      ...['--dynamic-config-value', 'history.timerProcessorMaxTimeShift="20ms"'],
      // Tenants take turns in a task queue, instead of the first come, first served.
      ...['--dynamic-config-value', 'matching.enableFairness=true'],
      ...['--dynamic-config-value', 'frontend.enableServerVersionCheck=false', '--ui-disable-news-fetch'],
      ...Object.entries(ATTRIBUTE_TYPES).flatMap(([name, type]) => ['--search-attribute', `${name}=${type}`]),
    ],
    env: { TEMPORAL_VERSION_CHECK_DISABLED: '1' },
    ports: [
      { port, setting: 'MILLRACE_TEMPORAL_PORT' },
      { port: uiPort, setting: 'MILLRACE_TEMPORAL_UI_PORT' },
    ],
    address: `${LOOPBACK}:${port}`,
    // The UI requests the namespace from the frontend, so one response covers UI, frontend and namespace.
    probe: { kind: 'http', url: `http://${LOOPBACK}:${uiPort}/api/v1/namespaces/${encodeURIComponent(namespace)}` },
  };
}

/** Journals and live streams: nothing may be evicted, and a killed Redis loses at most its last second. */
function state(settings: Settings, programs: PartPrograms): PartSpec {
  return redis(settings, programs, {
    part: 'redis',
    port: { port: settings.MILLRACE_REDIS_PORT, setting: 'MILLRACE_REDIS_PORT' },
    bytes: settings.MILLRACE_REDIS_STATE_BYTES,
    keeping: KEPT,
  });
}

/** Passages are users' data and may not be evicted. */
function index(settings: Settings, programs: PartPrograms): PartSpec {
  return redis(settings, programs, {
    part: 'redis-index',
    port: { port: settings.MILLRACE_REDIS_INDEX_PORT, setting: 'MILLRACE_REDIS_INDEX_PORT' },
    bytes: settings.MILLRACE_REDIS_INDEX_BYTES,
    keeping: KEPT,
  });
}

/** Answers save model calls after a restart too, but may be evicted: a write must not be rejected. */
function cache(settings: Settings, programs: PartPrograms): PartSpec {
  return redis(settings, programs, {
    part: 'redis-cache',
    port: { port: settings.MILLRACE_REDIS_CACHE_PORT, setting: 'MILLRACE_REDIS_CACHE_PORT' },
    bytes: settings.MILLRACE_REDIS_CACHE_BYTES,
    keeping: ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'volatile-lru'],
  });
}

const KEPT = ['--appendonly', 'yes', '--appendfsync', 'everysec', '--maxmemory-policy', 'noeviction'];

interface RedisPart {
  readonly part: RedisPartName;
  readonly port: PartPort;
  readonly bytes: number;
  /** Options for persistence. */
  readonly keeping: readonly string[];
}

function redis(settings: Settings, programs: PartPrograms, { part, port, bytes, keeping }: RedisPart): PartSpec {
  const { server, version, line } = required(programs.redis, part);
  return {
    ...shared(settings, part),
    command: server,
    args: [
      ...['--port', String(port.port), '--bind', LOOPBACK, '--protected-mode', 'yes', '--daemonize', 'no'],
      // It would overwrite the environment, which contains the stack's mark.
      ...['--set-proc-title', 'no'],
      ...['--dir', redisFolder(settings, part, line), '--save', ''],
      ...keeping,
      ...['--maxmemory', String(bytes)],
    ],
    ports: [port],
    program: `${server} ${version}`,
    address: `redis://${LOOPBACK}:${port.port}`,
    probe: { kind: 'redis', port: port.port },
  };
}

/** The folder of a part's data, named after the release line that created it. */
export const redisFolder = (settings: Settings, part: RedisPartName, line: string): string =>
  path.join(settings.MILLRACE_HOME, part, line);

function triton(settings: Settings, programs: PartPrograms): PartSpec {
  const { server, models, backends, caches, env } = required(programs.triton, 'triton');
  const http = settings.MILLRACE_TRITON_HTTP_PORT;
  const grpc = settings.MILLRACE_TRITON_GRPC_PORT;
  const metrics = settings.MILLRACE_TRITON_METRICS_PORT;
  const threads = settings.MILLRACE_MODEL_THREADS;
  const sharedMemoryPrefix = `millrace_${hashOf(settings.MILLRACE_HOME)}_`;
  return {
    ...shared(settings, 'triton'),
    command: server,
    args: [
      `--model-repository=${models}`,
      `--backend-directory=${backends}`,
      `--cache-directory=${caches}`,
      // A killed stub is repaired by unloading and loading its model, which Triton permits in this mode only.
      '--model-control-mode=explicit',
      ...TRITON_MODELS.map((model) => `--load-model=${model}`),
      `--backend-config=python,shm-region-prefix-name=${sharedMemoryPrefix}`,
      // HTTP is for probes and people: a JSON body of some megabytes crashes this release (stack overflow). Calls use
      // gRPC.
      ...[`--http-address=${LOOPBACK}`, `--http-port=${http}`, `--grpc-address=${LOOPBACK}`, `--grpc-port=${grpc}`],
      ...[`--metrics-address=${LOOPBACK}`, `--metrics-port=${metrics}`, '--allow-gpu-metrics=false'],
      '--exit-timeout-secs=3',
    ],
    // Read by the models.
    env: threads === undefined ? env : { ...env, MILLRACE_MODEL_THREADS: String(threads) },
    ports: [
      { port: http, setting: 'MILLRACE_TRITON_HTTP_PORT' },
      { port: grpc, setting: 'MILLRACE_TRITON_GRPC_PORT' },
      { port: metrics, setting: 'MILLRACE_TRITON_METRICS_PORT' },
    ],
    address: `${LOOPBACK}:${grpc}`,
    probe: { kind: 'http', url: `http://${LOOPBACK}:${http}/v2/health/ready` },
    startTimeoutMs: TRITON_START_MS,
    sharedMemoryPrefix,
  };
}

function llm(settings: Settings, programs: PartPrograms): PartSpec {
  const { command, args, weights } = required(programs.llm, 'llm');
  const port = settings.MILLRACE_LLM_PORT;
  const { MILLRACE_LLM_CHAT_TEMPLATE: template, MILLRACE_MODEL_THREADS: threads } = settings;
  return {
    ...shared(settings, 'llm'),
    command,
    args: [
      ...args,
      ...['--model', settings.MILLRACE_LLM_GGUF ? path.resolve(settings.MILLRACE_LLM_GGUF) : weights],
      ...['--port', String(port), '--alias', settings.LLM_MODEL, '--context', String(settings.MILLRACE_LLM_CONTEXT)],
      ...(threads === undefined ? [] : ['--threads', String(threads)]),
      ...(template ? ['--template', path.resolve(template)] : []),
    ],
    ports: [{ port, setting: 'MILLRACE_LLM_PORT' }],
    address: `http://${LOOPBACK}:${port}/v1`,
    probe: { kind: 'http', url: `http://${LOOPBACK}:${port}/health` },
  };
}

function worker(settings: Settings, programs: PartPrograms): PartSpec {
  const port = settings.MILLRACE_WORKER_METRICS_PORT;
  return {
    ...shared(settings, 'worker'),
    ...nodeProcess('worker', settings, programs),
    ports: [{ port, setting: 'MILLRACE_WORKER_METRICS_PORT' }],
    address: urlAt(settings.MILLRACE_WORKER_METRICS_HOST, port),
    probe: { kind: 'http', url: `${urlAt(settings.MILLRACE_WORKER_METRICS_HOST, port)}/readyz` },
    stopGraceMs: settings.MILLRACE_SHUTDOWN_GRACE_MS + 10_000,
  };
}

function gateway(settings: Settings, programs: PartPrograms): PartSpec {
  const port = settings.MILLRACE_GATEWAY_PORT;
  const grpcPort = settings.MILLRACE_KSERVE_GRPC_PORT;
  return {
    ...shared(settings, 'gateway'),
    ...nodeProcess('gateway', settings, programs),
    ports: [
      { port, setting: 'MILLRACE_GATEWAY_PORT' },
      ...(grpcPort === 0 ? [] : [{ port: grpcPort, setting: 'MILLRACE_KSERVE_GRPC_PORT' }]),
    ],
    address: urlAt(settings.MILLRACE_GATEWAY_HOST, port),
    probe: { kind: 'http', url: `${urlAt(settings.MILLRACE_GATEWAY_HOST, port)}/readyz` },
  };
}

/** Millrace's processes start concurrently with Triton and the LLM server: they tolerate a slow backend. */
const nodeProcess = (role: 'worker' | 'gateway', settings: Settings, { ffmpeg }: PartPrograms) => ({
  command: process.execPath,
  args: ['--enable-source-maps', CLI_MAIN, role],
  ...(ffmpeg && { env: { MILLRACE_FFMPEG: ffmpeg.program }, program: `ffmpeg ${describeFfmpeg(ffmpeg)}` }),
  // Relative paths of the user (MILLRACE_PIPELINES, MILLRACE_MODELS) refer to the folder in which `up` was called.
  cwd: process.cwd(),
  code: {
    folder: BUILD,
    modules: [settings.MILLRACE_PIPELINES, settings.config.file].flatMap((file) => (file ? [path.resolve(file)] : [])),
    files: [PACKAGE_FILE, ...(settings.MILLRACE_MODELS ? [path.resolve(settings.MILLRACE_MODELS)] : [])],
  },
  inherit: 'all' as const,
  needs: ['temporal', ...REDIS_PARTS] as const,
});

function required<T>(program: T | undefined, part: PartName): T {
  if (program === undefined) throw new TypeError(`the program of ${part} was not prepared`);
  return program;
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8);
