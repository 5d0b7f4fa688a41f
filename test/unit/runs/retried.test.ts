import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { headersOf } from '../../../gateway/http/problem.js';
import { inputForm } from '../../../gateway/input/input-form.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { code, pipeline } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { followAttended, runAttended } from '../../../runs/attended.js';
import { RunEnds } from '../../../runs/ends.js';
import { CancelledByCaller } from '../../../runs/leaving.js';
import type { Order } from '../../../runs/order.js';
import { LaterRefusedError } from '../../../runs/refused.js';
import { RETRY_WINDOW_MS } from '../../../runs/retried.js';
import { orderInput } from '../../../runs/sent-input.js';
import type { LatestRuns } from '../../../stores/retries/index.js';
import { failure, grpcError } from '../../support/fake-temporal.js';
import { greet, type TestGateway, testGateway } from '../../support/test-gateway.js';

const named = z.object({ name: z.string() });
const pay = pipeline('pay', { input: named }, ({ input, stage }) => ({
  name: stage(
    'charge',
    code('charge', { input: named, output: named }, (given) => given),
    { name: input.name },
  ).name,
}));

/** The latest runs, in memory; `lost` makes every call fail. */
class Latest implements LatestRuns {
  readonly runs = new Map<string, string>();
  lost = false;
  async claim(request: string, run: string) {
    this.#check();
    if (this.runs.has(request)) return false;
    this.runs.set(request, run);
    return true;
  }
  async replace(request: string, run: string) {
    this.#check();
    this.runs.set(request, run);
  }
  async latest(request: string) {
    this.#check();
    return this.runs.get(request);
  }
  #check() {
    if (this.lost) throw new Error('no connection');
  }
}

let gateway: TestGateway;
let latest: Latest;
let runs: Parameters<typeof runAttended>[0];
beforeEach(async () => {
  latest = new Latest();
  gateway = await testGateway({}, { latest, placementOf: () => ({}) });
  const own = { ...gateway.deps, registry: new Registry() };
  const [streams, starts] = [{ take: () => () => undefined }, { count: () => undefined }];
  runs = { ...own, ends: new RunEnds(own), streams, starts } as never;
});
afterEach(async () => {
  vi.useRealTimers();
  await gateway.close();
});

const order = (more: Partial<Order> = {}): Order => ({
  pipeline: pay as never,
  caller: { tenant: 'default' },
  input: { name: 'Ada' },
  ...more,
});
/** A request whose client leaves as soon as its run has started. */
async function leave(of: Order, reason?: Error): Promise<void> {
  const gone = new AbortController();
  const { signal } = gone;
  await expect(runAttended(runs, of, { gone: signal, started: () => gone.abort(reason) })).rejects.toMatchObject({
    code: 'REQUEST_ABORTED',
  });
}
const stay = (of: Order) => runAttended(runs, of, { gone: new AbortController().signal });
const started = () => [...gateway.temporal.runs.keys()];
/** How the last request was refused. */
let refusal: unknown;
/** A request that admission refuses. */
async function refused(of: Order): Promise<void> {
  const no = () => new MillraceError('TOO_MANY_RUNS', 'no', { retryAfterMs: 1_000 });
  const admission = { admit: () => Promise.reject(no()) };
  const ended = runAttended({ ...runs, admission }, of, { gone: new AbortController().signal });
  refusal = await ended.catch((error: unknown) => error);
  expect(refusal).toMatchObject({ code: 'TOO_MANY_RUNS' });
}
/** A request whose run Temporal does not start. */
async function unstarted(of: Order): Promise<void> {
  gateway.temporal.outage = grpcError(14, 'unavailable');
  await expect(stay(of)).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
  gateway.temporal.outage = undefined;
}
const end = (id: string, name: string) => gateway.temporal.runs.get(id)?.end({ output: { name }, stages: [] });

describe('a client that leaves and retries', () => {
  it('gets the run that it has left, where the run has effects', async () => {
    await leave(order());
    const [id = ''] = started();
    expect(gateway.temporal.sent).toEqual([]);
    end(id, 'paid');
    expect(await stay(order({ retry: 1 }))).toMatchObject({ id, output: { name: 'paid' } });
    expect(started()).toEqual([id]);
  });

  it('gets the failure of its run, where that has no room for the places of its stages by now', async () => {
    await leave(order());
    const [id = ''] = started();
    gateway.temporal.runs.get(id)?.end(failure('BACKEND_UNAVAILABLE', 'no server', { stages: [] }));
    runs = { ...runs, placementOf: () => ({ charge: 'x'.repeat(3_000_000) }) as never };
    await expect(stay(order({ retry: 1 }))).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(started()).toEqual([id]);
  });

  it('gets a run of its own where there are only calls of models: the one that it has left is cancelled', async () => {
    const pure = order({ pipeline: greet as never });
    await leave(pure);
    expect(gateway.temporal.sent).toEqual([['cancel']]);
    await leave({ ...pure, retry: 1 });
    expect(started()).toHaveLength(2);
  });

  it.each([
    ['the request states cancel', order({ onLeave: 'cancel' }), ['cancel']],
    ['the request states continue', order({ pipeline: greet as never, onLeave: 'continue' }), []],
    ['the pipeline states cancel', order({ pipeline: { ...pay, onLeave: 'cancel' } as never }), ['cancel']],
    ['the pipeline states continue', order({ pipeline: { ...greet, onLeave: 'continue' } as never }), []],
  ])('%s', async (_, of, sent) => {
    await leave(of);
    expect(gateway.temporal.sent.flat()).toEqual(sent);
  });

  it('has its run cancelled when it asks for it, whatever is said of leaving', async () => {
    await leave(order(), new CancelledByCaller());
    expect(gateway.temporal.sent).toEqual([['cancel']]);
  });

  it('is told from another client that sends the same: each retry gets the latest', async () => {
    await leave(order());
    await leave(order());
    const [first, second = ''] = started();
    expect(second).not.toBe(first);
    end(second, 'the second');
    expect(await stay(order({ retry: 1 }))).toMatchObject({ id: second });
    expect(started()).toHaveLength(2);
  });

  it('pays once where its retry is served before the request that it has left', async () => {
    const gone = new AbortController();
    await leave(order({ retry: 1 }));
    gone.abort();
    const late = runAttended(runs, order(), { gone: gone.signal });
    await expect(late).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    await expect(followAttended(runs, order(), { gone: gone.signal })).rejects.toMatchObject({
      code: 'REQUEST_ABORTED',
    });
    expect(started()).toHaveLength(1);
    // So it is where a third client has sent the same meanwhile.
    await leave(order());
    await expect(runAttended(runs, order(), { gone: gone.signal })).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect(started()).toHaveLength(2);
    // One that is there pays itself.
    await leave(order());
    expect(started()).toHaveLength(3);
  });

  it.each([
    ['tenant', order({ caller: { tenant: 'other' } })],
    ['key', order({ caller: { tenant: 'default', key: { id: 'k' } } })],
    ['input', order({ input: { name: 'Grace' } })],
    ['wish', order({ options: { priority: 'batch' } })],
  ])('does not get the run of another %s', async (_, of) => {
    await leave(of);
    await leave(order({ retry: 1 }));
    expect(started()).toHaveLength(2);
  });

  it('starts the run if the request before it did not', async () => {
    await unstarted(order());
    await leave(order({ retry: 1 }));
    await leave(order({ retry: 2 }));
    expect(started()).toHaveLength(1);
  });

  it.each([
    ['was refused', refused],
    ['found Temporal away', unstarted],
  ])('gets the run that it has left, and not that of an equal request that %s', async (_, fails) => {
    await leave(order());
    const [id = ''] = started();
    await fails(order());
    end(id, 'paid');
    expect(await stay(order({ retry: 1 }))).toMatchObject({ id });
    expect(started()).toEqual([id]);
  });

  it('is told not to retry by itself if it is refused and an equal request has a run: it would get that run', async () => {
    await leave(order());
    await refused(order());
    expect(refusal).toBeInstanceOf(LaterRefusedError);
    const headers = headersOf(refusal as LaterRefusedError);
    expect(headers).toMatchObject({ 'retry-after': '1', 'x-should-retry': 'false' });
    // One with a key gets no run but its own.
    await refused(order({ idempotencyKey: 'key' }));
    expect(refusal).not.toBeInstanceOf(LaterRefusedError);
  });

  it('is told so too where the equal request came in the hour before', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 26, 10, 59) });
    await leave(order());
    vi.setSystemTime(Date.UTC(2026, 10, 26, 11, 1));
    await refused(order());
    expect(refusal).toBeInstanceOf(LaterRefusedError);
  });

  it('is not told so where the equal requests were refused too, or it is unknown whether one has a run', async () => {
    for (const of of [order(), order(), order({ retry: 1 }), order()]) {
      await refused(of);
      expect(refusal).not.toBeInstanceOf(LaterRefusedError);
    }
    await leave(order({ retry: 2 }));
    gateway.temporal.outage = grpcError(14, 'unavailable');
    await refused(order());
    expect(refusal).not.toBeInstanceOf(LaterRefusedError);
    gateway.temporal.outage = undefined;
    await refused(order());
    expect(refusal).toBeInstanceOf(LaterRefusedError);
  });

  it('gets no run if it leaves while it is admitted and an equal request has one; its slot is free again', async () => {
    await leave(order());
    const gone = new AbortController();
    let released = 0;
    const admit = async () => {
      gone.abort();
      return () => {
        released += 1;
      };
    };
    const late = runAttended({ ...runs, admission: { admit } }, order(), { gone: gone.signal });
    await expect(late).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    expect([released, started().length]).toEqual([1, 1]);
  });

  it('starts none while it is unknown whether the run exists', async () => {
    await leave(order());
    gateway.temporal.outage = grpcError(14, 'unavailable');
    await expect(stay(order({ retry: 1 }))).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
    expect(started()).toHaveLength(1);
  });
});

describe('without the state store', () => {
  it.each([
    ['that is away', () => Object.assign(latest, { lost: true })],
    ['that has lost its data', () => latest.runs.clear()],
  ])('%s a retry still starts no second run', async (_, lose) => {
    await leave(order());
    lose();
    await leave(order({ retry: 1 }));
    expect(started()).toHaveLength(1);
  });

  it('an equal request that is no retry still gets a run of its own', async () => {
    latest.lost = true;
    await leave(order());
    await leave(order());
    expect(started()).toHaveLength(2);
  });

  it('a retry in the next hour gets the run of the last minutes, and one of the day after a new one', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 26, 12, 59, 50) });
    latest.lost = true;
    await leave(order());
    vi.setSystemTime(Date.UTC(2026, 10, 26, 13, 0, 10));
    await leave(order({ retry: 1 }));
    expect(started()).toHaveLength(1);
    vi.setSystemTime(Date.UTC(2026, 10, 26, 12, 59, 50) + RETRY_WINDOW_MS + 60_000);
    await leave(order({ retry: 2 }));
    expect(started()).toHaveLength(2);
  });

  it('a gateway whose clock is behind finds it too', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 26, 13, 0, 1) });
    await leave(order());
    latest.runs.clear();
    vi.setSystemTime(Date.UTC(2026, 10, 26, 12, 59, 58));
    await leave(order({ retry: 1 }));
    expect(started()).toHaveLength(1);
  });
});

describe('while a new version of the pipeline is deployed', () => {
  /** With a default that the version before does not have, and another output. */
  const later = pipeline('pay', { input: named.extend({ tone: z.string().default('calm') }) }, ({ input, stage }) => ({
    name: stage(
      'charge',
      code('charge', { input: named, output: named }, (given) => given),
      { name: input.name },
    ).name,
    tone: input.tone,
  }));
  const ADA = { name: 'Ada' };
  /** As a door makes it. */
  function at(of: { readonly input: z.ZodType }, more: Partial<Order> = {}, given: JsonObject = ADA): Order {
    const by = { pipeline: of as never, retry: 0, ...more };
    return order({ ...by, ...orderInput({ input: inputForm(of as never).parse(given), given }, by) });
  }

  it.each([
    ['the same', {}],
    ['the fields that a door needs, by the outputs of the pipeline', { asks: { outputs: ['name'] } }],
  ])('a retry gets the run that a gateway with the version before has started: asked for %s', async (_, asks) => {
    await leave(at(pay, asks));
    const [id = ''] = started();
    end(id, 'paid');
    const retried = at(later, { ...asks, ...('asks' in asks && { options: { outputs: ['name'] } }), retry: 1 });
    expect(await stay(retried)).toMatchObject({ id });
    expect(started()).toEqual([id]);
  });

  it('a retry gets its own run, and not that of another client who has sent the same in other words', async () => {
    await leave(at(later));
    await leave(at(later, {}, { name: 'Ada', tone: 'calm' }));
    const [first = '', second = ''] = started();
    for (const id of [first, second]) end(id, id);
    expect(await stay(at(later, { retry: 1 }))).toMatchObject({ id: first });
    // The members of an object have no order.
    expect(await stay(at(later, { retry: 1 }, { tone: 'calm', name: 'Ada' }))).toMatchObject({ id: second });
  });

  it('a retry gets its own run, and not a later one of another client who has sent the same in other words', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 26, 10, 59) });
    await leave(at(later));
    vi.setSystemTime(Date.UTC(2026, 10, 26, 11, 1));
    await leave(at(later, {}, { name: 'Ada', tone: 'calm' }));
    for (const id of started()) end(id, id);
    expect(await stay(at(later, { retry: 1 }))).toMatchObject({ id: started()[0] });
  });

  it('a retry gets the latest run, which a gateway whose clock is ahead has kept in the next hour', async () => {
    const [before, after] = [Date.UTC(2026, 10, 26, 10, 59, 40), Date.UTC(2026, 10, 26, 11, 0, 10)];
    vi.useFakeTimers({ toFake: ['Date'], now: before });
    await leave(at(pay));
    vi.setSystemTime(after);
    await leave(at(pay));
    vi.setSystemTime(before);
    for (const id of started()) end(id, id);
    expect(await stay(at(pay, { retry: 1 }))).toMatchObject({ id: started()[1] });
  });

  it('a retry gets its own run where another client has sent the same since, and has left before it got one', async () => {
    await leave(at(pay));
    await leave(at(pay));
    const gone = new AbortController();
    gone.abort();
    const left = runAttended(runs, at(pay), { gone: gone.signal });
    await expect(left).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
    for (const id of started()) end(id, id);
    expect(await stay(at(pay, { retry: 1 }))).toMatchObject({ id: started()[1] });
    expect(started()).toHaveLength(2);
  });

  it('a request is told not to retry by itself if it is refused and the other version has a run of what was sent', async () => {
    await leave(at(pay));
    await refused(at(later));
    expect(refusal).toBeInstanceOf(LaterRefusedError);
  });

  it('a retry gets its own run where a request to the other version was refused since', async () => {
    await leave(at(pay));
    const [id = ''] = started();
    await refused(at(later));
    end(id, 'paid');
    expect(await stay(at(later, { retry: 1 }))).toMatchObject({ id });
    expect(started()).toEqual([id]);
  });

  it('a retry gets its own run of the hour before where a request to the other version found Temporal away since', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 10, 26, 10, 59) });
    await leave(at(pay));
    const [id = ''] = started();
    vi.setSystemTime(Date.UTC(2026, 10, 26, 11, 2));
    await unstarted(at(later));
    end(id, 'paid');
    expect(await stay(at(later, { retry: 1 }))).toMatchObject({ id });
    expect(started()).toEqual([id]);
  });

  it('a retry that comes first takes no later request’s place: two have come while it was looked for', async () => {
    let isLate = false;
    for (const how of ['claim', 'replace'] as const) {
      const keep = latest[how].bind(latest);
      vi.spyOn(latest, how).mockImplementation(async (...of): Promise<never> => {
        const come = isLate ? [] : [1, 2];
        isLate = true;
        for (const _ of come) await leave(at(pay));
        return (await keep(...of)) as never;
      });
    }
    await leave(at(pay, { retry: 1 }));
    for (const id of started()) end(id, id);
    expect(await stay(at(pay, { retry: 1 }))).toMatchObject({ id: started()[1] });
    expect(started()).toHaveLength(2);
  });

  it('a retry that came first is known again too', async () => {
    await leave(at(pay, { retry: 1 }));
    const [id = ''] = started();
    end(id, 'paid');
    expect(await stay(at(later, { retry: 2 }))).toMatchObject({ id });
  });

  it('an idempotency key is known again with what was sent, and refused with something else', async () => {
    await leave(at(pay, { idempotencyKey: 'key' }));
    const [id = ''] = started();
    end(id, 'paid');
    expect(await stay(at(later, { idempotencyKey: 'key' }))).toMatchObject({ id });
    const other = at(later, { idempotencyKey: 'key' }, { name: 'Grace' });
    await expect(stay(other)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
    const wish = at(later, { idempotencyKey: 'key', options: { outputs: ['name'] } });
    await expect(stay(wish)).rejects.toMatchObject({ code: 'IDEMPOTENCY_KEY_REUSED' });
  });

  it.each([{}, { idempotencyKey: 'key' }])('gateways of both releases know the runs of the other (%o)', async (key) => {
    // One of an earlier release knows nothing of what was sent.
    await leave(order(key));
    const [id = ''] = started();
    expect(gateway.temporal.runs.get(id)?.options.memo).not.toHaveProperty('sent');
    end(id, 'paid');
    expect(await stay(at(pay, { ...key, retry: 1 }))).toMatchObject({ id });
    expect(started()).toEqual([id]);
  });

  it('a gateway of an earlier release knows what this one has begun', async () => {
    await leave(at(pay));
    const [id = ''] = started();
    end(id, 'paid');
    latest.lost = true;
    expect(await stay(order({ retry: 1 }))).toMatchObject({ id });
    expect(started()).toEqual([id]);
  });
});

describe('what was sent', () => {
  const sentOf = (given: JsonObject, by: object = { pipeline: pay, retry: 0 }) =>
    orderInput({ input: {}, given }, by as never).sent;

  it.each([
    [false, 'no header counts its tries', { pipeline: pay }],
    [false, 'its run ends with it', { pipeline: greet, retry: 0 }],
    [true, 'it has a key', { pipeline: greet, idempotencyKey: 'key' }],
    [true, 'a header counts its tries', { pipeline: pay, retry: 0 }],
  ])('is hashed (%s) where %s', (isHashed, _, by) => {
    expect(sentOf({ name: 'Ada' }, by)).toEqual(isHashed ? expect.stringMatching(/^[0-9a-f]{64}$/) : undefined);
  });

  it('has media by their bytes and their type, whatever else is known of them', () => {
    const sha256 = 'a'.repeat(64);
    const speech = { uri: `artifact://default/${sha256}`, sha256, mime: 'audio/wav', bytes: 44 };
    const sent = sentOf({ clips: [{ speech }] });
    expect(sentOf({ clips: [{ speech: { ...speech, durationMs: 5 } }] })).toBe(sent);
    const otherBytes = { uri: `artifact://default/${'b'.repeat(64)}`, sha256: 'b'.repeat(64) };
    expect(sentOf({ clips: [{ speech: { ...speech, ...otherBytes } }] })).not.toBe(sent);
    expect(sentOf({ clips: [{ speech: { ...speech, mime: 'audio/mpeg' } }] })).not.toBe(sent);
  });

  it('has data with the form of media as it is: what else it says tells two requests apart', () => {
    const sha256 = 'a'.repeat(64);
    const page = (number: number) => ({
      scan: { uri: `artifact://default/${sha256}`, sha256, mime: 'image/png', bytes: 44, page: number },
    });
    expect(sentOf(page(1))).toBe(sentOf(page(1)));
    expect(sentOf(page(1))).not.toBe(sentOf(page(2)));
  });
});
