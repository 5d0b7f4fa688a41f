import { beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { approve, chat, pipeline } from '../../../pipelines/index.js';
import type { Json } from '../../../pipelines/json.js';
import { bytesOf } from '../../../pipelines/json-limits.js';
import { deliveryId, type RunContext, type Wait } from '../../../pipelines/run/index.js';
import { MessageRoom } from '../../../workflows/message-room.js';
import { TemporalHost } from '../../../workflows/temporal-host.js';
import { ToldWaits } from '../../../workflows/told-waits.js';
import { inHistory } from '../../support/in-history.js';
import { waitFor } from '../../support/waits.js';

const task = { historyLength: 3, workflowId: 'run-1', startTime: new Date(0) };
interface StartOfChild {
  readonly options: { readonly args: readonly [input: object, context: RunContext] };
}

const told: { readonly at: number; readonly wait: Wait }[] = [];
/** Contexts of child runs. */
const started: RunContext[] = [];
/** Temporal passes signals on when this resolves. */
let passing: Promise<unknown> = Promise.resolve();
/** Limits of waits for a condition are over. */
let isLate = false;
const outbound = {
  /** A timer ends the workflow task. */
  async startTimer() {
    await new Promise<void>((resolve) => setImmediate(resolve));
    task.historyLength += 5;
  },
  async signalWorkflow({ args: [wait] }: { readonly args: readonly [Wait] }) {
    told.push({ at: task.historyLength, wait });
    await passing;
  },
  async startChildWorkflowExecution({ options }: StartOfChild) {
    started.push(options.args[1]);
    return [Promise.resolve('started'), Promise.resolve({ output: {}, stages: [] })];
  },
};
const historyHas = inHistory({
  info: task,
  nextSeqs: { timer: 1, signalWorkflow: 1, childWorkflow: 1 },
  interceptors: { outbound: [outbound] },
  dispatchBufferedSignals: () => undefined,
});
const TO = deliveryId('run-1');
const bytes = (wait: Wait) => bytesOf(wait as unknown as Json);

beforeEach(() => {
  Object.assign(task, { historyLength: 3, workflowId: 'run-1' });
  told.length = 0;
  started.length = 0;
  passing = Promise.resolve();
  isLate = false;
});

const later = () => new Promise<void>((resolve) => setImmediate(resolve));
/** As Temporal's `condition`. */
const until = async (holds: () => boolean, limitMs?: number) => {
  while (!holds() && !(limitMs !== undefined && isLate)) await later();
};
type Of = ConstructorParameters<typeof ToldWaits>[1];
const toldWaits = (of: Of = {}) => new ToldWaits(new MessageRoom(), of, until);

/** Tells so many waits at once. */
function tellAll(waits: ToldWaits, count: number, subject = 'it'): void {
  for (let i = 0; i < count; i++) waits.tell({ ...waitFor(`votes[${i}]/vote`), subject }, TO);
}

describe('waits that the delivery of a run is told of', () => {
  it('have what a decision needs, however large they are', async () => {
    tellAll(toldWaits(), 8, 'd'.repeat(600_000));
    expect(told).toHaveLength(8);
    for (const { wait } of told) expect(bytes(wait)).toBeLessThanOrEqual(6_000);
    expect(told[7]?.wait).toMatchObject({ nonce: waitFor('votes[7]/vote').nonce, shortened: true });
    tellAll(toldWaits(), 1, 'd'.repeat(5_000));
    expect(told[8]?.wait).toEqual({ ...waitFor('votes[0]/vote'), subject: 'd'.repeat(5_000) });
  });

  it('fit into their workflow tasks, and are no more than a delivery sends, in later histories too', async () => {
    const waits = toldWaits();
    tellAll(waits, 2_500, 'd'.repeat(5_500));
    await expect.poll(() => told.length).toBe(500);
    const tasks = new Map<number, number>();
    for (const { at, wait } of told) tasks.set(at, (tasks.get(at) ?? 0) + bytes(wait));
    expect(tasks.size).toBeGreaterThan(1);
    expect(Math.max(...tasks.values())).toBeLessThan(1_500_000);
    expect(told.map(({ wait }) => wait.path)).toEqual(Array.from({ length: 500 }, (_, i) => `votes[${i}]/vote`));
    expect(waits.carried.told).toBe(500);
    tellAll(toldWaits(waits), 1);
    expect(told).toHaveLength(500);
  });

  it('are told before the run goes on in a new history', async () => {
    const waits = toldWaits();
    tellAll(waits, 500);
    expect(told.length).toBeLessThan(500);
    expect(waits.telling).toBe(true);
    await waits.settled();
    expect(told).toHaveLength(500);
    expect(waits.telling).toBe(false);
  });

  it('have reached the delivery by then: Temporal passes on no signals of a history that has ended', async () => {
    let pass: (reached: unknown) => void = () => undefined;
    passing = new Promise((resolve) => {
      pass = resolve;
    });
    const waits = toldWaits();
    tellAll(waits, 1);
    expect([told.length, waits.telling]).toEqual([1, true]);
    let goesOn = false;
    const settled = waits.settled().then(() => {
      goesOn = true;
    });
    await later();
    await later();
    expect(goesOn).toBe(false);
    pass(undefined);
    await settled;
    expect(waits.telling).toBe(false);
  });

  it('hold up no run whose delivery is gone, or does not answer', async () => {
    passing = Promise.reject(new Error('no such workflow'));
    const gone = toldWaits();
    tellAll(gone, 1);
    await gone.settled();
    passing = new Promise(() => undefined);
    const silent = toldWaits();
    tellAll(silent, 1);
    isLate = true;
    await silent.settled();
    expect([gone.telling, silent.telling]).toEqual([false, false]);
  });

  it('hold up a run that goes on in a new history, not one that ends', async () => {
    const host = new TemporalHost({ plan: { stages: [] } } as unknown as RunContext);
    host.announce(waitFor('vote'), TO);
    expect([host.busy, host.running]).toEqual([true, false]);
    await later();
    expect(host.busy).toBe(false);
  });

  it('are fewer of a child run, with paths in the run', async () => {
    task.workflowId = 'run-1/apart';
    tellAll(toldWaits(), 500);
    await expect.poll(() => told.length).toBe(100);
    expect(told[0]?.wait.path).toBe('apart/votes[0]/vote');
  });

  it('are so many of all child runs together that the delivery has room for them, and one of each for long', () => {
    let run = toldWaits();
    const mostTold: number[] = [];
    for (let i = 0; i < 600; i++) {
      if (i === 20) run = toldWaits(run);
      task.workflowId = 'run-1';
      const share = run.share(TO);
      mostTold.push(share.mostTold ?? 0);
      task.workflowId = `run-1/items[${i}]/apart`;
      if (share.waitsTo !== undefined) tellAll(toldWaits(share), 100);
    }
    expect(mostTold[0]).toBe(100);
    expect(Math.min(...mostTold.slice(0, 500))).toBe(1);
    expect(told).toHaveLength(1_000);
    task.workflowId = 'run-1';
    expect(run.share(TO)).toEqual({});
    tellAll(run, 10);
    expect(told).toHaveLength(1_010);
  });

  it('of a child run are its share together with those of its own child runs', () => {
    task.workflowId = 'run-1/apart';
    const child = toldWaits({ mostTold: 5 });
    expect([child.share(TO), child.share(TO)]).toEqual([
      { waitsTo: TO, mostTold: 1 },
      { waitsTo: TO, mostTold: 1 },
    ]);
    tellAll(child, 10);
    expect(told).toHaveLength(3);
    expect(child.share(TO)).toEqual({});
  });

  it('are shared with child runs that may wait for people, and with no others', async () => {
    const host = new TemporalHost({ plan: { stages: [] } } as unknown as RunContext);
    const asks = pipeline('asks', { input: z.object({}) }, ({ stage }) => ({
      by: stage('sign-off', approve({ timeout: '1m' }), { subject: 'it' }).by,
    }));
    const works = pipeline('works', { input: z.object({}) }, ({ stage }) => ({
      text: stage('answer', chat({ model: 'llm' }), { prompt: 'Why?' }).text,
    }));
    for (const { plan } of [asks, works]) {
      const step = { id: 'apart', kind: 'pipeline', input: null, run: 'child', plan } as const;
      const context = { plan, placement: {}, tenant: 'acme', waitsTo: TO };
      await host.runChild(step, {}, context, 'apart');
    }
    expect(started).toMatchObject([{ waitsTo: TO, mostTold: 100 }, { waitsTo: TO }]);
    expect(started[1]?.mostTold).toBeUndefined();
  });

  it('are as many as there are, at once, in a history from before', () => {
    historyHas((change) => change !== 'told-waits-leave-room');
    const waits = toldWaits();
    tellAll(waits, 600);
    expect(told).toHaveLength(600);
    expect([waits.carried.told, waits.telling]).toEqual([0, false]);
    historyHas(false);
    tellAll(waits, 1);
    expect(told).toHaveLength(600);
  });
});
