import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { Call } from '../../activities/connectors/connector.js';
import { tensor } from '../../pipelines/media.js';
import { infer } from '../../pipelines/stages/index.js';
import { LATE_ONCE } from '../support/soonest.js';
import { invoke, noAudio } from './connector-contract.js';
import { call, limit, tritonWith, value } from './triton-infer.js';

/* Models of a real Triton that answer a call several times, or remember earlier calls. */

const MODELS = ['countdown', 'accumulator'] as const;
const { endpoint, backend, callsOfCanaryAlone } = tritonWith(MODELS);

describe('parameters from the input', () => {
  it('start and end a sequence that spans calls', async () => {
    const sum = infer({
      model: 'accumulator',
      inputs: { VALUE: tensor({ dtype: 'INT64', shape: [1, 1] }) },
      outputs: { SUM: tensor({ dtype: 'INT64', shape: [1, 1] }) },
      parameters: { sequence_id: z.int(), sequence_start: z.boolean(), sequence_end: z.boolean() },
    });
    expect(sum.with).toMatchObject({ parametersFrom: ['sequence_id', 'sequence_start', 'sequence_end'] });
    const sums: unknown[] = [];
    for (const [i, given] of [5, 6, 7].entries()) {
      const parameters = { sequence_id: 4_711, sequence_start: i === 0, sequence_end: i === 2 };
      const { output } = await invoke(backend, call(sum, { VALUE: value('INT64', [1, 1], [given]), ...parameters }));
      sums.push((output.SUM as unknown as { data: number[] }).data[0]);
    }
    expect(sums).toEqual([5, 11, 18]);
  });
});

describe('a decoupled model', () => {
  const countdown = infer({
    model: 'countdown',
    inputs: { COUNT: tensor({ dtype: 'INT32', shape: [1] }), DELAY_MS: tensor({ dtype: 'INT32', shape: [1] }) },
    outputs: { LEFT: tensor({ dtype: 'INT32', shape: [1, -1] }), WORD: tensor({ dtype: 'BYTES', shape: [-1] }) },
  });
  const count = (from: number, delayMs = 0) =>
    call(countdown, { COUNT: value('INT32', [1], [from]), DELAY_MS: value('INT32', [1], [delayMs]) });
  /** Starts a call; `arrivals` are the times of its responses. */
  const start = (request: Call, signal = limit()) => {
    const arrivals: number[] = [];
    const emitted: unknown[] = [];
    const reply = backend.invoke(request, {
      signal,
      audio: noAudio,
      checkpoint: () => undefined,
      emit: (chunk) => {
        arrivals.push(performance.now());
        emitted.push(chunk);
      },
    });
    return { reply, arrivals, emitted };
  };
  /** How many requests the model has seen cancelled, as it says itself. */
  const cancelled = async () => {
    const { output } = await invoke(backend, count(1));
    return (output.LEFT as unknown as { data: number[] }).data[1] ?? 0;
  };

  it('gives its responses as they come, and all of them in the end', LATE_ONCE, async () => {
    const { reply, arrivals, emitted } = start(count(3, 600));
    const { LEFT, WORD } = (await reply).output as Record<string, { shape: number[]; data: unknown[] }>;
    expect(WORD).toEqual(value('BYTES', [3], ['left 2', 'left 1', 'left 0']));
    expect(LEFT?.shape).toEqual([1, 6]);
    expect(LEFT?.data.filter((_, i) => i % 2 === 0)).toEqual([2, 1, 0]);
    expect(emitted).toEqual([3, 3, 3]);
    expect((arrivals[2] ?? 0) - (arrivals[0] ?? 0)).toBeGreaterThan(300);
  });

  it('stops within a second of the call’s end by its signal', LATE_ONCE, async () => {
    const before = await cancelled();
    const controller = new AbortController();
    const reason = new Error('the run was cancelled');
    // A minute of counting: only cancellation ends it in time for the next call, for the model takes one at a time.
    const { reply, arrivals } = start(count(600, 100), controller.signal);
    await vi.waitFor(() => expect(arrivals.length).toBeGreaterThan(2), 30_000);
    const abortedAt = performance.now();
    controller.abort(reason);
    await expect(reply).rejects.toBe(reason);
    expect(await cancelled()).toBe(before + 1);
    expect(performance.now() - abortedAt).toBeLessThan(1_000);
  });

  it('stops within a second when it gives more than a stage can take', LATE_ONCE, async () => {
    const before = await cancelled();
    const strict = infer({
      model: 'countdown',
      inputs: { COUNT: tensor({ dtype: 'INT32', shape: [1] }), DELAY_MS: tensor({ dtype: 'INT32', shape: [1] }) },
      outputs: { LEFT: tensor({ dtype: 'INT32', shape: [1, 9] }) },
    });
    const { reply } = start({ ...count(600, 100), with: strict.with });
    await expect(reply).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    const failedAt = performance.now();
    expect(await cancelled()).toBe(before + 1);
    expect(performance.now() - failedAt).toBeLessThan(1_000);
  });

  it('may fail in the middle, and answers afterwards', async () => {
    const { reply, arrivals } = start(count(-3, 10));
    await expect(reply).rejects.toMatchObject({
      code: 'BACKEND_ERROR',
      message: expect.stringContaining('countdown: told to fail'),
      details: { endpoint },
    });
    expect(arrivals).toHaveLength(1);
    expect((await start(count(2)).reply).output.WORD).toEqual(value('BYTES', [2], ['left 1', 'left 0']));
  });
});

describe('a model with sequences', () => {
  const add = (number: number | string, parameters: Record<string, string | number | boolean>) => {
    const use = infer({
      model: 'accumulator',
      inputs: { VALUE: tensor({ dtype: 'INT64', shape: [1, 1] }) },
      outputs: { SUM: tensor({ dtype: 'INT64', shape: [1, 1] }) },
      parameters,
    });
    return invoke(backend, call(use, { VALUE: value('INT64', [1, 1], [number]) })).then(
      ({ output }) => (output.SUM as unknown as { data: unknown[] }).data[0],
    );
  };

  it('keeps them apart by their ids', async () => {
    expect(await add(1, { sequence_id: 7, sequence_start: true })).toBe(1);
    expect(await add(100, { sequence_id: 8, sequence_start: true })).toBe(100);
    expect(await add('9007199254740992', { sequence_id: 7 })).toBe('9007199254740993');
    expect(await add(1, { sequence_id: 8, sequence_end: true })).toBe(101);
    expect(await add(-3, { sequence_id: 7, sequence_end: true })).toBe(9007199254740990);
  });

  it('refuses a request that belongs to none', async () => {
    await expect(add(1, {})).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    await expect(add(1, { sequence_id: 99 })).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
  });
});

it.each(MODELS)('a canary reaches %s, of which it knows nothing', async (model) => {
  expect(await callsOfCanaryAlone(model)).toBe(1);
});
