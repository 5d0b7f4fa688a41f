import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { approve, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { Problem } from '../../pipelines/run/document.js';
import type { Wait } from '../../pipelines/run/index.js';
import type { RunDocument } from '../../runs/document.js';
import { CodeRunner } from '../support/in-process.js';
import { until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { TestWorker } from '../support/test-worker.js';

/** Decisions over HTTP while other people decide, and while gateways and workers come and go. */

/** A loaded machine takes its time. */
const LIMIT_MS = 60_000;
/** How long the gateway waits for a run to take a decision, and what the rest of an answer may take on a loaded machine. */
const BOUND_MS = 10_000 + 20_000;

const signed = pipeline('signed', { input: z.object({ n: z.number() }), deadline: '1h' }, ({ stage }) => {
  const first = stage('first', approve({ timeout: '30m' }), { subject: 'it' });
  const second = stage('second', approve({ timeout: '30m' }), { subject: first.by });
  return { first: { approved: first.approved, by: first.by }, second: { approved: second.approved, by: second.by } };
});

const queue = `decisions-${randomUUID()}`;
const pipelines = [signed] as unknown as Pipeline<never>[];
/** The first has the worker of the runs, the other is a gateway that knows nothing but what Temporal does. */
let first: ServedPipelines;
let other: ServedPipelines;
let closed = false;
beforeAll(async () => {
  [first, other] = await Promise.all([servePipelines(pipelines, { queue }), servePipelines(pipelines)]);
});
afterAll(async () => {
  if (!closed) await first?.close();
  await other?.close();
});

async function started(): Promise<string> {
  const answer = await first.post('signed', '{"n": 1}', { 'content-type': 'application/json' });
  return ((await answer.json()) as RunDocument).id;
}

async function waitAt(served: ServedPipelines, id: string, path: string): Promise<Wait> {
  let found: Wait | undefined;
  await until(
    `${path} waits`,
    async () => {
      found = (await served.get(id)).waiting?.find((wait) => wait.path === path);
      return found !== undefined;
    },
    LIMIT_MS,
  );
  return found as Wait;
}

async function decide(
  { url }: ServedPipelines,
  id: string,
  what: 'approve' | 'reject',
  body: object,
): Promise<{ status: number; code: string | undefined }> {
  const response = await fetch(`${url}/v1/runs/${id}/${what}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, code: ((await response.json()) as Partial<Problem>).code };
}

const TAKEN = { status: 202, code: undefined };
const TOO_LATE = { status: 409, code: 'ALREADY_DECIDED' };
const UNKNOWN = { status: 409, code: 'NOT_WAITING' };

describe('a decision', () => {
  test('that comes at the same time as others, at two gateways, counts or is refused', async () => {
    const id = await started();
    const { nonce } = await waitAt(first, id, 'first');
    const names = ['ada', 'bob', 'cy', 'dee', 'eve', 'fay'];
    const answers = await Promise.all(
      names.map((by, i) => decide(i % 2 ? first : other, id, i % 3 ? 'approve' : 'reject', { nonce, by })),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(1);
    expect(answers.filter(({ status }) => status !== 202)).toEqual(names.slice(1).map(() => TOO_LATE));
    const winner = answers.findIndex(({ status }) => status === 202);
    const second = await waitAt(other, id, 'second');
    expect(second.subject).toBe(names[winner]);
    expect(await decide(other, id, 'approve', { nonce: second.nonce, by: 'gus' })).toEqual(TAKEN);
    await until('the run has ended', async () => (await other.get(id)).status === 'succeeded', LIMIT_MS);
    expect((await other.get(id)).output).toEqual({
      first: { approved: winner % 3 !== 0, by: names[winner] },
      second: { approved: true, by: 'gus' },
    });
  });

  test('with the nonce of an earlier wait, or of another run, decides nothing', async () => {
    const [id, another] = await Promise.all([started(), started()]);
    const [wait, foreign] = await Promise.all([waitAt(first, id, 'first'), waitAt(first, another, 'first')]);
    expect(foreign.path).toBe(wait.path);
    expect(await decide(first, id, 'approve', { nonce: foreign.nonce })).toEqual(UNKNOWN);
    expect(await decide(first, id, 'approve', { nonce: wait.nonce, by: 'ada' })).toEqual(TAKEN);
    const second = await waitAt(first, id, 'second');
    expect(await decide(first, id, 'reject', { nonce: wait.nonce })).toEqual(TOO_LATE);
    expect(await decide(first, id, 'reject', { nonce: wait.nonce, stage: 'second' })).toEqual(TOO_LATE);
    // Said again it is no second decision, and still none on what waits now.
    expect(await decide(first, id, 'approve', { nonce: wait.nonce, by: 'ada' })).toEqual(TAKEN);
    // A worker that stands still for a second leaves the waits out of the document.
    await expect.poll(async () => (await first.get(id)).waiting).toEqual([second]);
  });

  test('while no worker is there is answered in bounded time, and counts once when it is sent again', async () => {
    const id = await started();
    const { nonce } = await waitAt(first, id, 'first');
    closed = true;
    await first.close();
    const sentAt = Date.now();
    const answer = await decide(other, id, 'approve', { nonce, by: 'ada' });
    expect(answer).toEqual({ status: 503, code: 'ORCHESTRATOR_UNAVAILABLE' });
    expect(Date.now() - sentAt).toBeLessThan(BOUND_MS);
    await expect.poll(() => other.get(id)).toMatchObject({ status: 'running' });
    const worker = await TestWorker.start({ queue, runner: new CodeRunner(signed as unknown as Pipeline) });
    try {
      // The worker may take longer to begin to poll than the gateway waits for it.
      const again = () => decide(other, id, 'approve', { nonce, by: 'ada' });
      await expect.poll(again, { timeout: LIMIT_MS }).toEqual(TAKEN);
      const second = await waitAt(other, id, 'second');
      expect(second.subject).toBe('ada');
      expect(await decide(other, id, 'reject', { nonce, by: 'bob' })).toEqual(TOO_LATE);
      expect(await decide(other, id, 'reject', { nonce: second.nonce, by: 'bob' })).toEqual(TAKEN);
      await until('the run has ended', async () => (await other.get(id)).status === 'succeeded', LIMIT_MS);
      expect((await other.get(id)).output).toEqual({
        first: { approved: true, by: 'ada' },
        second: { approved: false, by: 'bob' },
      });
    } finally {
      await worker.stop();
    }
  });
});
