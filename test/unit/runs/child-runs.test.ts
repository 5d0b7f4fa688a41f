import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { STAGES_QUERY } from '../../../pipelines/run/index.js';
import { decideOn } from '../../../runs/decide.js';
import type { RunDeps } from '../../../runs/deps.js';
import { readRun } from '../../../runs/read.js';
import { waitingInTurn } from '../../../runs/waiting.js';
import { FakeTemporal } from '../../support/fake-temporal.js';
import { nonceOf } from '../../support/waits.js';

const CHILDREN = 32;
/** How long a worker takes for a question or a decision here, in milliseconds. */
const WORKER_MS = 10;

/** Runs under way with child runs that each wait for a person, and what is asked of them. */
async function parents(count = 1, children = CHILDREN) {
  const temporal = new FakeTemporal();
  const of = { tenant: 'acme', pipeline: 'far', version: '1' };
  const memo = { ...of, createdAt: new Date().toISOString(), fingerprint: 'f' };
  temporal.stages = [{ stage: 'far', kind: 'pipeline', connector: '', model: '', device: '', status: 'running' }];
  temporal.waitAt([]);
  for (let n = 0; n < count; n++) {
    await temporal.client.workflow.start('far', { workflowId: `far-${n}`, memo, args: [{}, {}] } as never);
    for (let i = 0; i < children; i++) temporal.waitAt(['review'], `far-${n}/items[${i}]/far`);
  }
  const counter = () => ({ now: 0, most: 0, total: 0 });
  const seen = { stages: counter(), waits: counter(), updates: counter() };
  const counted = async <T>(at: ReturnType<typeof counter>, work: () => Promise<T>): Promise<T> => {
    at.now += 1;
    at.total += 1;
    at.most = Math.max(at.most, at.now);
    await sleep(WORKER_MS);
    at.now -= 1;
    return await work();
  };
  const { workflow } = temporal.client;
  const { getHandle } = workflow;
  workflow.getHandle = ((id: string) => {
    const handle = getHandle(id);
    return {
      ...handle,
      query: (name: string) =>
        counted(name === STAGES_QUERY ? seen.stages : seen.waits, () => handle.query(name)) as never,
      executeUpdate: (name: string, options: never) =>
        counted(seen.updates, () => handle.executeUpdate(name, options) as Promise<unknown>) as never,
    };
  }) as never;
  const deps = { temporal: temporal.client, uiUrl: () => 'http://ui.test' } as unknown as RunDeps;
  const read = async (n = 0) => (await readRun(deps, `far-${n}`, { tenant: 'acme' })).document;
  const approve = (nonce: string, stage?: string) =>
    decideOn(deps, { id: 'far-0', tenant: 'acme' }, { nonce, approved: true }, stage);
  return { temporal, deps, seen, read, approve };
}

test('those who read a run at the same time ask it and its child runs once, or once more', async () => {
  const { seen, read } = await parents();
  const all = await Promise.all(Array.from({ length: 100 }, () => read()));
  expect(all.map(({ waiting }) => waiting?.length)).toEqual(Array(100).fill(CHILDREN));
  expect(seen.stages.total).toBeLessThanOrEqual(2);
  expect(seen.waits.total).toBeLessThanOrEqual(2 * (1 + CHILDREN));
});

test('who reads a run sees what waits in child runs that had begun by then, whoever else reads it', async () => {
  const { temporal, seen, read } = await parents();
  const first = read();
  await expect.poll(() => seen.waits.now, { interval: 1 }).toBeGreaterThan(0);
  const second = read();
  await sleep(1);
  temporal.waitAt(['review'], 'far-0/late');
  temporal.children.delete('far-0/items[0]/far');
  const third = await read();
  expect(third.waiting?.map(({ path }) => path)).toContain('late/review');
  await Promise.all([first, second]);
});

test('of the runs of a tenant that have child runs, and of these, as many are asked at a time as two runs may have', async () => {
  const { seen, read } = await parents(6);
  const all = await Promise.all(Array.from({ length: 6 }, (_, n) => read(n)));
  expect(all.map(({ waiting }) => waiting?.length)).toEqual(Array(6).fill(CHILDREN));
  expect(seen.waits.most).toBeLessThanOrEqual(2 * CHILDREN);
});

/** Questions, or decisions, to these workflows have no answer until the returned function is called. */
function hang({ workflow }: FakeTemporal['client'], isOf: (id: string) => boolean, name: 'query' | 'executeUpdate') {
  const { getHandle } = workflow;
  let answer = () => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  workflow.getHandle = ((id: string) => {
    const handle = getHandle(id) as unknown as Record<string, (...given: unknown[]) => unknown>;
    const late = async (...given: unknown[]) => {
      if (isOf(id)) await answered;
      return await handle[name]?.(...given);
    };
    return { ...handle, [name]: late };
  }) as never;
  return answer;
}

test('child runs that compute keep no other runs of the tenant from being asked, and no decisions from being taken', async () => {
  const { temporal, deps, read } = await parents(9, 1);
  const answerAll = [
    hang(temporal.client, (id) => /far-[0-7].items/.test(id), 'query'),
    hang(temporal.client, (id) => /far-[0-2].items/.test(id), 'executeUpdate'),
  ];
  const decide = (n: number) =>
    decideOn(
      deps,
      { id: `far-${n}`, tenant: 'acme' },
      { nonce: nonceOf('review', `far-${n}/items[0]/far`), approved: true },
    );
  const reads = Array.from({ length: 8 }, (_, n) => read(n));
  const decisions = Array.from({ length: 3 }, (_, n) => decide(n));
  await sleep(50);
  expect((await read(8)).waiting).toHaveLength(1);
  await decide(8);
  expect(temporal.sentTo).toEqual(['far-8/items[0]/far']);
  for (const answer of answerAll) answer();
  await Promise.all([...reads, ...decisions]);
});

test('one whose turn does not come in time is shown without what it waits for, and others wait for nothing', async () => {
  const { temporal, deps, read } = await parents(3);
  const answer = hang(temporal.client, (id) => id.includes('/'), 'query');
  const hung = [0, 1].map((n) => read(n));
  await sleep(50);
  const late = waitingInTurn(deps, { id: 'far-2', tenant: 'acme' }, Date.now() + 1_999);
  // Half of the time is for the answers.
  await expect(late).rejects.toMatchObject({ code: 'OVERLOADED', message: expect.stringMatching(/within 9\d\d ms/) });
  const shown = await read(2);
  expect([shown.stages?.length, shown.waiting]).toEqual([1, undefined]);
  const other = waitingInTurn(deps, { id: 'far-2', tenant: 'other' }, Date.now() + 50);
  answer();
  expect(await other).toHaveLength(CHILDREN);
  expect((await Promise.all(hung)).map(({ waiting }) => waiting?.length)).toEqual([CHILDREN, CHILDREN]);
});

test('decisions that nothing waits for ask few child runs at a time, and say what waits', async () => {
  const { seen, approve } = await parents();
  const all = await Promise.allSettled(Array.from({ length: 4 }, (_, n) => approve(`none-${n}`)));
  for (const each of all) {
    expect(each).toMatchObject({ status: 'rejected', reason: { code: 'NOT_WAITING' } });
    expect(String((each as PromiseRejectedResult).reason.message)).toContain('items[31]/far/review');
  }
  expect(seen.updates.total).toBe(4 * (1 + CHILDREN));
  // Those of the runs themselves come first.
  expect(seen.updates.most).toBeLessThanOrEqual(4 + 16);
  expect(seen.waits.most).toBeLessThanOrEqual(CHILDREN);
});

test('a decision asks no further child runs once one has accepted it, and those on its path alone where it names that', async () => {
  const { temporal, seen, approve } = await parents();
  await approve(nonceOf('review', 'far-0/items[0]/far'));
  expect(seen.updates.total).toBeLessThanOrEqual(1 + 16);
  const before = seen.updates.total;
  await approve(nonceOf('review', 'far-0/items[31]/far'), 'items[31]/far/review');
  expect(seen.updates.total).toBe(before + 2);
  expect(temporal.sentTo).toEqual(['far-0/items[0]/far', 'far-0/items[31]/far']);
});
