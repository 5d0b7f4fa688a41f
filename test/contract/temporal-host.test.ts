import { randomUUID } from 'node:crypto';
import { type Client, isGrpcDeadlineError, WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll } from 'vitest';
import {
  type RunContext,
  type RunResult,
  type StageRecord,
  WAITING_QUERY,
  type Wait,
} from '../../pipelines/run/index.js';
import { caught } from '../support/caught.js';
import { decideOn } from '../support/deciding.js';
import { CodeRunner, contextOf } from '../support/in-process.js';
import { connect } from '../support/runs.js';
import { TestWorker } from '../support/test-worker.js';
import { agentSuite } from './agent-suite.js';
import { hostSuite, type SuiteHost, type SuiteRun } from './host-suite.js';

const QUEUE = `host-suite-${randomUUID()}`;
/** Each run's stages keep their own record. A child run's id begins with its parent's. */
const runners = new Map<string, CodeRunner>();

let client: Client;
let worker: TestWorker;

beforeAll(async () => {
  const runner: Pick<CodeRunner, 'run'> = {
    run(input, call, attempt) {
      const own = runners.get(attempt.run.split('/', 1)[0] as string);
      if (!own) throw new Error(`no run "${attempt.run}"`);
      return own.run(input, call, attempt);
    },
  };
  [client, worker] = await Promise.all([connect(), TestWorker.start({ queue: QUEUE, runner })]);
});
afterAll(async () => {
  await worker.stop();
  await client.connection.close();
});

const temporal: SuiteHost = {
  async run(pipeline, input, { context, act } = {}) {
    const workflowId = randomUUID();
    const runner = new CodeRunner(pipeline);
    runners.set(workflowId, runner);
    const handle = await client.workflow.start(pipeline.name, {
      taskQueue: QUEUE,
      workflowId,
      args: [input, { ...contextOf(pipeline, QUEUE), ...context } satisfies RunContext],
    });
    // A query that no worker could answer in time on a busy machine is asked again.
    const queried = <T>(query: string) =>
      caught<T>(query, () =>
        handle.query<T>(query).catch((error) => {
          if (isGrpcDeadlineError(error)) return undefined;
          throw error;
        }),
      );
    const run: SuiteRun = {
      waiting: () => queried<readonly Wait[]>(WAITING_QUERY),
      decide: async (given) => {
        try {
          await decideOn(handle, given);
        } catch (error) {
          const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
          throw cause instanceof ApplicationFailure ? new Error(`${cause.type}: ${cause.message}`) : error;
        }
      },
      cancel: async () => void (await handle.cancel()),
      rows: () => queried<readonly StageRecord[]>('stages'),
    };
    await act?.(run);
    const { events } = runner;
    try {
      return { ...((await handle.result()) as RunResult), events };
    } catch (error) {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      if (cause instanceof CancelledFailure) return { code: 'RUN_CANCELLED', stages: await run.rows(), events };
      if (!(cause instanceof ApplicationFailure)) throw error;
      // The failure's own message is the headline of Temporal's UI; the details have the whole one.
      type Details = { readonly stages?: readonly StageRecord[]; readonly message?: string };
      const { stages = [], message = cause.message } = (cause.details?.[0] ?? {}) as Details;
      return { code: cause.type ?? '', message, stages, events };
    }
  },
};

hostSuite('on Temporal', () => temporal);
agentSuite('on Temporal', () => temporal);
