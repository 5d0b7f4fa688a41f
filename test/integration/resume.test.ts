import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ClientError, MillraceClient, type RunDocument } from '../../client/index.js';
import { decideOver } from '../support/deciding.js';
import { address, CallLog } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';

let redis: Redis;
let client: MillraceClient;
beforeAll(() => {
  redis = new Redis(address('REDIS_URL'));
  client = new MillraceClient({ baseUrl: address('GATEWAY_URL') });
});
afterAll(() => redis.disconnect());

/** A run whose `ship` has failed, and what its carrier's strike was. */
async function failedOrder(pipeline: string, { items = ['a', 'b', 'c'], kilobytes = 0 } = {}) {
  const log = new CallLog();
  const strike = `${log.file}.broken`;
  writeFileSync(strike, '');
  const { id } = await client.start(pipeline, { log: log.file, items, kilobytes });
  const run = await client.wait(id);
  expect(run).toMatchObject({ status: 'failed', error: { code: 'CODE_FAILED', stage: 'ship' } });
  return { id, log, endStrike: () => rmSync(strike) };
}

/** What the run waits for is approved as soon as it waits. */
const approved = async (id: string) =>
  expect((await decideOver(`${address('GATEWAY_URL')}/v1/runs/${id}`, 'approve', {})).status).toBe(202);

const charges = (log: CallLog) => log.lines().filter((line) => line.startsWith('charge '));

const refusal = async (id: string, body: object = {}) => {
  const response = await fetch(`${address('GATEWAY_URL')}/v1/runs/${id}/resume`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const { code, detail } = (await response.json()) as { code?: string; detail?: string };
  return { status: response.status, code, detail };
};

describe('a run that has failed', () => {
  it.each([
    ['order-queued', 0],
    ['order-inline', 0],
    ['order-outputs', 0],
    ['order-queued', 64],
  ])(
    '%s with results of %d KiB: resumed, goes on from the failed stage, and nothing that had ended happens again',
    async (pipeline, kilobytes) => {
      const { id, log, endStrike } = await failedOrder(pipeline, { kilobytes });
      expect(charges(log)).toHaveLength(3);
      endStrike();
      const resumed = await client.resume(id);
      expect(resumed).toMatchObject({ id: `${id}-r1`, status: 'running', resumedFrom: id, pipeline });
      const ended = await client.wait(resumed.id);
      expect(ended).toMatchObject({
        status: 'succeeded',
        resumedFrom: id,
        output: { parcel: 'parcel of 3', told: true },
      });
      expect(charges(log), 'charged once each').toHaveLength(3);
      expect(log.count('notify parcel of 3')).toBe(1);
      // The service that is called again can tell that it is the same call.
      const shipments = log.lines().filter((line) => line.startsWith('ship '));
      expect(shipments).toEqual([`ship 3 ${id}/ship`, `ship 3 ${id}/ship`]);
      expect((await client.get(id)).resumedAs).toBe(resumed.id);
      expect((await client.get(id)).status).toBe('failed');
    },
  );

  it('is resumed once, whoever asks and how often; what fails again is resumed in its turn', async () => {
    const { id, log, endStrike } = await failedOrder('order-queued');
    const all = await Promise.all(Array.from({ length: 4 }, () => client.resume(id)));
    expect(new Set(all.map((run) => run.id))).toEqual(new Set([`${id}-r1`]));
    expect((await client.wait(`${id}-r1`)).status).toBe('failed');
    expect(log.lines().filter((line) => line.startsWith('ship '))).toHaveLength(2);
    endStrike();
    const second = await client.resume(`${id}-r1`);
    expect(second).toMatchObject({ id: `${id}-r2`, resumedFrom: `${id}-r1` });
    expect((await client.wait(second.id)).status).toBe('succeeded');
    expect(charges(log)).toHaveLength(3);
  });

  it('whose record lacks what has ended is not resumed before somebody says that it may happen again', async () => {
    const { id, log, endStrike } = await failedOrder('order-queued');
    endStrike();
    expect(await redis.del(`millrace:record:{${id}}`)).toBe(1);
    expect(await refusal(id)).toMatchObject({
      status: 409,
      code: 'RECORD_INCOMPLETE',
      detail: expect.stringContaining('charge (0 of 3 kept)'),
    });
    expect(charges(log)).toHaveLength(3);
    const resumed = await client.resume(id, { repeat: true });
    expect((await client.wait(resumed.id)).status).toBe('succeeded');
    expect(charges(log), 'as was wanted').toHaveLength(6);
    expect(new Set(charges(log)).size, 'under the same keys').toBe(3);
  });

  it('whose pipeline keeps no record is not resumed', async () => {
    const { id } = await failedOrder('order-unrecorded');
    expect(await refusal(id)).toMatchObject({ status: 409, code: 'RECORD_INCOMPLETE' });
    expect(await redis.exists(`millrace:record:{${id}}`)).toBe(0);
  });
});

it('goes on behind decisions, dropped items, fallbacks, what was left out and child runs, all as they were', async () => {
  const log = new CallLog();
  const strike = `${log.file}.broken`;
  writeFileSync(strike, '');
  const { id } = await client.start('order-parts', { log: log.file, items: ['good', 'bad'] });
  await approved(id);
  expect(await client.wait(id)).toMatchObject({
    status: 'failed',
    error: { code: 'BACKEND_OVERLOADED', stage: 'send' },
  });
  const before = log.lines();
  const counted = (name: string, lines = log.lines()) => lines.filter((each) => each.startsWith(`${name} `)).length;
  expect(['bill', 'cheque', 'cash', 'gift', 'pack', 'send'].map((name) => counted(name))).toEqual([2, 3, 1, 1, 1, 1]);
  rmSync(strike);
  const resumed = await client.resume(id);
  const ended = await client.wait(resumed.id);
  expect(ended).toMatchObject({ status: 'succeeded', output: { sent: { paid: { bills: ['good'] }, extra: null } } });
  expect(log.lines().slice(before.length), 'only what had failed for good happens again').toEqual([before.at(-1)]);
  const rows = Object.fromEntries((ended.stages ?? []).map((row) => [row.stage, row]));
  expect(rows).toMatchObject({
    'sign-off': { status: 'done', decisions: [{ path: 'sign-off', approved: true, by: 'person' }] },
    bill: { resumed: true },
    pay: { status: 'done', model: 'cash', instead: 'BACKEND_OVERLOADED', resumed: true },
    gift: { status: 'skipped' },
    packing: { status: 'done' },
    send: { status: 'done' },
  });
  expect(rows.send).not.toHaveProperty('resumed');
});

it('is resumed on the command line', async () => {
  const { id, log, endStrike } = await failedOrder('order-queued', { items: ['a'] });
  endStrike();
  const { stdout } = await promisify(execFile)(path.resolve('dist/cli/main.js'), ['resume', id, '--json'], {
    env: { ...process.env, ...testEnvironment() },
  });
  expect(JSON.parse(stdout)).toMatchObject({ id: `${id}-r1`, status: 'succeeded', resumedFrom: id });
  expect(charges(log)).toHaveLength(1);
});

it('a run of the fast path is resumed like any other', async () => {
  const log = new CallLog();
  const strike = `${log.file}.broken`;
  writeFileSync(strike, '');
  const input = { log: log.file, items: ['a', 'b'], kilobytes: 0 };
  const failed = await client.run('order-inline', input, { priority: 'interactive' }).catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 'CODE_FAILED', run: { id: expect.any(String) } });
  rmSync(strike);
  const first = (failed as ClientError).run?.id ?? '';
  // The caller is told before Temporal is.
  await client.wait(first);
  const { id } = await client.resume(first);
  expect((await client.wait(id)).status).toBe('succeeded');
  expect(charges(log), 'charged once each').toHaveLength(2);
});

describe('what is not resumed', () => {
  it('a run that goes on, one that has succeeded, one that is not there, another tenant’s', async () => {
    const log = new CallLog();
    const { id: running } = await client.start('gated', { log: log.file });
    expect(await refusal(running)).toMatchObject({ status: 409, code: 'RUN_NOT_ENDED' });
    await client.cancel(running);
    const { id } = await client.run('order-queued', { log: log.file, items: [], kilobytes: 0 });
    // The caller has the result before Temporal has it.
    await client.wait(id);
    expect(await refusal(id)).toMatchObject({ status: 409, code: 'NOT_RESUMABLE' });
    expect(await refusal('order-queued-0')).toMatchObject({ status: 404, code: 'RUN_NOT_FOUND' });
    expect(await refusal(id, { again: true })).toMatchObject({ status: 422, code: 'INVALID_INPUT' });
    const { id: failed } = await failedOrder('order-queued', { items: ['a'] });
    const stranger = new MillraceClient({ baseUrl: address('GATEWAY_URL'), tenant: 'stranger' });
    await expect(stranger.resume(failed)).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });
});

it('a run that was cancelled goes on', async () => {
  const log = new CallLog();
  const { id } = await client.start('gated', { log: log.file });
  await client.cancel(id);
  const cancelled: RunDocument = await client.wait(id);
  expect(cancelled.status).toBe('cancelled');
  const resumed = await client.resume(id);
  await approved(resumed.id);
  expect((await client.wait(resumed.id)).status).toBe('succeeded');
});
