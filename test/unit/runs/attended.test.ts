import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { WebhookConfig } from '../../../activities/webhooks/index.js';
import { pipeline } from '../../../pipelines/index.js';
import { type RunToStart, WEBHOOK_WORKFLOW } from '../../../pipelines/run/index.js';
import { followAttended, runAttended } from '../../../runs/attended.js';
import { RunEnds } from '../../../runs/ends.js';
import type { RunFailedError } from '../../../runs/failed.js';
import type { Order } from '../../../runs/order.js';
import { grpcError } from '../../support/fake-temporal.js';
import { greet, type TestGateway, testGateway } from '../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await gateway?.close();
  gateway = undefined;
});

const patient = pipeline('patient', { input: z.object({ name: z.string() }), deadline: '40d' }, ({ input }) => ({
  name: input.name,
}));

/** What `runs/` needs, on a fake Temporal whose runs end after a moment, or never. */
async function setUp({ end = true, ...change }: { end?: boolean; webhooks?: WebhookConfig } = {}) {
  gateway = await testGateway({}, change);
  const { deps, temporal } = gateway;
  temporal.onStart = (run) => {
    if (end) setTimeout(() => run.end({ output: { name: 'Ada' }, stages: [] }), 50);
  };
  const streams = { take: () => () => undefined };
  const starts = { count: () => undefined };
  const own = { ...deps, registry: new Registry() };
  return { temporal, runs: { ...own, ends: new RunEnds(own), streams, starts } as never };
}

const order = (of = greet): Order => ({ pipeline: of, caller: { tenant: 'default' }, input: { name: 'Ada' } }) as never;
const attendance = (waitMs?: number) => ({ gone: new AbortController().signal, waitMs });

/** How callers wait: for the end, or with the events. */
const WAITS: readonly [string, (...given: Parameters<typeof runAttended>) => Promise<unknown>][] = [
  ['waited for', runAttended],
  [
    'followed',
    async (...given) => {
      let document: unknown;
      for await (const each of (await followAttended(...given)).events)
        if ('document' in each) document = each.document;
      return document;
    },
  ],
];

/** Every run of the tenant has a webhook. */
const webhooks = {
  of: () => ({ secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], endpoints: { audit: { url: 'https://a.test' } } }),
} as unknown as WebhookConfig;

describe('a run that its caller waits for', () => {
  it.each([
    ['longer than a timer can', greet, 2 ** 40],
    ['whose deadline is longer than a timer can be', patient as unknown as typeof greet, undefined],
  ])('%s is waited for and not cancelled', async (_, of, waitMs) => {
    const { runs, temporal } = await setUp();
    expect(await runAttended(runs, order(of), attendance(waitMs))).toMatchObject({ status: 'succeeded' });
    expect(temporal.sent).toEqual([]);
  });

  it.each([
    ['longer than a timer can', greet, 2 ** 40],
    ['whose deadline is longer than a timer can be', patient as unknown as typeof greet, undefined],
  ])('%s is followed and not cancelled', async (_, of, waitMs) => {
    const { runs, temporal } = await setUp();
    const { events } = await followAttended(runs, order(of), attendance(waitMs));
    const items = [];
    for await (const each of events) items.push(each);
    expect(items).toMatchObject([{ document: { status: 'succeeded' } }]);
    expect(temporal.sent).toEqual([]);
  });

  it.each(WAITS)('that its delivery starts only later is %s until it has ended', async (_, wait) => {
    const { runs, temporal } = await setUp({ webhooks });
    const endSoon = temporal.onStart;
    temporal.onStart = ({ type, options }) => {
      expect(type).toBe(WEBHOOK_WORKFLOW);
      temporal.onStart = endSoon;
      const [{ of }] = options.args as unknown as [{ of: { run: RunToStart } }];
      const { id: workflowId, pipeline: name, memo, args } = of.run;
      const start = () => temporal.client.workflow.start(name, { workflowId, memo, args, taskQueue: 'q' } as never);
      setTimeout(() => void start(), 3_000);
    };
    expect(await wait(runs, order(), attendance())).toMatchObject({ status: 'succeeded', output: { name: 'Ada' } });
    expect(temporal.sent).toEqual([]);
  });

  it.each(WAITS)('is %s while Temporal is away for a moment', async (_, wait) => {
    const { runs, temporal } = await setUp();
    const started = () => {
      temporal.outage = grpcError(14, 'unavailable');
      setTimeout(() => {
        temporal.outage = undefined;
      }, 300);
    };
    expect(await wait(runs, order(), { ...attendance(), started })).toMatchObject({ status: 'succeeded' });
    expect(temporal.sent).toEqual([]);
  });

  it.each(WAITS)('is %s, and not cancelled where Temporal cannot say whether it has ended', async (_, wait) => {
    const { runs, temporal } = await setUp({ end: false });
    const ends = { of: () => Promise.reject(new Error('Temporal is away')) };
    const waits = wait({ ...(runs as object), ends } as never, order(), attendance());
    await expect(waits).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
    await sleep(20);
    expect(temporal.sent).toEqual([]);
  });

  it('fails without the place in the author’s sources, which end users of a door do not get', async () => {
    const { runs, temporal } = await setUp({ end: false });
    const details = [{ stages: [], at: 'pipelines.ts:12:5' }];
    temporal.onStart = (run) => run.end(ApplicationFailure.create({ type: 'CODE_FAILED', message: 'no', details }));
    const failure: unknown = await runAttended(runs, order(), attendance()).catch((error: unknown) => error);
    expect((failure as RunFailedError).run.error).toEqual({ code: 'CODE_FAILED', message: 'no' });
  });

  it('is cancelled when the caller disconnects, though its events are not read', async () => {
    const { runs, temporal } = await setUp({ end: false });
    const gone = new AbortController();
    await followAttended(runs, order(), { gone: gone.signal });
    gone.abort();
    await expect.poll(() => temporal.sent).toEqual([['cancel']]);
  });

  it('leaves no timer behind when the caller disconnects and its events are not read', async () => {
    const { runs } = await setUp({ end: false });
    const begun = vi.spyOn(globalThis, 'setTimeout');
    const ended = vi.spyOn(globalThis, 'clearTimeout');
    const gone = new AbortController();
    await followAttended(runs, order(patient as unknown as typeof greet), { gone: gone.signal });
    const longest = begun.mock.calls.findIndex(([, ms = 0]) => ms > 86_400_000);
    const timer = begun.mock.results[longest]?.value as NodeJS.Timeout;
    gone.abort();
    expect(timer).toBeDefined();
    expect(ended.mock.calls.map(([each]) => each)).toContain(timer);
  });

  it('is not cancelled when the caller has an idempotency key', async () => {
    const { runs, temporal } = await setUp({ end: false });
    const gone = new AbortController();
    const keyed = { ...order(), idempotencyKey: 'k' };
    const { events } = await followAttended(runs, keyed, { gone: gone.signal });
    gone.abort();
    await expect(events.next()).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect(temporal.sent).toEqual([]);
  });
});
