import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Client, Connection, isGrpcServiceError, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  NexusOperationFailure,
  noopMetricMeter,
  TimeoutFailure,
} from '@temporalio/common';
import { asyncLocalStorage } from '@temporalio/nexus/lib/context.js';
import { DefaultLogger } from '@temporalio/worker';
import { HandlerError, type StartOperationContext } from 'nexus-rpc';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunResult, SEARCH_ATTRIBUTES } from '../../pipelines/run/index.js';
import { nexusService } from '../../workers/nexus.js';
import { caught } from '../support/caught.js';
import { ForeignWorker } from '../support/foreign-worker.js';
import { blocksOf, folderForBlocks, ROOT } from '../support/pages.js';
import { address, connect, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { WorkerProcess } from '../support/worker-process.js';

const PAGE = 'docs/guides/temporal-teams.md';
/** The namespace of the callers; runs are in `default`. */
const THEIRS = 'nexus-callers';
const QUEUE = 'nexus';
/** In place of the page's queue, which the test of the guides serves and leaves. */
const RISK = `risk-${randomUUID()}`;
/** The one that the page names. */
const ENDPOINT = 'pipelines';
/** Status of gRPC. */
const ALREADY_EXISTS = 6;

const folder = folderForBlocks('nexus');
let temporal: Client;
let theirs: Client;
let workers: { kill(signal?: NodeJS.Signals): Promise<void> }[] = [];

/** A block of the page as a file of the folder. */
function write(name: string): string {
  const text = blocksOf(PAGE, 'ts').find((block) => block.text.startsWith(`// ${name}\n`))?.text;
  if (text === undefined) throw new Error(`${PAGE} has no file ${name}`);
  writeFileSync(path.join(folder, name), text.replaceAll("queue: 'risk'", `queue: '${RISK}'`));
  return path.join(folder, name);
}

/** The server of the tests keeps its data: namespaces cannot be removed. */
async function createNamespace({ workflowService }: Connection): Promise<void> {
  const workflowExecutionRetentionPeriod = { seconds: 86_400 } as never;
  await workflowService
    .registerNamespace({ namespace: THEIRS, workflowExecutionRetentionPeriod })
    .catch((error: unknown) => {
      if (!(isGrpcServiceError(error) && error.code === ALREADY_EXISTS)) throw error;
    });
}

async function createEndpoint({ operatorService }: Connection): Promise<void> {
  const { endpoints } = await operatorService.listNexusEndpoints({ name: ENDPOINT });
  for (const { id = null, version = null } of endpoints) await operatorService.deleteNexusEndpoint({ id, version });
  const worker = { namespace: 'default', taskQueue: QUEUE };
  await operatorService.createNexusEndpoint({ spec: { name: ENDPOINT, target: { worker } } });
}

beforeAll(async () => {
  temporal = await connect();
  const connection = await Connection.connect({ address: address('TEMPORAL_ADDRESS') });
  theirs = new Client({ connection, namespace: THEIRS });
  await createNamespace(connection);
  await createEndpoint(connection);
  await until('the namespace is known', async () => {
    const count = await theirs.workflow.count().catch(() => undefined);
    return count !== undefined;
  });
  const foreign = pathToFileURL(path.join(ROOT, 'test/fixtures/foreign.mjs')).href;
  const all = path.join(folder, 'all.ts');
  write('scoring.ts');
  writeFileSync(all, `export * from './scoring.ts';\nexport * from '${foreign}';\n`);
  workers = await Promise.all([
    WorkerProcess.start(QUEUE, { MILLRACE_PIPELINES: all, MILLRACE_NEXUS: 'on' }),
    ForeignWorker.start(RISK),
    ForeignWorker.start('callers', THEIRS),
    ForeignWorker.start('letters', THEIRS, write('letters.ts')),
  ]);
});
afterAll(async () => {
  await Promise.all(workers.map((worker) => worker.kill('SIGTERM')));
  await theirs.connection.close();
  await temporal.connection.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = (operation: string, input: unknown, options = {}) =>
  theirs.workflow.start('callsOperation', {
    taskQueue: 'callers',
    workflowId: randomUUID(),
    args: [ENDPOINT, operation, input, options],
  });

/** The run that an operation's token names. */
const runOf = (token: string) => (JSON.parse(Buffer.from(token, 'base64url').toString()) as { wid: string }).wid;

/** Why an operation failed, as its caller learns it. */
async function failure(run: Promise<{ result(): Promise<unknown> }>): Promise<unknown> {
  const error: unknown = await (await run).result().catch((reason: unknown) => reason);
  const operation = error instanceof WorkflowFailedError ? error.cause : undefined;
  if (!(operation instanceof NexusOperationFailure)) throw error;
  return operation.cause;
}

/** The run of a caller's operation, which may have ended for its caller; undefined if that one has ended before there was a run. */
async function runBehind(caller: WorkflowHandle): Promise<WorkflowHandle | undefined> {
  let token: string | null | undefined;
  await until('the run is there', async () => {
    const { status } = await caller.describe();
    const { events } = await caller.fetchHistory();
    const [begun] = (events ?? []).flatMap((event) => event.nexusOperationStartedEventAttributes ?? []);
    token = begun?.operationToken;
    return Boolean(token) || status.name !== 'RUNNING';
  });
  return token ? temporal.workflow.getHandle(runOf(token)) : undefined;
}

describe('a workflow of another namespace', () => {
  it('runs a pipeline as an operation, as the guide shows', async () => {
    const letter = await theirs.workflow.execute('writeLetter', {
      taskQueue: 'letters',
      workflowId: randomUUID(),
      args: ['Ada', 5],
    });
    expect(letter).toBe('Hello, Ada! Your score is 8.');
  });

  it('gets output and stages, and may give the options of a run', async () => {
    const options = { millrace: 1, tenant: 'acme', outputs: ['louder'] };
    const caller = await start('foreign-shouting', { input: { text: 'mill' }, options });
    expect(await caller.result()).toMatchObject({
      output: { louder: 'MILL!!!' },
      stages: [{ status: 'skipped' }, { status: 'done' }],
    });
    const { events } = await caller.fetchHistory();
    const [link] = (events ?? []).flatMap((event) => event.links ?? []);
    const { namespace, workflowId } = link?.workflowEvent ?? {};
    expect(namespace).toBe('default');
    expect(workflowId).toMatch(/^foreign-shouting-[0-9a-f-]{36}$/);
    const { type, taskQueue, memo, typedSearchAttributes } = await temporal.workflow
      .getHandle(workflowId ?? '')
      .describe();
    expect({ type, taskQueue, memo }).toMatchObject({
      type: 'foreign-shouting',
      taskQueue: QUEUE,
      memo: { tenant: 'acme' },
    });
    const found = Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]));
    expect(found).toMatchObject({ [SEARCH_ATTRIBUTES.pipeline]: 'foreign-shouting' });
  });

  it.each([
    ['a missing field', { input: {} }, /text: is required/],
    ['a rule that is broken', { input: { text: '' } }, /text: /],
    ['text as its input', { input: 'mill' }, /first argument/],
    ['an unknown option', { input: { text: 'x' }, options: { millrace: 1, webhook: 'x' } }, /options.webhook/],
    ['a tenant that is no name', { input: { text: 'x' }, options: { millrace: 1, tenant: '../x' } }, /options.tenant/],
  ])('gets the failure of the run for %s, with its code as the type', async (_, given, message) => {
    const cause = await failure(start('foreign-shouting', given));
    expect(cause).toBeInstanceOf(ApplicationFailure);
    expect(cause).toMatchObject({ type: 'INVALID_INPUT', message: expect.stringMatching(message) });
    expect((cause as ApplicationFailure).details?.[0]).toHaveProperty('fields');
  });

  it('is refused without a run where it gives no input and options', async () => {
    const cause = await failure(start('foreign-shouting', { text: 'mill' }));
    expect(cause).toBeInstanceOf(HandlerError);
    expect(cause).toMatchObject({ type: 'BAD_REQUEST', cause: { type: 'INVALID_INPUT' } });
  });

  it('is refused for a pipeline that is not there', async () => {
    expect(await failure(start('nothing', { input: {} }))).toMatchObject({ type: 'NOT_FOUND' });
  });

  it('cancels the run when it is cancelled', async () => {
    const caller = await start('foreign-signed', { input: {} });
    const run = await runBehind(caller);
    if (!run) throw new Error('the operation has ended');
    expect((await run.describe()).status.name).toBe('RUNNING');
    await caller.cancel();
    const error: unknown = await caller.result().catch((reason: unknown) => reason);
    const cause = (error as WorkflowFailedError).cause;
    expect(cause instanceof NexusOperationFailure ? cause.cause : cause).toBeInstanceOf(CancelledFailure);
    await expect.poll(async () => (await run.describe()).status.name).toBe('CANCELLED');
  });

  it('leaves the run when its own timeout ends the operation', async () => {
    const { caller, run } = await caught('an operation that has begun', async () => {
      const caller = await start('foreign-signed', { input: {} }, { scheduleToCloseTimeout: '4s' });
      const run = await runBehind(caller);
      return run && { caller, run };
    });
    expect(await failure(Promise.resolve(caller))).toBeInstanceOf(TimeoutFailure);
    expect((await run.describe()).status.name).toBe('RUNNING');
    await run.cancel();
  });
});

it('a worker without the setting asks for no operations', async () => {
  const pollers = async (name: string, taskQueueType: number) => {
    const of = { namespace: 'default', taskQueue: { name }, taskQueueType };
    return (await temporal.workflowService.describeTaskQueue(of)).pollers?.length ?? 0;
  };
  const [workflows, nexus] = [1, 3];
  await expect.poll(() => pollers(QUEUE, nexus)).toBeGreaterThan(0);
  const { MILLRACE_TASK_QUEUE: queue } = testSettings();
  await expect.poll(() => pollers(queue, workflows)).toBeGreaterThan(0);
  expect(await pollers(queue, nexus)).toBe(0);
});

describe('a repeated request', () => {
  const pipelines = import('../fixtures/foreign.mjs' as string) as Promise<Record<string, never>>;

  /** What a worker does with the request of a server: Temporal repeats one whose answer it did not get. */
  async function request(requestId: string): Promise<string> {
    const { shouting } = await pipelines;
    const handler = nexusService([shouting as never]).getOperationHandler('foreign-shouting');
    const context: StartOperationContext = {
      service: 'millrace',
      operation: 'foreign-shouting',
      headers: {},
      abortSignal: new AbortController().signal,
      requestId,
      inboundLinks: [],
      outboundLinks: [],
    };
    const place = { namespace: 'default', taskQueue: QUEUE, endpoint: ENDPOINT };
    const worker = { ...place, client: temporal, log: new DefaultLogger('ERROR'), metrics: noopMetricMeter };
    const started = await asyncLocalStorage.run(worker, () => handler.start(context, { input: { text: 'mill' } }));
    if (!started.isAsync) throw new Error('it has no run');
    return runOf(started.token);
  }

  it('has the same run, while it runs and after its end; another one has a run of its own', async () => {
    const requestId = randomUUID();
    const id = `foreign-shouting-${requestId}`;
    expect(await Promise.all([request(requestId), request(requestId)])).toEqual([id, id]);
    const run = temporal.workflow.getHandle(id);
    expect(((await run.result()) as RunResult).output).toEqual({ loud: 'MILL!', louder: 'MILL!!!' });
    const { runId } = await run.describe();
    expect(await request(requestId)).toBe(id);
    expect((await run.describe()).runId).toBe(runId);
    expect(await request(randomUUID())).not.toBe(id);
  });
});
