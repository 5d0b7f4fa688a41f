import path from 'node:path';
import type { Redis } from 'ioredis';
import type { Logger } from 'pino';
import {
  Budget,
  ExactCache,
  embedderOf,
  entailmentOf,
  judgeOf,
  SemanticCache,
  VectorCache,
  withVectorCache,
} from '../activities/cache/index.js';
import type { Connector } from '../activities/connectors/index.js';
import { mcpKinds, serversWhenUsed } from '../activities/mcp/index.js';
import { mediaKinds } from '../activities/media/index.js';
import type { Pools } from '../activities/pools/index.js';
import { resultKind } from '../activities/results/index.js';
import { sandboxKind } from '../activities/sandbox/index.js';
import { memoryKind, sessionKind } from '../activities/sessions/index.js';
import { CodeFunctions } from '../activities/stage/code-functions.js';
import { ForeignCalls } from '../activities/stage/foreign-calls.js';
import { StageRunner, type StageRunnerParts } from '../activities/stage/stage-runner.js';
import { toolSearchKind } from '../activities/tool-search/index.js';
import { indexKinds } from '../activities/vector-index/index.js';
import {
  audioLike,
  conformInput,
  convertAudio,
  createAudioPort,
  createBytesPort,
  createCodeArtifacts,
  joinAudio,
} from '../media/index.js';
import type { Pipeline } from '../pipelines/index.js';
import type { JsonObject } from '../pipelines/json.js';
import { kindsByName } from '../pipelines/stages/index.js';
import { withOutputBudget } from '../stores/artifacts/index.js';
import { RedisChannelLog } from '../stores/channels/index.js';
import { RunEventLog } from '../stores/events/index.js';
import { RedisRecords, spillTo } from '../stores/records/index.js';
import { isFull, LossWatch } from '../stores/redis/index.js';
import { FactStore, SessionStore } from '../stores/sessions/index.js';
import { createMetrics, type Metrics } from '../telemetry/metrics.js';
import { RationedWarnings } from '../telemetry/warnings.js';
import { openArtifacts } from './artifacts.js';
import { callbackPort } from './callbacks.js';
import { chooseFfmpeg } from './ffmpeg.js';
import { loadMcpServers } from './mcp-servers.js';
import { watchModels } from './models.js';
import { openPassageIndex } from './passage-index.js';
import { fileOfPipelines, loadDeployment } from './pipelines.js';
import { openPools } from './pools.js';
import { loadSandboxes } from './sandboxes.js';
import { sessionQuota } from './session-quota.js';
import type { Settings } from './settings.js';
import { openStore, type WatchedStores, watchStores } from './stores.js';

/** What running stages takes, composed from the settings. */
export interface Stages {
  readonly runner: StageRunner;
  /** What happens around the calls of other workers. */
  readonly foreign: ForeignCalls;
  readonly pools: Pools;
  readonly metrics: Metrics;
  readonly pipelines: readonly Pipeline[];
  readonly code: CodeFunctions;
  /** The state store, for the journals of segments. */
  readonly redis: Redis;
  /** Tells when the state store has lost data. */
  readonly losses: LossWatch;
  /** Events of stages and workflows, for followers of runs. */
  readonly events: RunEventLog;
  /** Watches of the stores that must not evict. */
  readonly stores: WatchedStores;
  close(): Promise<void>;
}

/** Workers reserve this fraction (1/n) of the disk reserve; uploads reserve all of it. */
const WORKERS_SHARE_OF_RESERVE = 4;

/** @param outside connectors besides Millrace's own; default: those of the configuration */
export async function composeStages(
  settings: Settings,
  logger: Logger,
  outside: readonly Connector[] = settings.config.connectors,
): Promise<Stages> {
  const metrics = createMetrics();
  const { pipelines, functions, kinds } = await loadDeployment(settings);
  const module = fileOfPipelines(settings);
  const code = new CodeFunctions(functions);
  const redis = openStore(settings, 'state', logger);
  const cached = openStore(settings, 'cache', logger);
  const pools = await openPools(settings, { metrics, logger, redis }, outside);
  const models = watchModels(settings, pools, logger);
  const budget = new Budget(cached, settings.MILLRACE_TENANT_CACHE_HELD_BYTES);
  const allowances = {
    tenantBytesPerHour: settings.MILLRACE_TENANT_CACHE_BYTES || undefined,
    principalBytesPerHour: settings.MILLRACE_CALLER_CACHE_BYTES || undefined,
  };
  const caching = { redis: cached, metrics, logger, budget, ...allowances };
  const vectors = new VectorCache(cached, logger, budget, allowances);
  const embedderFor = (name: string) =>
    withVectorCache(embedderOf(pools, name), vectors, async (signal) => pools.get(name).answersAs(signal));
  const cache = new SemanticCache({
    ...caching,
    embedderFor,
    judgeFor: (name) => judgeOf(pools, name),
    entailmentFor: (name, label) => entailmentOf(pools, name, label),
  });
  const passages = openPassageIndex(settings, embedderFor, logger);
  const mcp = serversWhenUsed(await loadMcpServers(settings));
  const sandboxes = await loadSandboxes(settings);
  const artifacts = await openArtifacts(settings, {
    reserveBytes: settings.MILLRACE_DISK_RESERVE_BYTES / WORKERS_SHARE_OF_RESERVE,
  });
  const ofOneCall = () => withOutputBudget(artifacts, settings.MILLRACE_MAX_STAGE_MEDIA_BYTES);
  const { program: ffmpeg, why } = chooseFfmpeg(settings);
  logger.info({ ffmpeg, why }, 'ffmpeg');
  const watched = { state: redis, index: passages.redis, cache: cached };
  const stores = await watchStores(settings, watched, { logger, registry: metrics.registry });
  const losses = new LossWatch(redis).start();
  const warnings = new RationedWarnings(logger);
  const events = new RunEventLog(redis, (error) => {
    metrics.eventsLost.inc({ why: isFull(error) ? 'full' : 'away' });
    warnings.warn('events', { err: error }, 'events of runs are lost: cannot write them to the state store');
  });
  const records = new RedisRecords({
    redis,
    spill: spillTo(artifacts),
    keptMs: settings.MILLRACE_RECORD_KEPT_MS,
    room: () => stores.state.roomy,
    onGap(error) {
      metrics.recordGaps.inc();
      warnings.warn('records', { err: error }, 'the records of runs have gaps: resuming these runs repeats calls');
    },
  });
  const artifactsOf: StageRunnerParts['artifactsOf'] = (tenant, onConversion, signal) =>
    createCodeArtifacts(ofOneCall(), tenant, {
      onConversion,
      ffmpeg,
      signal,
      mostBytes: settings.MILLRACE_MAX_STAGE_MEDIA_BYTES,
    });
  const subscriber = openStore(settings, 'state', logger);
  const channels = new RedisChannelLog(redis, subscriber);
  const runner = new StageRunner({
    streams: {
      channels,
      join: (tenant, pieces, signal) => joinAudio(artifacts, tenant, pieces, { ffmpeg, signal }),
      convert: (tenant, piece, first, signal) => audioLike(artifacts, tenant, piece, first, { ffmpeg, signal }),
    },
    pools,
    cache,
    exact: new ExactCache(caching),
    vectors,
    indexVersion: (tenant, index) => passages.index.version({ tenant, index }),
    hasArtifact: (tenant, uri) =>
      artifacts.stat(tenant, uri).then(
        () => true,
        () => false,
      ),
    audioOf: (tenant, onConversion, signal) => createAudioPort(ofOneCall(), tenant, { onConversion, ffmpeg, signal }),
    bytesOf: (tenant) => createBytesPort(artifacts, tenant),
    callbacks: callbackPort(settings, redis),
    artifactsOf,
    conform: async (schema, input, { tenant, signal, onConversion }) => {
      const store = ofOneCall();
      return (await conformInput(schema, input, (artifact, format, at) =>
        convertAudio(store, tenant, artifact, format, {
          ffmpeg,
          signal,
          onConversion: (text) => onConversion(`${at}: ${text}`),
        }),
      )) as JsonObject;
    },
    code,
    kinds: kindsByName(kinds),
    sources: module && path.dirname(path.resolve(module)),
    events,
    records,
    workerKinds: new Map([
      ...indexKinds(passages.index),
      ...mcpKinds(mcp, ofOneCall),
      ['sandbox', sandboxKind(sandboxes, ofOneCall)],
      ['tool-search', toolSearchKind(embedderFor)],
      ['result', resultKind((tenant, signal) => artifactsOf(tenant, () => undefined, signal))],
      ['session', sessionKind(new SessionStore(redis, sessionQuota(settings)))],
      ['memory', memoryKind(new FactStore(redis, sessionQuota(settings)))],
      ...mediaKinds({ storeOf: ofOneCall, ffmpeg }),
    ]),
    metrics,
    logger,
  });
  logger.info({ cache: await cache.describe() }, 'semantic cache');
  return {
    runner,
    foreign: new ForeignCalls({ events, records, metrics, logger, streams: { channels } }),
    pools,
    metrics,
    pipelines,
    code,
    redis,
    losses,
    events,
    stores,
    async close() {
      stores.stop();
      models?.close();
      pools.close();
      redis.disconnect();
      subscriber.disconnect();
      cached.disconnect();
      passages.redis.disconnect();
      await Promise.all([mcp.close(), sandboxes.close()]);
    },
  };
}
