import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MillraceClient } from '../../client/index.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { connect, until } from '../support/runs.js';
import { SageMakerJobs } from '../support/sagemaker-jobs.js';
import { WorkerProcess } from '../support/worker-process.js';

/** Images of an asynchronous endpoint and a bucket, which are a fixture: the worker is killed, the run cancelled. */

const queue = `sagemaker-jobs-${randomUUID()}`;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-sagemaker-'));
const aws = new SageMakerJobs();
let settings: Record<string, string>;
let temporal: Client;
let worker: WorkerProcess;
let gateway: GatewayProcess;
let client: MillraceClient;

beforeAll(async () => {
  await aws.start();
  const models = path.join(folder, 'models.json');
  writeFileSync(models, JSON.stringify({ painter: aws.pool }));
  settings = {
    MILLRACE_MODELS: models,
    MILLRACE_PIPELINES: 'test/fixtures/code-artifacts.mjs',
    MILLRACE_TASK_QUEUE: queue,
    ...aws.env,
  };
  [temporal, worker, gateway] = await Promise.all([
    connect(),
    WorkerProcess.start(queue, settings),
    GatewayProcess.start(settings),
  ]);
  client = new MillraceClient({ baseUrl: gateway.url });
});
beforeEach(() => aws.clear());
afterAll(async () => {
  await Promise.all([worker?.kill(), gateway?.stop('SIGKILL'), aws.stop()]);
  await temporal?.connection.close();
  rmSync(folder, { recursive: true });
});

/** Another worker goes on with the job only where Temporal knows it, from a heartbeat. */
const isKept = (id: string) =>
  until('Temporal knows the job', async () => {
    const [pending] = (await temporal.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];
    const beat = pending?.heartbeatDetails?.payloads?.[0]?.data ?? [];
    return Buffer.from(beat).toString().includes('"job":{"output":"s3://jobs/out/');
  });

/** A stage whose job has been submitted, and is known to Temporal. */
async function painting(): Promise<string> {
  aws.held = true;
  const { id } = await client.start('paint-queued', { prompt: 'a mill' });
  await until('the job is submitted', () => aws.submitted.length === 1);
  await isKept(id);
  return id;
}

describe('a stage of an asynchronous endpoint', () => {
  it('goes on with its job when its worker is killed: nothing is submitted again', async () => {
    const id = await painting();
    await worker.kill();
    worker = await WorkerProcess.start(queue, settings);
    const questions = aws.lines.length;
    await until('the new worker asks for the output', () => aws.lines.length > questions);
    aws.finish();
    expect(await client.wait(id)).toMatchObject({
      status: 'succeeded',
      output: { images: [{ mime: 'image/png' }] },
    });
    expect(aws.submitted).toHaveLength(1);
    expect(aws.lines.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
    expect(aws.submitted[0]?.input).toMatch(/^in\/default\//);
    expect(aws.keys('in/')).toEqual([]);
  });

  it('tries again with a job of its own when its job has failed', async () => {
    const id = await painting();
    aws.held = false;
    aws.finish('Received server error (500) from primary with message "CUDA out of memory"');
    expect(await client.wait(id)).toMatchObject({ status: 'succeeded' });
    const [first, second] = aws.submitted;
    expect(aws.submitted).toHaveLength(2);
    expect(second?.input).not.toBe(first?.input);
  });

  it('leaves no input behind when its run is cancelled', async () => {
    const id = await painting();
    await client.cancel(id);
    await until('the input is deleted', () => aws.keys('in/').length === 0);
    expect(aws.submitted).toHaveLength(1);
  });

  it('fails with what the container says', async () => {
    await expect(client.run('paint-queued', { prompt: 'bad' })).rejects.toMatchObject({
      code: 'BACKEND_REJECTED',
      message: expect.stringContaining('text must not be bad'),
    });
    expect(aws.submitted).toHaveLength(1);
  });
});
