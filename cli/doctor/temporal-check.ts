import { Connection } from '@temporalio/client';
import { SEARCH_ATTRIBUTES } from '../../pipelines/run/index.js';
import { isLoopback } from '../../runtime/loopback.js';
import { pollersOf } from '../../temporal/pollers.js';
import { missingCode } from '../../workers/code-served.js';
import { endpointsOf } from '../../workers/endpoints.js';
import { loadDeployment } from '../../workers/pipelines.js';
import type { Settings } from '../../workers/settings.js';
import { type Check, type Finding, fail, pass, told } from './finding.js';
import { CALL_MS } from './limits.js';

/** Longest wait for the first answer: it takes milliseconds, with a TLS handshake over an ocean less than a second. */
const CONNECT_MS = 3_000;

/** gRPC's status for what is not there. */
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
      const connection = Connection.lazy({
        address,
        // The default tries an absent server again and again for longer than a check may take.
        interceptors: [],
        ...(isLoopback(address) && { channelArgs: { 'grpc.enable_http_proxy': 0 } }),
      });
      const close = () => void connection.close();
      signal.addEventListener('abort', close, { once: true });
      try {
        return await connection.withDeadline(Date.now() + CALL_MS, () => look(connection, address, settings));
      } finally {
        signal.removeEventListener('abort', close);
        await connection.close();
      }
    },
  };
}

async function look(connection: Connection, address: string, settings: Settings): Promise<Finding[]> {
  const namespace = settings.TEMPORAL_NAMESPACE;
  const started = performance.now();
  const { serverVersion } = await connection.withDeadline(Date.now() + CONNECT_MS, () =>
    connection.workflowService.getSystemInfo({}),
  );
  const ms = performance.now() - started;
  const reachable = pass('temporal.reachable', address, `Temporal ${serverVersion ?? 'of unknown version'}`, ms);
  const found = await namespaceFinding(connection, namespace);
  if (found.state === 'fail') return [reachable, found];
  return [
    reachable,
    found,
    await attributesFinding(connection, namespace),
    await workerFinding(connection, namespace, settings.MILLRACE_TASK_QUEUE),
    ...(await codeFindings(connection, settings)),
  ];
}

async function namespaceFinding(connection: Connection, namespace: string): Promise<Finding> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
    return pass('temporal.namespace', namespace, 'there');
  } catch (error) {
    const missing = (error as { code?: unknown }).code === NOT_FOUND;
    const detail = missing ? 'Temporal has no namespace of this name' : told(error);
    const remedy = missing
      ? `make it with "temporal operator namespace create --namespace ${namespace}", or correct TEMPORAL_NAMESPACE`
      : 'look at the rights of this client in Temporal';
    return fail('temporal.namespace', namespace, detail, remedy);
  }
}

async function attributesFinding(connection: Connection, namespace: string): Promise<Finding> {
  const wanted: readonly string[] = Object.values(SEARCH_ATTRIBUTES);
  const remedy =
    'start a worker once, which adds them; at Temporal Cloud add them by hand (Keyword; MillraceCacheHit: Bool)';
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = wanted.filter((name) => !Object.hasOwn(customAttributes ?? {}, name));
    if (missing.length === 0) return pass('temporal.attributes', namespace, wanted.join(', '));
    return fail('temporal.attributes', namespace, `missing: ${missing.join(', ')}`, remedy);
  } catch (error) {
    return fail('temporal.attributes', namespace, told(error), remedy);
  }
}

/** Whether workers have the functions that new runs will need. A module that cannot be loaded is another check's to tell. */
async function codeFindings(connection: Connection, settings: Settings): Promise<Finding[]> {
  const { MILLRACE_PIPELINES: module, MILLRACE_BUILD_ID: build, MILLRACE_TASK_QUEUE: taskQueue } = settings;
  const deployment = await loadDeployment(module, build).catch(() => undefined);
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
      const detail = `no worker takes ${what} of the task queue "${queue}": runs wait and do nothing`;
      return fail('temporal.worker', queue, detail, remedy);
    }
    for (const name of alive) workers.add(name);
  }
  return pass('temporal.worker', queue, `${workers.size} of them: ${[...workers].join(', ')}`);
}
