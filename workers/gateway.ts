import { once } from 'node:events';
import { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { Registry } from 'prom-client';
import { createGateway } from '../gateway/index.js';
import type { Plan } from '../pipelines/plan/index.js';
import { place } from '../placement/place.js';
import {
  Admission,
  Backlog,
  queueStats,
  RunSlots,
  runningRuns,
  stateOf,
  TenantTurns,
} from '../runs/admission/index.js';
import { TemporalRunList } from '../runs/list/index.js';
import { watchedFilesGauge } from '../runtime/watched-file.js';
import { Answers, RedisSentResults } from '../stores/answers/index.js';
import { RedisCallbacks } from '../stores/callbacks/index.js';
import { RedisChannelLog } from '../stores/channels/index.js';
import { RunErasure } from '../stores/erasure/index.js';
import { RunEventReader } from '../stores/events/index.js';
import { reportWrong } from '../stores/evidence/index.js';
import { FastJobs } from '../stores/jobs/index.js';
import { RedisRecords } from '../stores/records/index.js';
import { RedisLatestRuns } from '../stores/retries/index.js';
import { keptSecret, sharedSecret } from '../stores/secrets/index.js';
import { FactStore, SessionStore } from '../stores/sessions/index.js';
import { RedisSubscriptions } from '../stores/subscriptions/index.js';
import { lazyConnection, unreachable } from '../temporal/connect.js';
import type { TemporalServer } from '../temporal/options.js';
import { troubleOf } from '../temporal/trouble.js';
import { answersCheck } from './answers-check.js';
import { openPlacement } from './applied-placement.js';
import { openArtifacts } from './artifacts.js';
import { cannotListen } from './cannot-listen.js';
import { CodeWatch, missingCode } from './code-served.js';
import { connectorsOf } from './connectors.js';
import { endpointsOf, runPages, temporalServer } from './endpoints.js';
import { chooseFfmpeg } from './ffmpeg.js';
import { holdSignals } from './hold-signals.js';
import { openAccess } from './keys/index.js';
import { createLogger } from './logger.js';
import { loadModels, poolDescriptions } from './models.js';
import { openWebhooks } from './open-webhooks.js';
import { loadDeployment, requirePlaced } from './pipelines.js';
import { gatewayReadiness } from './readiness.js';
import { releaseOf } from './release.js';
import { sessionQuota } from './session-quota.js';
import type { Settings } from './settings.js';
import { openStore, watchStores } from './stores.js';
import { requireOneTemporal } from './temporal-packages.js';
import { logUnhandledRejections } from './unhandled-rejections.js';

/** Key of the secret with which gateways seal the cursors of lists. */
const CURSOR_SECRET = 'millrace:cursors';
/** Key of the secret with which gateways seal what their clients keep for them. */
const CLIENT_SECRET = 'millrace:client-secret';

/**
 * `millrace gateway`: serves all doors until SIGTERM or SIGINT, or until `end` aborts, then lets requests in progress
 * finish.
 */
export async function runGateway(settings: Settings, end?: AbortSignal): Promise<void> {
  requireOneTemporal();
  const logger = createLogger(settings, 'gateway');
  // A program that runs this as a part of it decides for itself, also below.
  const signals = end === undefined ? holdSignals() : undefined;
  const { temporalUi } = endpointsOf(settings);
  const temporal = temporalServer(settings);
  const namespace = settings.TEMPORAL_NAMESPACE;
  const { pipelines, functions } = await loadDeployment(settings);
  const poolOf = poolDescriptions(await loadModels(settings), connectorsOf(settings));
  // Reported now, not at the first run.
  requirePlaced(pipelines, poolOf, settings.MILLRACE_TASK_QUEUE);
  const applied = await openPlacement(settings, logger);
  const artifacts = await openArtifacts(settings, {
    maxBytes: settings.MILLRACE_MAX_AUDIO_BYTES,
    reserveBytes: settings.MILLRACE_DISK_RESERVE_BYTES,
  });
  // Lazy: while Temporal is unreachable the gateway responds "not ready" instead of not starting.
  const connection = lazyConnection(temporal);
  void logTrouble(temporal, logger);
  const redis = openStore(settings, 'state', logger);
  const subscriber = openStore(settings, 'state', logger);
  const listener = openStore(settings, 'state', logger);
  const cached = openStore(settings, 'cache', logger);
  const events = new RunEventReader(redis, listener);
  const access = await openAccess(settings, logger, redis);
  const registry = new Registry();
  const stopLogging = end === undefined ? logUnhandledRejections(logger, registry) : undefined;
  watchedFilesGauge(registry);
  const stores = await watchStores(settings, { state: redis }, { logger, registry });
  const temporalClient = new Client({ connection, namespace });
  const uiUrl = runPages(temporalUi, namespace);
  const placementOf = (plan: Plan) => place(plan, poolOf, settings.MILLRACE_TASK_QUEUE, applied.queuesOf);
  const runStateOf = (id: string) => stateOf(temporalClient, id);
  const { MILLRACE_SHED: shed, MILLRACE_TASK_QUEUE: taskQueue } = settings;
  const running = (tenant?: string) => runningRuns(temporalClient, taskQueue, tenant);
  const admission = new Admission({
    slots: new RunSlots({ redis, stateOf: runStateOf, logger }),
    backlog: shed === 'no' ? undefined : new Backlog((queue) => queueStats(temporalClient, queue), logger),
    turns: shed === 'yes' ? new TenantTurns(running, logger) : undefined,
    stateOf: runStateOf,
    taskQueue,
    logger,
    registry,
    state: stores.state,
  });
  const webhooks = openWebhooks(settings, logger);
  const at = { connection, namespace, taskQueue: settings.MILLRACE_TASK_QUEUE };
  const code = new CodeWatch(
    (signal) => connection.withAbortSignal(signal, () => missingCode(at, functions, redis)),
    registry,
  );
  const answers = new Answers(subscriber, logger);
  const { program: ffmpeg, why } = chooseFfmpeg(settings);
  logger.info({ ffmpeg, why }, 'ffmpeg');
  const app = await createGateway({
    authenticator: access.authenticator,
    admission,
    pipelines,
    doors: settings.config.doors,
    placementOf,
    temporal: temporalClient,
    taskQueue: settings.MILLRACE_TASK_QUEUE,
    artifacts,
    cache: { reportWrong: (tenant, by) => reportWrong(cached, tenant, by) },
    answers,
    sentResults: new RedisSentResults(redis),
    events,
    channels: new RedisChannelLog(redis, listener),
    list: new TemporalRunList({ temporal: temporalClient, uiUrl, secret: sharedSecret(redis, CURSOR_SECRET) }),
    clientSecret: keptSecret(redis, CLIENT_SECRET),
    latest: new RedisLatestRuns(redis),
    callbacks: new RedisCallbacks(redis),
    sessions: new SessionStore(redis, sessionQuota(settings)),
    facts: new FactStore(redis, sessionQuota(settings)),
    records: new RedisRecords({ redis, keptMs: settings.MILLRACE_RECORD_KEPT_MS }),
    erasure: new RunErasure(redis),
    webhooks,
    subscriptions: new RedisSubscriptions(redis),
    ...(settings.MILLRACE_FAST_PATH === 'on' && { fast: new FastJobs(redis, settings.MILLRACE_TASK_QUEUE) }),
    readiness: {
      ...gatewayReadiness({
        connection,
        namespace,
        taskQueue: settings.MILLRACE_TASK_QUEUE,
        redis,
        state: stores.state,
        artifacts,
      }),
      code: { critical: false, check: () => code.check() },
      answers: answersCheck(answers, registry),
      ...access.readiness,
    },
    limits: {
      maxAudioBytes: settings.MILLRACE_MAX_AUDIO_BYTES,
      mediaOrigins: settings.MILLRACE_MEDIA_ORIGINS,
      maxJsonBytes: settings.MILLRACE_MAX_JSON_BYTES,
      maxBodyMemoryBytes: settings.MILLRACE_MAX_BODY_MEMORY_BYTES,
      maxTenantBodyMemoryBytes: settings.MILLRACE_TENANT_BODY_MEMORY_BYTES,
      maxResponseMemoryBytes: settings.MILLRACE_MAX_RESPONSE_MEMORY_BYTES,
      maxTenantResponseMemoryBytes: settings.MILLRACE_TENANT_RESPONSE_MEMORY_BYTES,
      maxWaitMs: settings.MILLRACE_MAX_WAIT_MS,
      maxStreams: settings.MILLRACE_MAX_STREAMS,
      maxStreamsOfTenant: settings.MILLRACE_TENANT_STREAMS,
      longPolls: settings.MILLRACE_LONG_POLLS,
      uploadTimeoutMs: settings.MILLRACE_UPLOAD_TIMEOUT_MS,
      headersTimeoutMs: settings.MILLRACE_HEADERS_TIMEOUT_MS,
      maxConnections: settings.MILLRACE_MAX_CONNECTIONS,
      maxConnectionsPerAddress: settings.MILLRACE_MAX_CONNECTIONS_PER_ADDRESS,
    },
    ffmpeg,
    publicUrl: settings.MILLRACE_PUBLIC_URL,
    corsOrigins: settings.MILLRACE_CORS_ORIGINS,
    uiUrl,
    ...(servesGrpc(settings) && {
      grpc: { host: settings.MILLRACE_GATEWAY_HOST, port: settings.MILLRACE_KSERVE_GRPC_PORT },
    }),
    release: releaseOf(),
    logger,
    registry,
  });
  try {
    const { MILLRACE_GATEWAY_HOST: host, MILLRACE_GATEWAY_PORT: port, MILLRACE_KSERVE_GRPC_PORT: grpcPort } = settings;
    await app.listen({ host, port }).catch((error: NodeJS.ErrnoException & { readonly port?: number }) => {
      // Both doors are opened by this.
      if (error.port === grpcPort) throw cannotListen('MILLRACE_KSERVE_GRPC_PORT', { host, port: grpcPort }, error);
      throw cannotListen('MILLRACE_GATEWAY_PORT', { host, port }, error);
    });
    const ends = [once(process, 'SIGTERM'), once(process, 'SIGINT'), ...(end ? [once(end, 'abort')] : [])];
    if (!end?.aborted && !signals?.received.aborted) await Promise.race(ends);
  } finally {
    access.close();
    applied.close();
    webhooks.close();
    events.close();
    await app.close();
    stores.stop();
    listener.disconnect();
    cached.disconnect();
    redis.disconnect();
    subscriber.disconnect();
    await connection.close();
    stopLogging?.();
    signals?.release();
  }
}

/** Logs why Temporal is unreachable, and its address, for the operator; the public `/readyz` does not contain them. */
async function logTrouble(temporal: TemporalServer, logger: Logger): Promise<void> {
  const trouble = await troubleOf(temporal);
  if (!trouble) return;
  const { code, message } = unreachable(temporal, trouble);
  logger.error({ code }, message);
}

/** With an authenticating proxy, gRPC would bypass it, so it is off unless it is enabled explicitly. */
const servesGrpc = (settings: Settings): boolean =>
  settings.MILLRACE_KSERVE_GRPC_PORT !== 0 &&
  (settings.MILLRACE_PROXY_AUTHENTICATES === 'no' || settings.MILLRACE_PROXY_GRPC === 'on');
