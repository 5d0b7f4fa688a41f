import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceClient, type RunFilters, type RunSummary } from '../../client/index.js';
import { type ApiKey, issueKey } from '../../gateway/index.js';
import { STAGES_QUERY } from '../../pipelines/run/index.js';
import { changeKeys } from '../../workers/keys/index.js';
import { caught } from '../support/caught.js';
import { decideOver } from '../support/deciding.js';
import { GatewayProcess } from '../support/gateway-process.js';
import { CallLog, connect, until } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';
import { WebhookReceiver, webhookSecret, webhookSettings } from '../support/webhook-receiver.js';
import { WorkerProcess } from '../support/worker-process.js';

/** Two tenants at a gateway and a worker of their own, with Temporal's real visibility. */
const queue = `run-list-${randomUUID()}`;
const keysFile = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'keys.json');
/** Below what a tenant may ask for: five pages a second. */
const PACE_MS = 250;
const secret = webhookSecret();

let temporal: Client;
let receiver: WebhookReceiver;
let settings: Record<string, string>;
let worker: WorkerProcess;
let gateway: GatewayProcess;
const secrets: Record<string, string> = {};
/** Of a tenant; of the same for two pipelines only; of another tenant. */
let acme: MillraceClient;
let narrow: MillraceClient;
let other: MillraceClient;

const [tenant, foreignTenant] = [`acme-${randomUUID().slice(0, 8)}`, `other-${randomUUID().slice(0, 8)}`];
const KEYS = {
  acme: { tenant },
  narrow: { tenant, pipelines: ['gated', 'four-inline-steps'] },
  other: { tenant: foreignTenant },
  ops: { tenant: 'ops', permissions: ['metrics'] },
} as const satisfies Record<string, Partial<ApiKey>>;

beforeAll(async () => {
  receiver = await WebhookReceiver.at(secret);
  await receiver.up();
  settings = await webhookSettings({ [tenant]: { secrets: [secret] } });
  const issued = Object.entries(KEYS).map(([name, of]) => ({
    name,
    ...issueKey({ name, permissions: ['run', 'read', 'approve'], ...(of as Partial<ApiKey> & { tenant: string }) }),
  }));
  for (const { name, secret: own } of issued) secrets[name] = own;
  await changeKeys(keysFile, () => issued.map(({ key }) => key), { create: true });
  [temporal, worker, gateway] = await Promise.all([
    connect(),
    WorkerProcess.start(queue, settings),
    GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue, MILLRACE_KEYS: keysFile, ...settings }),
  ]);
  [acme, narrow, other] = ['acme', 'narrow', 'other'].map(
    (name) => new MillraceClient({ baseUrl: gateway.url, key: secrets[name] as string }),
  ) as [MillraceClient, MillraceClient, MillraceClient];
});
afterAll(async () => {
  await Promise.all([worker?.kill(), gateway?.stop('SIGKILL'), receiver?.down()]);
  await temporal?.connection.close();
});

/** What a list has when it has this many runs: Temporal shows them some time after they have started or ended. */
async function listed(client: MillraceClient, filters: RunFilters, many: number): Promise<readonly RunSummary[]> {
  let runs: readonly RunSummary[] = [];
  await until(`${many} runs of ${JSON.stringify(filters)}`, async () => {
    await sleep(PACE_MS);
    runs = (await client.listRuns({ ...filters, limit: 100 })).runs;
    return runs.length === many;
  });
  return runs;
}
const ids = (runs: readonly RunSummary[]) => runs.map(({ id }) => id);
const quick = () => ({ log: new CallLog().file, ms: 1 });
/** Starts runs one after the other that wait for a person. */
async function waiting(client: MillraceClient, many: number): Promise<string[]> {
  const started: string[] = [];
  for (let i = 0; i < many; i++) started.push((await client.start('gated', { log: new CallLog().file })).id);
  return started;
}
const raw = (query: string, name = 'acme') =>
  fetch(`${gateway.url}/v1/runs?${query}`, { headers: { authorization: `Bearer ${secrets[name]}` } });
const counted = (labels: string, from = worker) => from.metric('millrace_runs_total', labels);

describe('runs that go on', () => {
  let started: string[];
  let foreign: string[];
  beforeAll(async () => {
    started = await waiting(acme, 5);
    foreign = await waiting(other, 2);
    await listed(acme, { status: 'running' }, 5);
    await listed(other, { status: 'running' }, 2);
  });
  afterAll(async () => {
    for (const id of started) await acme.cancel(id).catch(() => undefined);
    for (const id of foreign) await other.cancel(id).catch(() => undefined);
    for (const id of started) await acme.wait(id);
    for (const id of foreign) await other.wait(id);
  });

  it('come page by page, the latest first, as their documents have them', async () => {
    const pages = [];
    let cursor: string | undefined;
    do {
      const page = await acme.listRuns({ status: 'running', limit: 2, ...(cursor !== undefined && { cursor }) });
      pages.push(page.runs);
      cursor = page.nextCursor;
      await sleep(PACE_MS);
    } while (cursor !== undefined);
    expect(pages.map(({ length }) => length).filter((length) => length > 0)).toEqual([2, 2, 1]);
    expect(ids(pages.flat())).toEqual(started.toReversed());
    const { input: _, stages: __, waiting: ___, ...document } = await acme.get(started[4] as string);
    expect(pages[0]?.[0]).toEqual(document);
    const taken = [];
    for await (const run of acme.runs({ status: 'running' })) taken.push(run.id);
    expect(taken).toEqual(started.toReversed());
  });

  it('are those of the caller’s tenant and pipelines', async () => {
    expect(ids(await listed(other, {}, 2))).toEqual(foreign.toReversed());
    expect(ids(await listed(narrow, { pipeline: 'gated' }, 5))).toEqual(started.toReversed());
    expect(ids(await listed(narrow, {}, 5)), 'the child runs of others are none').toEqual(started.toReversed());
    // What a key may not use does not exist for it: as of a pipeline that was never there.
    const nested = await acme.run('nested', { n: 1 });
    await listed(acme, { pipeline: 'nested' }, 1);
    expect(await narrow.listRuns({ pipeline: 'nested' })).toEqual({ runs: [] });
    expect(await narrow.listRuns({ pipeline: 'never-there' })).toEqual({ runs: [] });
    await sleep(PACE_MS);
    expect((await narrow.listRuns({ id: nested.id })).runs).toEqual([]);
  });

  it('are found by version, id and time', async () => {
    const { version, createdAt } = await acme.get(started[2] as string);
    expect(await listed(acme, { version, status: 'running' }, 5)).toHaveLength(5);
    expect(await listed(acme, { version: '000000000000' }, 0)).toEqual([]);
    expect(ids(await listed(acme, { id: started[1]?.slice(0, 20) as string }, 1))).toEqual([started[1]]);
    expect(ids(await listed(acme, { status: 'running', from: createdAt }, 3))).toEqual(started.slice(2).toReversed());
    expect(ids(await listed(acme, { status: 'running', to: createdAt }, 2))).toEqual(started.slice(0, 2).toReversed());
  });

  it.each([
    'pipeline=x" OR WorkflowType != "y',
    "pipeline=gated' OR MillraceTenant = 'other",
    "id=gated' OR 'a' = 'a",
    "status=running') OR (MillraceTenant = 'other",
    "version=000000000000' OR MillraceTenant = 'other",
    "from=2020-01-01' OR MillraceTenant = 'other",
    'id=gated\\',
  ])('are not found by %s, which is no filter', async (query) => {
    const at = query.indexOf('=');
    const response = await raw(`${query.slice(0, at)}=${encodeURIComponent(query.slice(at + 1))}`);
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: query.slice(0, at) }] });
  });

  it('have cursors for their own list alone, at every gateway', async () => {
    const { nextCursor = '' } = await acme.listRuns({ status: 'running', limit: 2 });
    const cursor = { status: 'running', cursor: nextCursor } as const;
    const refused = expect.objectContaining({
      code: 'INVALID_INPUT',
      status: 422,
      fields: [expect.objectContaining({ field: 'cursor' })],
    });
    await expect(other.listRuns(cursor)).rejects.toEqual(refused);
    await expect(acme.listRuns({ cursor: nextCursor })).rejects.toEqual(refused);
    const place = Buffer.from(nextCursor, 'base64url').subarray(16);
    expect(JSON.parse(place.toString()), 'a place as Temporal names it').toHaveProperty('RunID');
    for (const forged of [place, Buffer.from('{"RunID":"x"}'), Buffer.alloc(400, 'x')]) {
      const wanted = { status: 'running', cursor: forged.toString('base64url') } as const;
      await expect(acme.listRuns(wanted)).rejects.toEqual(refused);
    }
    const second = await GatewayProcess.start({ MILLRACE_TASK_QUEUE: queue, MILLRACE_KEYS: keysFile, ...settings });
    const there = new MillraceClient({ baseUrl: second.url, key: secrets.acme as string });
    expect(ids((await there.listRuns({ ...cursor, limit: 3 })).runs)).toEqual(started.slice(0, 3).toReversed());
    await second.stop();
  });

  it('are no more than five pages a second of Temporal, for each tenant by itself', async () => {
    await sleep(2_500);
    const began = performance.now();
    const responses = await Promise.all(Array.from({ length: 30 }, () => raw('limit=1')));
    const seconds = (performance.now() - began) / 1_000;
    const count = (wanted: number) => responses.filter(({ status }) => status === wanted).length;
    expect(count(200) + count(429)).toBe(30);
    // Two seconds' worth is saved up, and five come with each second that the thirty take.
    expect(count(200)).toBeGreaterThanOrEqual(10);
    expect(count(200)).toBeLessThanOrEqual(10 + Math.floor(5 * seconds));
    expect(Number(responses.find(({ status }) => status === 429)?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await raw('limit=1', 'other')).status).toBe(200);
    await sleep(2_500);
  });

  it('are a table of the command line, and its next page', async () => {
    const env = {
      ...process.env,
      ...testEnvironment({ MILLRACE_GATEWAY_URL: gateway.url, MILLRACE_API_KEY: secrets.acme as string }),
    };
    const millrace = (...args: string[]) => promisify(execFile)('dist/cli/main.js', ['runs', ...args], { env });
    const filters = ['--status', 'running', '--pipeline', 'gated', '--from', '1h', '--limit', '4'];
    const { stdout, stderr } = await millrace(...filters);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[1]).toMatch(new RegExp(`^${started[4]}  running  \\d{4}-\\d\\d-\\d\\dT[\\d:]{8}Z$`));
    const [, cursor = ''] = /--cursor\s+(\S+)/.exec(stderr) ?? [];
    // `--from 1h` is another time by now, and so another list.
    await expect(millrace(...filters, '--cursor', cursor)).rejects.toMatchObject({ code: 2 });
    const page = JSON.parse((await millrace('--status', 'running', '--limit', '1', '--json')).stdout);
    expect(page).toMatchObject({ runs: [{ id: started[4] }], nextCursor: expect.any(String) });
    await expect(millrace('--status', 'done')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('status'),
    });
  });
});

describe('runs that have ended', () => {
  it('are listed as they have ended, the latest end first, and counted once', async () => {
    const pipeline = 'gated';
    const before = await counted('pipeline="gated"');
    const [approved = '', cancelled = '', terminated = ''] = await waiting(acme, 3);
    const headers = { authorization: `Bearer ${secrets.acme}` };
    expect((await decideOver(`${gateway.url}/v1/runs/${approved}`, 'approve', { headers })).status).toBe(202);
    expect((await acme.wait(approved)).status).toBe('succeeded');
    await acme.cancel(cancelled);
    expect((await acme.wait(cancelled)).status).toBe('cancelled');
    await temporal.workflow.getHandle(terminated).terminate('by hand');
    expect((await acme.wait(terminated)).status).toBe('failed');
    const own = async (filters: RunFilters) => {
      const all = (await acme.listRuns({ ...filters, pipeline, limit: 100 })).runs;
      return ids(all).filter((id) => [approved, cancelled, terminated].includes(id));
    };
    await until('all are seen', async () => {
      await sleep(4 * PACE_MS);
      for (const status of ['failed', 'cancelled', 'succeeded'] as const)
        if ((await own({ status })).length !== 1) return false;
      return true;
    });
    expect(await own({ status: 'succeeded' })).toEqual([approved]);
    expect(await own({ status: 'running' })).toEqual([]);
    expect(await own({})).toEqual([terminated, cancelled, approved]);
    const { runs } = await acme.listRuns({ id: approved });
    const { input: _, output: __, stages: ___, ...document } = await acme.get(approved);
    expect(runs).toEqual([document]);
    // Terminated, a run ends without its workflow: nobody counts it.
    expect((await counted('pipeline="gated"')) - before).toBe(2);
    expect(await worker.metric('millrace_run_duration_seconds_count', 'pipeline="gated",status="succeeded"')).toBe(1);
  });

  it('count by how they ended: failed, past Temporal, with a child run, over several histories', async () => {
    const failed = await acme.start('failing-segment', { n: 1 });
    expect((await acme.wait(failed.id)).status).toBe('failed');
    // A fast host that gets no processor in time leaves a run to its guardian, which is as right.
    let fastRuns = 0;
    const fast = await caught('a run past Temporal, of which its guardian is told', async () => {
      fastRuns += 1;
      const run = await acme.run('four-inline-steps', quick(), { priority: 'interactive' });
      await acme.wait(run.id);
      const { events } = await temporal.workflow.getHandle(run.id).fetchHistory();
      return events?.some((event) => event.workflowExecutionSignaledEventAttributes) ? run : undefined;
    });
    const nested = await acme.run('nested', { n: 1 });
    const long = await acme.run('heavy-loop', { n: 0 });
    for (const [name, status, id, many] of [
      ['failing-segment', 'failed', failed.id, 1],
      ['four-inline-steps', 'succeeded', fast.id, fastRuns],
      ['heavy-loop', 'succeeded', long.id, 1],
    ] as const) {
      expect(ids(await listed(acme, { id, status }, 1))).toEqual([id]);
      expect(await counted(`pipeline="${name}",status="${status}"`), name).toBe(many);
      expect(await counted(`pipeline="${name}"`), name).toBe(many);
    }
    expect(ids(await listed(acme, { id: nested.id }, 1)), 'without its child run').toEqual([nested.id]);
    expect(await counted('pipeline="inner"')).toBe(0);
    const seconds = await worker.metric('millrace_run_duration_seconds_sum', 'pipeline="heavy-loop"');
    const last = temporal.workflow.getHandle(long.id);
    const begun = (await last.fetchHistory()).events?.[0]?.workflowExecutionStartedEventAttributes;
    const first = temporal.workflow.getHandle(long.id, begun?.firstExecutionRunId ?? '');
    const [from, to] = (await Promise.all([first.describe(), last.describe()])).map((of) => of.startTime.getTime());
    const before = (to as number) - (from as number);
    expect(before, 'it has several').toBeGreaterThan(0);
    expect(seconds * 1_000, 'from its first history on').toBeGreaterThan(before - 1);
    const metrics = await (
      await fetch(`${gateway.url}/metrics`, { headers: { authorization: `Bearer ${secrets.ops}` } })
    ).text();
    expect(metrics).toMatch(
      new RegExp(
        `^millrace_runs_started_total\\{pipeline="four-inline-steps",priority="interactive"\\} ${fastRuns}$`,
        'm',
      ),
    );
  });

  it('are listed where others are told of their end, without the delivery', async () => {
    const { id } = await acme.start('three-inline-steps', quick(), { webhook: `${receiver.url}/hooks` });
    expect((await acme.wait(id)).status).toBe('succeeded');
    await until('the receiver is told', () => receiver.about(id).length > 0);
    expect(ids(await listed(acme, { pipeline: 'three-inline-steps', status: 'succeeded' }, 1))).toEqual([id]);
    expect(await counted('pipeline="three-inline-steps"')).toBe(1);
    const all = await acme.listRuns({ limit: 100 });
    expect(all.runs.every((run) => run.tenant === tenant && !run.id.includes('/'))).toBe(true);
  });

  it('say where they go on from', async () => {
    const failed = await acme.start('failing-segment', { n: 1 });
    await acme.wait(failed.id);
    const resumed = await acme.resume(failed.id, { repeat: true });
    await acme.wait(resumed.id);
    const rows = await listed(acme, { id: failed.id }, 2);
    expect(rows.map(({ id, resumedFrom }) => [id, resumedFrom])).toEqual([
      [resumed.id, failed.id],
      [failed.id, undefined],
    ]);
  });

  it('are counted by the worker that ends them, and not again by one that reads their history', async () => {
    const [id = ''] = await waiting(acme, 1);
    const ended = await acme.start('three-steps', quick());
    await acme.wait(ended.id);
    await until('it waits', async () => ((await acme.get(id)).waiting ?? []).length > 0);
    const second = await WorkerProcess.start(queue, settings);
    try {
      await worker.kill();
      const run = temporal.workflow.getHandle(ended.id);
      // The first may be for the worker that is gone.
      await until('its history is read', async () => {
        const stages = await run.query<unknown[]>(STAGES_QUERY).catch(() => []);
        return stages.length === 3;
      });
      const headers = { authorization: `Bearer ${secrets.acme}` };
      expect((await decideOver(`${gateway.url}/v1/runs/${id}`, 'approve', { headers })).status).toBe(202);
      expect((await acme.wait(id)).status).toBe('succeeded');
      expect(await counted('pipeline="gated"', second)).toBe(1);
      expect(await counted('', second), 'no other').toBe(1);
    } finally {
      await second.kill();
    }
  });
});
