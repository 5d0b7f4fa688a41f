import type { Connection } from '@temporalio/client';
import { MillraceError } from '../../pipelines/errors.js';
import { isLoopback } from '../../runtime/loopback.js';
import { CONNECT_MS, lazyConnection } from '../../temporal/connect.js';
import type { TemporalServer } from '../../temporal/options.js';
import { pollersOf } from '../../temporal/pollers.js';
import { missingAttributes, wantedAttributes } from '../../temporal/search-attributes.js';
import { troubleOf } from '../../temporal/trouble.js';
import { missingCode } from '../../workers/code-served.js';
import { endpointsOf, temporalServer } from '../../workers/endpoints.js';
import { loadDeployment } from '../../workers/pipelines.js';
import type { Settings } from '../../workers/settings.js';
import { type Check, errorText, type Finding, fail, pass, warn } from './finding.js';
import { foreignFindings } from './foreign-check.js';
import { CALL_MS } from './limits.js';

/** gRPC's status `NOT_FOUND`. */
const NOT_FOUND = 5;

export function temporalCheck(settings: Settings): Check {
  const { temporal: address } = endpointsOf(settings);
  const remedy =
    settings.TEMPORAL_ADDRESS === undefined
      ? 'start it with "millrace up", or set TEMPORAL_ADDRESS to your own'
      : 'start it, or correct TEMPORAL_ADDRESS';
  return {
    id: 'temporal.reachable',
    about: address,
    remedy,
    async run(signal) {
      try {
        return [
          ...keyFindings(settings, address),
          ...(await reach(temporalServer(settings), settings, remedy, signal)),
        ];
      } catch (error) {
        if (!(error instanceof MillraceError && error.code === 'INVALID_SETTING')) throw error;
        const [{ field, message } = { field: 'environment', message: error.message }] = error.details.fields ?? [];
        return [fail('settings.valid', field, message, 'correct it; worker and gateway do not start otherwise')];
      }
    },
  };
}

async function reach(
  server: TemporalServer,
  settings: Settings,
  remedy: string,
  signal: AbortSignal,
): Promise<Finding[]> {
  // The SDK would retry an unreachable server for longer than the timeout of a check.
  const connection = lazyConnection(server, { retries: false });
  const close = () => void connection.close();
  signal.addEventListener('abort', close, { once: true });
  try {
    const reachable = await reachableFinding(connection, server, remedy);
    if (reachable.state === 'fail') return [reachable];
    const more = await connection.withDeadline(Date.now() + CALL_MS, () => checkServer(connection, settings));
    return [reachable, ...more];
  } finally {
    signal.removeEventListener('abort', close);
    await connection.close();
  }
}

async function reachableFinding(connection: Connection, server: TemporalServer, remedy: string): Promise<Finding> {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_TLS: tls, TEMPORAL_API_KEY: key } = server;
  const started = performance.now();
  try {
    const { serverVersion } = await connection.withDeadline(Date.now() + CONNECT_MS, () =>
      connection.workflowService.getSystemInfo({}),
    );
    const certified = server.TEMPORAL_TLS_CLIENT_CERT_PATH ?? server.TEMPORAL_TLS_CLIENT_CERT_DATA;
    const how = [
      ...(tls === 'true' ? ['over TLS'] : []),
      ...(tls === 'true' && certified !== undefined ? ['with a client certificate'] : []),
      ...(key === undefined ? [] : ['with an API key']),
    ];
    const detail = [`Temporal ${serverVersion || 'of unknown version'}`, ...how].join(', ');
    return pass('temporal.reachable', address, detail, performance.now() - started);
  } catch (error) {
    const trouble = (await troubleOf(server)) ?? { cause: errorText(error) };
    return fail('temporal.reachable', address, trouble.cause, trouble.remedy ?? remedy);
  }
}

/** A warning only: a server inside a private network may have no TLS. */
function keyFindings(settings: Settings, address: string): Finding[] {
  const { TEMPORAL_API_KEY: key, TEMPORAL_TLS: tls } = settings;
  if (key === undefined || tls === 'true' || isLoopback(address)) return [];
  const detail = 'the API key is sent in plain text: it can be read in transit';
  return [warn('temporal.key', address, detail, 'set TEMPORAL_TLS=true, and TEMPORAL_ADDRESS to a TLS port')];
}

async function checkServer(connection: Connection, settings: Settings): Promise<Finding[]> {
  const namespace = settings.TEMPORAL_NAMESPACE;
  const found = await namespaceFinding(connection, namespace);
  if (found.state === 'fail') return [found];
  return [
    found,
    await attributesFinding(connection, namespace),
    await workerFinding(connection, namespace, settings.MILLRACE_TASK_QUEUE),
    ...(await codeFindings(connection, settings)),
    ...(await foreignFindings(connection, settings)),
  ];
}

async function namespaceFinding(connection: Connection, namespace: string): Promise<Finding> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return pass('temporal.namespace', namespace, 'exists');
  } catch (error) {
    const missing = (error as { code?: unknown }).code === NOT_FOUND;
    const detail = missing ? 'Temporal has no namespace of this name' : errorText(error);
    const remedy = missing
      ? `create it with "temporal operator namespace create --namespace ${namespace}", or correct TEMPORAL_NAMESPACE`
      : 'check the permissions of this client in Temporal';
    return fail('temporal.namespace', namespace, detail, remedy);
  }
}

async function attributesFinding(connection: Connection, namespace: string): Promise<Finding> {
  const remedy = `start a worker once, which adds them; in Temporal Cloud add them by hand: ${wantedAttributes()}`;
  try {
    const missing = await missingAttributes(connection, namespace);
    if (missing.length === 0) return pass('temporal.attributes', namespace, wantedAttributes());
    return fail('temporal.attributes', namespace, `missing: ${missing.join(', ')}`, remedy);
  } catch (error) {
    return fail('temporal.attributes', namespace, errorText(error), remedy);
  }
}

/**
 * Whether workers have the functions that new runs need. A module that cannot be loaded is reported by another check.
 */
async function codeFindings(connection: Connection, settings: Settings): Promise<Finding[]> {
  const { MILLRACE_TASK_QUEUE: taskQueue } = settings;
  const deployment = await loadDeployment(settings).catch(() => undefined);
  if (!deployment || deployment.functions.length === 0) return [];
  const at = { connection, namespace: settings.TEMPORAL_NAMESPACE, taskQueue };
  const missing = await missingCode(at, deployment.functions);
  const count = deployment.functions.length;
  if (missing.length === 0) return [pass('temporal.code', taskQueue, `workers have all ${count} functions`)];
  const remedy = 'start workers of this build; until then new runs wait at these functions';
  return [fail('temporal.code', taskQueue, `no worker has ${missing.join(', ')}`, remedy)];
}

async function workerFinding(connection: Connection, namespace: string, queue: string): Promise<Finding> {
  const remedy =
    'start a worker with "millrace up" or "millrace worker"; MILLRACE_TASK_QUEUE must be the same everywhere';
  const workers = new Set<string>();
  for (const what of ['workflows', 'stages'] as const) {
    const alive = await pollersOf(connection, namespace, queue, what);
    if (alive.length === 0) {
      const detail = `no worker polls the task queue "${queue}" for ${what}: runs wait`;
      return fail('temporal.worker', queue, detail, remedy);
    }
    for (const name of alive) workers.add(name);
  }
  return pass('temporal.worker', queue, `${workers.size} workers: ${[...workers].join(', ')}`);
}
