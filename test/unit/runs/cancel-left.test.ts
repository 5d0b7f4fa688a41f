import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { beforeEach, expect, it, vi } from 'vitest';
import { cancelLeft } from '../../../runs/cancel.js';
import type { RunDeps } from '../../../runs/deps.js';

/** Of clients that leave at once. */
const MANY = 1_000;

/** Cancellations that Temporal has got, in order, and what ends each that is under way. */
let got: string[];
let under: Map<string, (error?: Error) => void>;
let most: number;
let warned: unknown[];
let deps: Pick<RunDeps, 'temporal' | 'logger'>;
beforeEach(() => {
  got = [];
  under = new Map();
  most = 0;
  warned = [];
  const cancel = (id: string) =>
    new Promise<void>((resolve, reject) => {
      got.push(id);
      under.set(id, (error) => {
        under.delete(id);
        if (error) reject(error);
        else resolve();
      });
      most = Math.max(most, under.size);
    });
  const temporal = {
    withDeadline: async (_: number, work: () => Promise<unknown>) => await work(),
    workflow: {
      getHandle: (id: string) => ({ cancel: () => cancel(id), describe: async () => ({}) }),
    },
  } as unknown as Client;
  const warn = (...given: unknown[]) => warned.push(given);
  deps = { temporal, logger: { warn } as unknown as RunDeps['logger'] };
});

const endAll = () => {
  for (const end of [...under.values()]) end();
};
const leave = (count: number, tenant: string) =>
  Array.from({ length: count }, (_, i) => cancelLeft(deps, { id: `${tenant}-${i}`, tenant }));

it('a thousand clients that leave at once send Temporal only so many cancellations at once, and all of them', async () => {
  const left = Promise.all(leave(MANY, 'one'));
  await vi.waitFor(() => expect(got).toHaveLength(16));
  const ending = setInterval(endAll);
  await left;
  clearInterval(ending);
  expect(most).toBe(16);
  expect(new Set(got).size).toBe(MANY);
});

it('do not hold up another tenant’s, also while Temporal answers none', async () => {
  void leave(MANY, 'one');
  const [other] = leave(1, 'two');
  await vi.waitFor(() => expect(got).toContain('two-0'));
  under.get('two-0')?.();
  await other;
  expect(under.size).toBe(16);
});

it('that leave one run cancel it once, and once more if one leaves it later', async () => {
  const all = Array.from({ length: MANY }, () => cancelLeft(deps, { id: 'r', tenant: 'one' }));
  await vi.waitFor(() => expect(got).toEqual(['r']));
  endAll();
  await Promise.all(all);
  const later = cancelLeft(deps, { id: 'r', tenant: 'one' });
  await vi.waitFor(() => expect(got).toEqual(['r', 'r']));
  endAll();
  await later;
});

it('one that fails leaves its place to the next, and only an end is no reason to warn', async () => {
  const all = Promise.all(leave(32, 'one'));
  await vi.waitFor(() => expect(under.size).toBe(16));
  under.get('one-0')?.(new Error('away'));
  await vi.waitFor(() => expect(got).toHaveLength(17));
  expect(warned).toEqual([[expect.objectContaining({ runId: 'one-0' }), expect.stringContaining('could not be')]]);
  const ended = () => {
    for (const end of [...under.values()]) end(new WorkflowNotFoundError('ended', 'r', undefined));
  };
  const ending = setInterval(ended);
  await all;
  clearInterval(ending);
  expect(warned).toHaveLength(1);
});

it('one whose turn does not come in time is given up, and said to be', async () => {
  void leave(16, 'one');
  await vi.waitFor(() => expect(under.size).toBe(16));
  await cancelLeft(deps, { id: 'late', tenant: 'one' }, 50);
  expect(got).not.toContain('late');
  expect(warned).toEqual([[expect.objectContaining({ runId: 'late' }), expect.stringContaining('within 50 ms')]]);
  endAll();
});
