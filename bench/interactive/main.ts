/**
 * The time from a caller's request to its answer, for a run of four empty inline stages (one segment), on the paths
 * that Temporal offers and on Millrace's own:
 *
 * `result`  start the workflow and wait for its result (Temporal's long poll)
 * `eager`   the same from the worker's own process, its first task handed over with the start
 * `update`  update-with-start whose update returns the result
 * `answer`  start the workflow; the segment's process sends the result once it is in the journal, before Temporal has it
 * `guarded` start the workflow with a delay as guardian, then hand the run to a worker past Temporal; the worker sends
 *           the result once it is in the journal, and notifies the guardian afterwards
 *
 * A request is sent when Temporal has recorded the previous run's end, so that no run pays for an earlier one.
 *
 *   npm run bench:interactive [-- --json] [--rounds N]
 */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { pino } from 'pino';
import { down, up } from '../../deploy/local/stack/index.js';
import type { GatewayDeps } from '../../gateway/index.js';
import type { Pipeline } from '../../pipelines/index.js';
import type { RunContext } from '../../pipelines/run/index.js';
import { place } from '../../placement/place.js';
import { startGuarded } from '../../runs/guarded-start.js';
import { prepareRun } from '../../runs/prepare.js';
import { Answers } from '../../stores/answers/index.js';
import { FastJobQueue, FastJobs } from '../../stores/jobs/index.js';
import { workerActivities } from '../../workers/activities.js';
import { workflowSource } from '../../workers/bundle.js';
import { composeStages } from '../../workers/compose.js';
import { serveFastJobs } from '../../workers/hosts/fast-worker.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import { openStore } from '../../workers/stores.js';
import { loadAverages, median, round } from '../figures.js';
import { parseOptions } from '../options.js';
import { fourEmptyInline } from '../overhead/pipelines.js';
import { settings } from '../overhead/settings.js';

const { values: options } = parseOptions({
  options: { json: { type: 'boolean' }, rounds: { type: 'string', default: '6' } },
});
const ROUNDS = Number(options.rounds);
const WARM_UP = 20;
const RUNS_A_ROUND = 20;
/** A run that cannot end must not block the bench for ever. */
const RUN_TIMEOUT_MS = 60_000;

async function main(): Promise<Record<string, { medianMs: number }>> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { temporal } = await up({ settings, parts: ['temporal', 'redis'] });
  const logger = pino({ level: 'info' }, pino.destination('/dev/null'));
  const stages = await composeStages(settings, logger);
  const connection = await NativeConnection.connect({ address: temporal });
  const activities = workerActivities(stages);
  const workers = await Promise.all([
    Worker.create({ connection, taskQueue: 'plain', ...workflowSource(), activities, sinks: workerSinks(stages) }),
    Worker.create({
      connection,
      taskQueue: 'updates',
      workflowsPath: fileURLToPath(new URL('./update-workflow.js', import.meta.url)),
      activities,
      sinks: workerSinks(stages),
    }),
  ]);
  const running = workers.map((worker) => worker.run());
  const client = new Client({ connection: await Connection.connect({ address: temporal }) });
  const near = new Client({ connection });
  const subscriber = openStore(settings, 'state', logger);
  const answers = new Answers(subscriber, logger);

  const redis = openStore(settings, 'state', logger);
  const blocking = openStore(settings, 'state', logger, 2 * FastJobQueue.WAIT_MS);
  const parts = { runner: stages.runner, redis: stages.redis, losses: stages.losses, client: near, logger };
  const fastWorker = serveFastJobs(new FastJobQueue(blocking, 'plain'), { parts, most: 32, graceMs: 0 });

  const { name, plan } = fourEmptyInline;
  const deps = {
    temporal: client,
    taskQueue: 'plain',
    placementOf: () => place(plan, () => undefined, 'plain'),
    answers,
    fast: new FastJobs(redis, 'plain'),
    logger,
  } as Partial<GatewayDeps> as GatewayDeps;
  const context = (queue: string): RunContext => ({
    plan,
    placement: place(plan, () => undefined, queue),
    tenant: 'b',
  });
  const order = (queue: string, extra: Partial<RunContext> = {}) => ({
    taskQueue: queue,
    workflowId: `bench-${randomUUID()}`,
    workflowRunTimeout: RUN_TIMEOUT_MS,
    args: [{ n: 1 }, { ...context(queue), ...extra }] as [object, RunContext],
  });
  /** Answered runs that may not have ended in Temporal. */
  const open: string[] = [];
  const ended = () => Promise.all(open.splice(0).map((id) => client.workflow.getHandle(id).result()));
  const paths: Record<string, () => Promise<unknown>> = {
    result: () => client.workflow.execute(name, order('plain')),
    eager: () => near.workflow.execute(name, { ...order('plain'), requestEagerStart: true }),
    update: () => {
      const startWorkflowOperation = new WithStartWorkflowOperation('answering', {
        ...order('updates'),
        workflowIdConflictPolicy: 'FAIL',
      });
      return client.workflow.executeUpdateWithStart('answer', { startWorkflowOperation });
    },
    answer: async () => {
      const wanted = order('plain', { answerTo: answers.channel as string });
      const answer = answers.expect(wanted.workflowId, new AbortController().signal);
      await client.workflow.start(name, wanted);
      await answer;
      open.push(wanted.workflowId);
    },
    guarded: async () => {
      const id = `bench-${randomUUID()}`;
      const answer = answers.expect(id, new AbortController().signal);
      const request = { id, pipeline: fourEmptyInline as Pipeline, tenant: 'b', input: { n: 1 } };
      const interactive = { options: { priority: 'interactive' }, answer: true } as const;
      await startGuarded(deps, prepareRun(deps, { ...request, ...interactive }));
      await answer;
      open.push(id);
    },
  };

  const taken = Object.fromEntries(Object.keys(paths).map((path) => [path, [] as number[]]));
  for (const ask of Object.values(paths)) for (let i = 0; i < WARM_UP; i++) await ask();
  await ended();
  for (let i = 0; i < ROUNDS; i++) {
    const turns = Object.entries(paths);
    for (const [path, ask] of i % 2 === 0 ? turns : turns.reverse()) {
      for (let n = 0; n < RUNS_A_ROUND; n++) {
        const began = performance.now();
        await ask();
        taken[path]?.push(performance.now() - began);
        await ended();
      }
    }
  }
  await fastWorker.stop();
  for (const worker of workers) worker.shutdown();
  await Promise.all(running);
  subscriber.disconnect();
  redis.disconnect();
  await stages.close();
  return Object.fromEntries(Object.entries(taken).map(([path, ms]) => [path, { medianMs: round(median(ms), 1) }]));
}

try {
  const results = await main();
  const load = loadAverages();
  if (options.json) process.stdout.write(`${JSON.stringify({ ...results, rounds: ROUNDS, load })}\n`);
  else {
    for (const [path, { medianMs }] of Object.entries(results))
      process.stdout.write(`${path.padEnd(8)} ${medianMs} ms\n`);
    process.stdout.write(
      `medians of ${ROUNDS} interleaved rounds of ${RUNS_A_ROUND}; load average ${load.join(', ')}\n`,
    );
  }
} finally {
  await down(settings);
}
process.exit();
