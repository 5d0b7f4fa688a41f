import { randomUUID } from 'node:crypto';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MillraceClient } from '../../client/index.js';
import { executePipeline, startPipeline } from '../../client/temporal.js';
import { code, pipeline } from '../../pipelines/index.js';
import { type RunResult, SEARCH_ATTRIBUTES } from '../../pipelines/run/index.js';
import { ForeignWorker } from '../support/foreign-worker.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, until } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

const QUEUE = 'foreign-starts';
const SETTINGS = { MILLRACE_PIPELINES: 'test/fixtures/foreign.mjs', MILLRACE_TASK_QUEUE: QUEUE };

/** As a client of the deployment knows it. */
const shouting = pipeline(
  'foreign-shouting',
  { input: z.object({ text: z.string(), marks: z.number().default(1) }) },
  ({ input, stage }) => {
    const text = z.object({ text: z.string() });
    const shout = code('shout', { input: text, output: text }, (given) => given);
    const loud = stage('loud', shout, { text: input.text });
    return { loud: loud.text, louder: loud.text };
  },
);

let temporal: Client;
let worker: WorkerProcess;
let gateway: GatewayProcess;
let other: ForeignWorker;
let client: MillraceClient;

beforeAll(async () => {
  [temporal, worker, gateway, other] = await Promise.all([
    connect(),
    WorkerProcess.start(QUEUE, SETTINGS),
    GatewayProcess.start(SETTINGS),
    ForeignWorker.start('callers'),
  ]);
  client = new MillraceClient({ baseUrl: gateway.url });
});
afterAll(async () => {
  await Promise.all([worker.kill('SIGTERM'), gateway.stop(), other.kill()]);
  await temporal.connection.close();
});

const idOf = () => `foreign-shouting-${randomUUID()}`;
const start = (args: unknown[], type = 'foreign-shouting', workflowId = idOf()) =>
  temporal.workflow.start(type, { taskQueue: QUEUE, workflowId, args });

/** The failure of a run: code, message and details. */
async function failure(run: Promise<{ result(): Promise<unknown> }>) {
  const error: unknown = await (await run).result().catch((reason: unknown) => reason);
  const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
  if (!(cause instanceof ApplicationFailure)) throw error;
  return { code: cause.type, message: cause.message, ...(cause.details?.[0] as object) };
}

describe('a run that a bare Temporal client starts', () => {
  it('takes the input alone, is completed with defaults and returns output and stages', async () => {
    const result = (await (await start([{ text: 'mill' }])).result()) as RunResult;
    expect(result).toMatchObject({
      output: { loud: 'MILL!', louder: 'MILL!!!' },
      stages: [
        { stage: 'loud', status: 'done' },
        { stage: 'louder', status: 'done' },
      ],
    });
  });

  it('takes options: only the wanted outputs, for a tenant', async () => {
    const options = { millrace: 1, tenant: 'acme', priority: 'interactive', outputs: ['loud'], deadlineMs: 20_000 };
    const run = await start([{ text: 'mill' }, options]);
    const { output, stages } = (await run.result()) as RunResult;
    expect(output).toEqual({ loud: 'MILL!' });
    expect(stages).toMatchObject([{ status: 'done' }, { status: 'skipped' }]);
    const { typedSearchAttributes, memo } = await run.describe();
    const found = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(found).toMatchObject({
      [SEARCH_ATTRIBUTES.pipeline]: 'foreign-shouting',
      [SEARCH_ATTRIBUTES.tenant]: 'acme',
      [SEARCH_ATTRIBUTES.version]: expect.stringMatching(/^[0-9a-f]{12}$/),
    });
    expect(memo).toMatchObject({ tenant: 'acme', pipeline: 'foreign-shouting' });
  });

  it('is a run like any other at the gateway: document, list and events', async () => {
    const run = await start([{ text: 'mill' }]);
    await run.result();
    expect(await client.get(run.workflowId)).toMatchObject({
      status: 'succeeded',
      pipeline: 'foreign-shouting',
      tenant: 'default',
      input: { text: 'mill' },
      output: { loud: 'MILL!' },
    });
    await until('the list has it', async () => {
      const { runs } = await client.listRuns({ pipeline: 'foreign-shouting' });
      return runs.some(({ id }) => id === run.workflowId);
    });
    // An attempt that is repeated tells its end again.
    const finished = new Set<string>();
    for await (const event of client.events(run.workflowId)) {
      if (event.type === 'stage.finished') finished.add(event.stage);
    }
    expect([...finished].sort()).toEqual(['loud', 'louder']);
  });

  it.each([
    ['a pipeline that is not there', [{}], 'PIPELINE_NOT_FOUND', /"nothing".*foreign-shouting/, 'nothing'],
    ['a missing field', [{}], 'INVALID_INPUT', /text: is required/],
    ['an unknown field', [{ text: 'x', txt: 1 }], 'INVALID_INPUT', /txt: unknown field/],
    ['a rule that is broken', [{ text: '' }], 'INVALID_INPUT', /text: /],
    ['no input', [], 'INVALID_INPUT', /first argument/],
    ['text as its input', ['mill'], 'INVALID_INPUT', /first argument/],
    ['options of no version', [{ text: 'x' }, { tenant: 'acme' }], 'INVALID_INPUT', /options.millrace/],
    ['an unknown option', [{ text: 'x' }, { millrace: 1, webhook: 'x' }], 'INVALID_INPUT', /options.webhook/],
    ['a tenant that is no name', [{ text: 'x' }, { millrace: 1, tenant: '../x' }], 'INVALID_INPUT', /options.tenant/],
    ['an output that is not there', [{ text: 'x' }, { millrace: 1, outputs: ['x'] }], 'INVALID_INPUT', /"x"/],
  ])('with %s fails at once with its code', async (_, args, code, message, type = 'foreign-shouting') => {
    expect(await failure(start(args, type))).toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('under an id that has been used makes its calls under idempotency keys of its own', async () => {
    const id = `foreign-keyed-${randomUUID()}`;
    const keyOf = async () => ((await (await start([{}], 'foreign-keyed', id)).result()) as RunResult).output.key;
    const [first, second] = [await keyOf(), await keyOf()];
    const own = new RegExp(`^${id}~[0-9a-f]{16}/keyed$`);
    expect([first, second]).toEqual([expect.stringMatching(own), expect.stringMatching(own)]);
    expect(second).not.toBe(first);
  });

  it('with the id of a run that resumes another is refused', async () => {
    const failed = await failure(start([{ text: 'x' }], 'foreign-shouting', `${idOf()}-r1`));
    expect(failed).toMatchObject({ code: 'INVALID_INPUT', fields: [{ field: 'workflowId' }] });
  });

  it('is started by the typed helper', async () => {
    const { output } = await executePipeline(temporal, shouting, { text: 'typed' }, { taskQueue: QUEUE });
    expect(output.loud).toBe('TYPED!');
    const run = await startPipeline(
      temporal,
      shouting,
      { text: 'typed', marks: 2 },
      { taskQueue: QUEUE, tenant: 'acme' },
    );
    expect((await run.result()).output.loud).toBe('TYPED!!');
  });
});

describe('a workflow of another worker', () => {
  const call = (...args: unknown[]) =>
    temporal.workflow.execute('callsPipeline', { taskQueue: 'callers', workflowId: randomUUID(), args });

  it('runs a pipeline as its child', async () => {
    const options = { millrace: 1, outputs: ['louder'] };
    expect(await call(QUEUE, 'foreign-shouting', { text: 'child' }, options)).toEqual({ louder: 'CHILD!!!' });
  });

  it('gets its failure with the code as the type', async () => {
    const error: unknown = await call(QUEUE, 'foreign-shouting', {}).catch((reason: unknown) => reason);
    const child = error instanceof WorkflowFailedError ? error.cause : undefined;
    expect(child).toBeInstanceOf(ChildWorkflowFailure);
    expect((child as ChildWorkflowFailure).cause).toMatchObject({ type: 'INVALID_INPUT' });
  });
});
