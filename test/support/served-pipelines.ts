import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { type Connector, createConnectors } from '../../activities/connectors/index.js';
import { createGateway, type Door } from '../../gateway/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { Problem } from '../../pipelines/run/document.js';
import { place } from '../../placement/place.js';
import type { RunDocument } from '../../runs/document.js';
import { Answers, RedisSentResults } from '../../stores/answers/index.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { RedisChannelLog } from '../../stores/channels/index.js';
import { RunEventReader } from '../../stores/events/index.js';
import { FastJobs } from '../../stores/jobs/index.js';
import { RedisRecords } from '../../stores/records/index.js';
import { connected } from '../../stores/redis/index.js';
import { RedisLatestRuns } from '../../stores/retries/index.js';
import { SessionStore } from '../../stores/sessions/index.js';
import { artifactsFolder } from '../../workers/artifacts.js';
import { composeStages } from '../../workers/compose.js';
import { chooseFfmpeg } from '../../workers/ffmpeg.js';
import { createLogger } from '../../workers/logger.js';
import { loadModels, poolDescriptions } from '../../workers/models.js';
import { address, connect, until } from './runs.js';
import { testSettings } from './settings.js';
import { TestWorker, testRedis } from './test-worker.js';

const MEBIBYTE = 1024 * 1024;
/** A loaded machine may take long to connect. */
const CONNECT_MS = 60_000;

/** A gateway and a worker of the sources, in the test's own process, on the stack's real servers. */
export interface ServedPipelines {
  post(pipeline: string, body: Body, headers?: Record<string, string>): Promise<Response>;
  /** Sends JSON and waits for the result. */
  run(pipeline: string, input: object, headers?: Record<string, string>): Promise<RunDocument>;
  get(id: string): Promise<RunDocument>;
  /** Base URL of the gateway. */
  readonly url: string;
  /** The runs whose results came to their callers from the worker, ahead of Temporal; once for each caller. */
  readonly early: readonly string[];
  close(): Promise<void>;
}
type Body = NonNullable<RequestInit['body']>;

/**
 * @param answersRedis where the gateway waits for results, which is where the worker sends them; the stack's by default
 * @param fast whether interactive runs go past Temporal
 * @param more settings of the worker
 * @param queue the worker's task queue; one of its own by default
 * @param connectors connectors besides Millrace's own
 * @param doors doors of the gateway besides its own
 */
export async function servePipelines(
  pipelines: readonly Pipeline<never>[],
  {
    answersRedis = address('REDIS_URL'),
    fast = false,
    more = {},
    queue = `served-${randomUUID()}`,
    connectors = [],
    doors = [],
  }: {
    answersRedis?: string;
    fast?: boolean;
    more?: Record<string, string>;
    queue?: string;
    connectors?: readonly Connector[];
    doors?: readonly Door[];
  } = {},
): Promise<ServedPipelines> {
  const settings = testSettings({ MILLRACE_PIPELINES: '', MILLRACE_LOG_LEVEL: 'silent', ...more });
  const logger = pino({ level: 'silent' });
  const stages = await composeStages(settings, createLogger(settings, 'test'), connectors);
  const poolOf = poolDescriptions(await loadModels(settings), createConnectors({ outside: connectors }));
  const connection = async () => {
    const redis = testRedis(answersRedis);
    // Commands before that are rejected: a first run would take the long way, and a request would get no answer.
    await connected(redis, CONNECT_MS);
    return redis;
  };
  const [journals, subscriber, reading, listener] = [
    await connection(),
    await connection(),
    await connection(),
    await connection(),
  ];
  const [client, worker] = await Promise.all([
    connect(),
    TestWorker.start({
      queue,
      runner: stages.runner,
      code: stages.code,
      foreign: stages.foreign,
      redis: journals,
      ...(fast && { fast: answersRedis }),
    }),
  ]);
  const answers = new Answers(subscriber, logger);
  const events = new RunEventReader(reading, listener);
  const early: string[] = [];
  const fastPath = new FastJobs(reading, queue);
  const expecting: Answers['expect'] = async (run, signal) => {
    const result = await answers.expect(run, signal);
    if (result) early.push(run);
    return result;
  };
  const app = await createGateway({
    pipelines,
    doors,
    placementOf: (plan) => place(plan, poolOf, queue),
    temporal: client,
    taskQueue: queue,
    artifacts: await openFileStore(artifactsFolder(settings)),
    ffmpeg: chooseFfmpeg(settings).program,
    answers: {
      get channel() {
        return answers.channel;
      },
      expect: expecting,
      outcome: (run, signal) => answers.outcome(run, signal),
    },
    sentResults: new RedisSentResults(reading),
    ...(fast && { fast: fastPath }),
    latest: new RedisLatestRuns(reading),
    sessions: new SessionStore(reading),
    records: new RedisRecords({ redis: reading, keptMs: settings.MILLRACE_RECORD_KEPT_MS }),
    events,
    channels: new RedisChannelLog(reading, listener),
    readiness: {},
    limits: { maxAudioBytes: 64 * MEBIBYTE, maxJsonBytes: MEBIBYTE, maxWaitMs: 100_000, uploadTimeoutMs: 30_000 },
    uiUrl: (id) => `http://127.0.0.1:${settings.MILLRACE_TEMPORAL_UI_PORT}/namespaces/default/workflows/${id}`,
    logger,
    registry: new Registry(),
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  const post: ServedPipelines['post'] = (pipeline, body, headers = {}) =>
    fetch(`${base}/v1/pipelines/${pipeline}`.replace(/(\?|$)/, '/runs$1'), { method: 'POST', body, headers });
  /** The end of a run that has taken longer than its caller waits: a loaded machine writes a token a second. */
  async function succeeded(id: string, { 'millrace-tenant': tenant }: Record<string, string>): Promise<RunDocument> {
    const headers = tenant === undefined ? {} : { 'millrace-tenant': tenant };
    const read = async () => (await (await fetch(`${base}/v1/runs/${id}`, { headers })).json()) as RunDocument;
    let run = await read();
    // Where Temporal stands still there is a problem document.
    await until('the run has ended', async () => {
      run = await read();
      return run.id === id && run.status !== 'running';
    });
    if (run.status !== 'succeeded') throw new Error(`${run.status}: ${run.error?.code}: ${run.error?.message}`);
    return run;
  }
  return {
    post,
    async run(pipeline, input, headers = {}) {
      const all = { 'content-type': 'application/json', prefer: 'wait=90', ...headers };
      const response = await post(pipeline, JSON.stringify(input), all);
      if (response.status === 200) return (await response.json()) as RunDocument;
      if (response.status === 202) return await succeeded(((await response.json()) as RunDocument).id, headers);
      const { code, detail } = (await response.json()) as Problem;
      throw new Error(`${response.status}: ${code}: ${detail}`);
    },
    url: base,
    get: async (id) => (await (await fetch(`${base}/v1/runs/${id}`)).json()) as RunDocument,
    early,
    async close() {
      events.close();
      await app.close();
      for (const redis of [subscriber, reading, listener]) redis.disconnect();
      await worker.stop();
      await stages.close();
      await client.connection.close();
    },
  };
}
