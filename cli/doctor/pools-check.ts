import type { Backend, Connectors, RegisteredConnector } from '../../activities/connectors/index.js';
import { connectorOf, connectTo, type ModelsConfig } from '../../activities/pools/index.js';
import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import { endpointFinder } from '../../workers/discovery.js';
import { keysOf } from '../../workers/pool-keys.js';
import type { Settings } from '../../workers/settings.js';
import { modelsSource } from '../models-source.js';
import { type Check, errorText, type Finding, type FindingId, fail, pass, warn } from './finding.js';
import { CALL_MS } from './limits.js';

type PoolConfig = ModelsConfig[string];

/**
 * A canary is the smallest call; if it takes longer than this, in milliseconds, the server is overloaded or still
 * warming up.
 */
const SLOW_MS = 5_000;

/** What to do about a server that answers, but not to a call of the model. */
const BUSY = 'wait if the server is busy with other calls; if it is idle, the model hangs: restart it';

/** The finding of a canary's error, if it is not a failure of the call itself. */
const FINDING_OF: Partial<Record<ErrorCode, FindingId>> = {
  BACKEND_UNAVAILABLE: 'pool.reachable',
  BACKEND_TIMEOUT: 'pool.reachable',
  MODEL_NOT_FOUND: 'pool.model',
};

/**
 * One check per pool: its endpoints, those that `discover` finds now, are called concurrently, each with the smallest
 * real call of its kind.
 */
export function poolChecks(settings: Settings, models: ModelsConfig, connectors: Connectors): readonly Check[] {
  const find = endpointFinder(settings);
  return Object.entries(models).map(([name, pool]) => ({
    id: 'pool.reachable' as const,
    about: name,
    remedy: whereToLook(settings, pool.connector),
    async run(signal) {
      let connector: RegisteredConnector;
      try {
        connector = connectorOf(name, pool, connectors);
      } catch (error) {
        const models = modelsSource(settings) ?? 'the file of MILLRACE_MODELS';
        return [fail('settings.models', name, errorText(error), `correct ${models}`)];
      }
      const endpoints = await find(name, pool, signal).catch(errorText);
      if (typeof endpoints === 'string') return [fail('pool.reachable', name, endpoints, searchRemedy(settings))];
      if (endpoints.length === 0)
        return [fail('pool.reachable', name, 'its discover finds no server', searchRemedy(settings))];
      const checks = endpoints.map(async (endpoint): Promise<EndpointCheck> => {
        const { url, device } = endpoint;
        let backend: Backend;
        try {
          backend = connectTo(connector, endpoint, pool);
        } catch (error) {
          // Opening a client makes no call, so an error here is about the address as written.
          return {
            findings: [fail('settings.models', `${name} at ${url}`, errorText(error), addressRemedy(settings, pool))],
          };
        }
        try {
          const checked = await checkEndpoint(backend, { name, pool, device, settings }, signal);
          return { ...checked, findings: [...openKey(name, url, pool, connector, settings), ...checked.findings] };
        } finally {
          backend.close();
        }
      });
      const all = await Promise.all(checks);
      return [...all.flatMap(({ findings }) => findings), ...agreement(name, all)];
    },
  }));
}

/** Warns if a key is sent in plain text. */
function openKey(
  name: string,
  url: string,
  { apiKey }: PoolConfig,
  { takesKey }: RegisteredConnector,
  settings: Settings,
): Finding[] {
  if (!takesKey || !url.startsWith('http:') || keysOf(settings)(url, apiKey) === undefined) return [];
  if (isLoopbackName(new URL(url).hostname)) return [];
  const detail = 'its key is sent over plain http: it can be read in transit';
  return [warn('pool.key', `${name} at ${url}`, detail, 'use https, or a server that needs no key')];
}

interface About {
  readonly name: string;
  readonly pool: PoolConfig;
  /** Label of the endpoint's device. */
  readonly device: string;
  readonly settings: Settings;
}

interface EndpointCheck {
  readonly findings: readonly Finding[];
  /** Version of the model, if the endpoint reveals it. */
  readonly version?: string;
}

async function checkEndpoint(backend: Backend, subject: About, signal: AbortSignal): Promise<EndpointCheck> {
  const { name, pool } = subject;
  const about = `${name} at ${backend.endpoint}`;
  const started = performance.now();
  try {
    await limited(CALL_MS, signal, (own) => backend.probe(pool.model, pool.kind, own));
  } catch (error) {
    if (!pool.load || !(error instanceof MillraceError && error.code === 'MODEL_NOT_FOUND')) {
      const id = isTimeout(error) && (await answers(backend, pool.model, signal)) ? 'pool.canary' : undefined;
      return { findings: failure(error, backend.endpoint, subject, id) };
    }
    const detail = `"${pool.model}" is not loaded now: workers load it on demand`;
    return { findings: [pass('pool.reachable', about, 'it answers'), pass('pool.model', about, detail)] };
  }
  const ms = performance.now() - started;
  const tensors = [
    ...(await tensorFindings(backend, about, subject, signal)),
    ...(await sharedMemoryFindings(backend, about, signal)),
  ];
  const answer = `a call (${pool.kind}) took ${Math.round(ms)} ms`;
  const slow = warn(
    'pool.canary',
    about,
    answer,
    'check the load of the server; a model that was just loaded is still warming up',
  );
  const canary = ms > SLOW_MS ? { ...slow, ms: Math.round(ms) } : pass('pool.canary', about, answer, ms);
  const reachable = pass('pool.reachable', about, `${pool.connector}, on ${subject.device}`);
  try {
    const version = await limited(CALL_MS, signal, (own) => backend.fingerprint(pool.model, own));
    const model = pass('pool.model', about, `"${pool.model}", version ${version}`);
    return { findings: [reachable, model, ...tensors, canary], version };
  } catch (error) {
    const remedy = 'none if the server does not list its models; caches then do not detect new weights';
    return {
      findings: [
        reachable,
        warn('pool.model', about, `its version is unknown (${errorText(error)})`, remedy),
        ...tensors,
        canary,
      ],
    };
  }
}

/** The pool's tensor map, a finding for each tensor; none where the tensors are those of Millrace's own models. */
async function tensorFindings(
  backend: Backend,
  about: string,
  { pool: { model, kind, options } }: About,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (!backend.tensors || options?.tensors === undefined) return [];
  try {
    const lines = await limited(CALL_MS, signal, async (own) => backend.tensors?.(model, kind, own) ?? []);
    return lines.map((line) => pass('pool.tensors', about, line));
  } catch (error) {
    return [fail('pool.tensors', about, errorText(error), 'correct options.tensors of the pool')];
  }
}

/** Whether large tensors go by shared memory, of a pool that asks for it. */
async function sharedMemoryFindings(backend: Backend, about: string, signal: AbortSignal): Promise<readonly Finding[]> {
  const shared = await limited(CALL_MS, signal, async (own) => backend.sharedMemory?.(own)).catch((error) => ({
    refused: errorText(error),
  }));
  if (!shared) return [];
  if (shared.refused === undefined) return [pass('pool.shm', about, 'large tensors go by shared memory')];
  const remedy =
    'let doctor, workers and server have one /dev/shm (containers: --ipc=host) with room for it, and one user; or remove options.sharedMemoryBytes of the pool';
  return [warn('pool.shm', about, `large tensors go by value: ${shared.refused}`, remedy)];
}

const codeOf = (error: unknown): ErrorCode => (error instanceof MillraceError ? error.code : 'BACKEND_TIMEOUT');
const isTimeout = (error: unknown): boolean => codeOf(error) === 'BACKEND_TIMEOUT';

/** Whether a server whose model does not end a call still says what it serves. */
const answers = (backend: Backend, model: string, signal: AbortSignal): Promise<boolean> =>
  limited(CALL_MS, signal, (own) => backend.fingerprint(model, own)).then(
    () => true,
    () => false,
  );

/** The finding of a canary's error. A server that rejects a model is reachable, and so is one that is only busy. */
function failure(error: unknown, endpoint: string, subject: About, given?: FindingId): Finding[] {
  const { name, pool, settings } = subject;
  const about = `${name} at ${endpoint}`;
  const code = codeOf(error);
  const id = given ?? FINDING_OF[code] ?? 'pool.canary';
  // Connectors start messages with the model and the endpoint, which the line contains already.
  const detail = errorText(error).replace(`${pool.model} at ${endpoint}: `, '');
  const remedy = id === 'pool.canary' && isTimeout(error) ? BUSY : remedyOf(code, pool, settings);
  const finding = fail(id, about, detail, remedy);
  return id === 'pool.reachable' ? [finding] : [pass('pool.reachable', about, 'it answers'), finding];
}

function remedyOf(code: ErrorCode, pool: PoolConfig, settings: Settings): string {
  const models = modelsSource(settings);
  switch (code) {
    case 'BACKEND_UNAVAILABLE':
    case 'BACKEND_TIMEOUT':
      return whereToLook(settings, pool.connector);
    case 'MODEL_NOT_FOUND':
      return pool.connector === 'openai' && models === undefined
        ? `serve "${pool.model}", or correct LLM_MODEL`
        : `load "${pool.model}" at the server, or correct its name in ${models ?? 'MILLRACE_MODELS'}`;
    case 'BACKEND_UNAUTHORIZED':
      if (models === undefined) return 'correct LLM_API_KEY';
      return pool.apiKey === undefined
        ? `set the key’s source in ${models}: "apiKey": { "env": … }; LLM_API_KEY goes to LLM_BASE_URL only`
        : `correct the key that "apiKey" of the pool in ${models} names`;
    case 'BACKEND_OVERLOADED':
    case 'BACKEND_RATE_LIMITED':
      return 'wait, or add an endpoint to the pool';
    case 'BACKEND_BROKEN':
      return 'a worker repairs it within its canary interval; if the error persists, read the server’s log';
    case 'BACKEND_REJECTED':
      return pool.options?.tensors === undefined
        ? `compare the model’s tensors or the server’s API with what a ${pool.kind} stage sends`
        : 'correct options.tensors of the pool';
    default:
      return 'read the server’s log for this call';
  }
}

const addressRemedy = (settings: Settings, { connector }: PoolConfig): string =>
  `correct ${modelsSource(settings) ?? addressSetting(settings, connector)[0]}; gateway and worker do not start without it`;

const searchRemedy = (settings: Settings): string =>
  `start its servers, or correct discover of the pool in ${modelsSource(settings) ?? 'the models'}`;

const addressSetting = (settings: Settings, connector: string) =>
  connector === 'triton'
    ? (['TRITON_URL', settings.TRITON_URL] as const)
    : (['LLM_BASE_URL', settings.LLM_BASE_URL] as const);

/** The setting with the addresses of the endpoints, or the command that starts them. */
function whereToLook(settings: Settings, connector: string): string {
  const models = modelsSource(settings);
  if (models !== undefined) return `start the server, or correct its url in ${models}`;
  const [setting, given] = addressSetting(settings, connector);
  return given === undefined
    ? `start the embedded one with "millrace up", or set ${setting} to your own`
    : `start the server, or correct ${setting}`;
}

/** Endpoints with different weights give different answers, and caches mix them up. */
function agreement(name: string, checks: readonly EndpointCheck[]): Finding[] {
  const versions = new Set(checks.flatMap(({ version }) => (version === undefined ? [] : [version])));
  if (checks.length < 2 || versions.size === 0) return [];
  if (versions.size === 1) return [pass('pool.agreement', name, `${checks.length} endpoints, one version`)];
  const detail = `its endpoints have ${versions.size} versions of the model: ${[...versions].join(', ')}`;
  return [warn('pool.agreement', name, detail, 'deploy the same weights to all of them, or make two pools')];
}
