import { Client } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { Redis } from 'ioredis';
import { pino } from 'pino';
import type { ForeignCalls } from '../../activities/stage/foreign-calls.js';
import type { StageRunner } from '../../activities/stage/stage-runner.js';
import { RunEventLog } from '../../stores/events/index.js';
import { FastJobQueue } from '../../stores/jobs/index.js';
import { connected, createRedis, LossWatch } from '../../stores/redis/index.js';
import { createMetrics, type Metrics } from '../../telemetry/metrics.js';
import { workerActivities } from '../../workers/activities.js';
import { ActivitySlots } from '../../workers/activity-slots.js';
import { WORKFLOW_LIMITS } from '../../workers/bundle.js';
import { createCodeWorkers } from '../../workers/code-workers.js';
import type { Stages } from '../../workers/compose.js';
import { type FastWorker, serveFastJobs } from '../../workers/hosts/fast-worker.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import { address } from './runs.js';
import { testSettings } from './settings.js';
import { workflowBundle } from './workflow-bundle.js';

/** A loaded machine may keep Redis waiting; a journal that is given up would change what a test looks at. */
const REDIS_TIMEOUT_MS = 5_000;

let quiet = false;

export interface TestWorkerOptions {
  readonly queue: string;
  /** Most activities at once. Default: 64. */
  readonly most?: number;
  readonly runner: Pick<StageRunner, 'run'>;
  /** What happens around the calls of other workers; none can be called by default. */
  readonly foreign?: ForeignCalls;
  /** For the journals of segments; the stack's own by default. */
  readonly redis?: Redis;
  /** The module of its workflows, as `workflowBundle` takes it. */
  readonly workflows?: string;
  /** Functions with a version whose task queues it serves. */
  readonly code?: Stages['code'];
  /** URL of the Redis whose fast jobs it takes; none by default. */
  readonly fast?: string;
  /** Where its runs are counted. */
  readonly metrics?: Metrics;
}

/** A worker in the test's own process whose stages are run by `runner`. */
export class TestWorker {
  readonly #workers: readonly Worker[];
  readonly #running: Promise<unknown>;
  readonly #connection: NativeConnection;
  readonly #redis: Redis;
  readonly #fast: FastWorker | undefined;
  readonly #ends: AbortController;

  private constructor(
    workers: readonly Worker[],
    connection: NativeConnection,
    redis: Redis,
    fast: FastWorker | undefined,
    ends: AbortController,
  ) {
    this.#workers = workers;
    this.#running = Promise.all(workers.map((worker) => worker.run()));
    this.#connection = connection;
    this.#redis = redis;
    this.#fast = fast;
    this.#ends = ends;
  }

  static async start({
    queue,
    runner,
    foreign,
    redis,
    workflows,
    code,
    fast,
    metrics = createMetrics(),
    most = 64,
  }: TestWorkerOptions): Promise<TestWorker> {
    if (!quiet) Runtime.install({ logger: new DefaultLogger('ERROR') });
    quiet = true;
    const own = redis ?? testRedis();
    // A first segment would not begin without it. One that a test brings may be away on purpose.
    if (redis === undefined) await connected(own, 60_000);
    const connection = await NativeConnection.connect({ address: address('TEMPORAL_ADDRESS') });
    const ends = new AbortController();
    const losses = new LossWatch(own).start();
    const worker = await Worker.create({
      connection,
      taskQueue: queue,
      ...WORKFLOW_LIMITS,
      workflowBundle: await workflowBundle(workflows),
      activities: workerActivities(
        { runner: runner as StageRunner, redis: own, losses, ...(foreign && { foreign }) },
        ends.signal,
      ),
      sinks: workerSinks({ events: new RunEventLog(own), metrics }),
      maxConcurrentActivityTaskExecutions: most,
      maxConcurrentLocalActivityExecutions: 64,
      // Both as `workers/worker.ts` has them: by default the runs of a worker that has stopped wait ten seconds for it.
      maxHeartbeatThrottleInterval: 450,
      stickyQueueScheduleToStartTimeout: 2_000,
      shutdownGraceTime: 0,
    });
    const versions =
      code &&
      (await createCodeWorkers({
        connection,
        settings: testSettings({ MILLRACE_TASK_QUEUE: queue, MILLRACE_SHUTDOWN_GRACE_MS: '1' }),
        stages: { runner: runner as StageRunner, code },
        slots: new ActivitySlots(64),
      }));
    const client = new Client({ connection });
    const parts = { runner, redis: own, losses, client, logger: pino({ level: 'silent' }) };
    const jobs = fast === undefined ? undefined : new FastJobQueue(testRedis(fast), queue);
    const served = jobs && serveFastJobs(jobs, { parts, most: 64, graceMs: 0 });
    return new TestWorker([worker, ...(versions ?? [])], connection, own, served, ends);
  }

  async stop(): Promise<void> {
    await this.#fast?.stop();
    for (const worker of this.#workers) worker.shutdown();
    this.#ends.abort();
    await this.#running;
    await this.#connection.close();
    this.#redis.disconnect();
  }
}

export const testRedis = (url = address('REDIS_URL'), timeoutMs = REDIS_TIMEOUT_MS): Redis =>
  createRedis({ url, timeoutMs, logger: pino({ level: 'silent' }) });
