import { randomUUID } from 'node:crypto';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { Worker } from '@temporalio/worker';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunResult, StageRecord } from '../../pipelines/run/index.js';
import { RedisChannelLog } from '../../stores/channels/index.js';
import { createMetrics } from '../../telemetry/metrics.js';
import { workerSinks } from '../../workers/hosts/sinks.js';
import { contextOfRun, differences, type Seen } from '../support/random-plans/check.js';
import { hasStreams, type RandomRun, randomPlans, streamingPlans } from '../support/random-plans/plan-of.js';
import { ScriptedRunner } from '../support/random-plans/script.js';
import { evaluate } from '../support/reference-evaluator.js';
import { connect } from '../support/runs.js';
import { TestWorker, testRedis } from '../support/test-worker.js';
import { unlessStill } from '../support/unless-still.js';
import { workflowBundle } from '../support/workflow-bundle.js';

/** A thousand take some minutes: in every test run fewer, all with MILLRACE_PROPERTY_RUNS=1000. */
const RUNS = Number(process.env.MILLRACE_PROPERTY_RUNS ?? 150);
const SEED = Number(process.env.MILLRACE_PROPERTY_SEED ?? 1);
const IN_FLIGHT = 8;
/** A run that hangs is told from one that waits for its turn on a loaded machine. */
const RUN_TIMEOUT_MS = 60_000;
/**
 * A segment holds its workflow's task open, and what a queued stage beside it gives is seen when the task is renewed, at 0.8
 * of this. With Temporal's 10 seconds a plan that races the two in nested loops takes minutes.
 */
const TASK_TIMEOUT_MS = 3_000;

const stores = [testRedis(), testRedis()] as const;
afterAll(() => {
  for (const store of stores) store.disconnect();
});

describe.each([
  { what: 'random plans on Temporal', made: randomPlans, streams: false },
  { what: 'random streams on Temporal', made: streamingPlans, streams: true },
])('$what', ({ made, streams }) => {
  const limitMs = 60_000 + RUNS * 1_000;
  const queue = `random-plans-${randomUUID()}`;
  const runner = new ScriptedRunner(streams ? new RedisChannelLog(...stores) : undefined);
  const histories: { workflowId: string; history: unknown }[] = [];
  let client: Client;
  let worker: TestWorker;

  beforeAll(async () => {
    [client, worker] = await Promise.all([connect(), TestWorker.start({ queue, runner })]);
  });
  afterAll(async () => {
    await worker.stop();
    await client.connection.close();
  });

  async function runOn(random: RandomRun): Promise<Seen> {
    const workflowId = `random-${randomUUID()}`;
    const handle = await client.workflow.start('random', {
      taskQueue: queue,
      workflowId,
      workflowRunTimeout: RUN_TIMEOUT_MS,
      workflowTaskTimeout: TASK_TIMEOUT_MS,
      args: [random.input, contextOfRun(random, queue)],
    });
    try {
      const { output, stages } = (await handle.result()) as RunResult;
      return { output, stages, calls: runner.callsOf(workflowId) };
    } catch (error) {
      const failure = error instanceof WorkflowFailedError ? error.cause : undefined;
      if (!(failure instanceof ApplicationFailure)) throw error;
      const { stages = [] } = (failure.details?.[0] ?? {}) as { stages?: readonly StageRecord[] };
      return { code: failure.type ?? '', message: failure.message, stages, calls: runner.callsOf(workflowId) };
    } finally {
      histories.push({ workflowId, history: await handle.fetchHistory() });
    }
  }

  it(
    `${RUNS} plans give what the reference says (seed ${SEED})`,
    async () => {
      const drawn = fc.sample(made, { seed: SEED, numRuns: RUNS * (streams ? 8 : 1) });
      const plans = (streams ? drawn.filter(hasStreams) : drawn).slice(0, RUNS);
      expect(plans).toHaveLength(RUNS);
      const wrong: string[] = [];
      const lane = async () => {
        for (let random = plans.pop(); random !== undefined; random = plans.pop()) {
          const index = plans.length;
          let found: string[] = [];
          // A process that stands still for as long as a task lasts makes a call again that was in progress.
          await unlessStill(async () => {
            found = differences(
              evaluate(random),
              await runOn(random).catch((error: unknown) => ({ code: String(error), stages: [], calls: new Map() })),
            );
            if (found.length > 0) throw new Error('another end');
          }).catch((error: unknown) => {
            if (found.length === 0) throw error;
          });
          if (found.length > 0)
            wrong.push(`plan ${index} of seed ${SEED}: ${found.join('; ')}\n${JSON.stringify(random)}`);
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
      expect(wrong).toEqual([]);
    },
    limitMs,
  );

  it(
    'and every history of theirs replays without a difference',
    async () => {
      const failed: string[] = [];
      let replayed = 0;
      const all = histories as Parameters<typeof Worker.runReplayHistories>[1];
      for await (const { workflowId, error } of Worker.runReplayHistories(
        { workflowBundle: await workflowBundle(), sinks: workerSinks({ metrics: createMetrics() }) },
        all,
      )) {
        replayed += 1;
        if (error) failed.push(`${workflowId}: ${error.message}`);
      }
      expect(failed).toEqual([]);
      expect(replayed).toBe(histories.length);
      expect(replayed).toBeGreaterThanOrEqual(RUNS);
    },
    limitMs,
  );
});
