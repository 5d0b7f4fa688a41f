import { describe, expect, it } from 'vitest';
import { readInventory, transferTimes } from '../../../placement/inventory/index.js';
import { readProfile } from '../../../placement/profiles/index.js';
import { meanAt, quantileAt, stepAt, tableOf } from '../../../placement/simulator/index.js';
import { examples } from './reference-examples.js';

const [WHISPER = '', ASSISTANT = ''] = examples('json');

describe('a profile’s times', () => {
  const table = tableOf(readProfile(WHISPER, 'w.json').value);
  const { call } = table.batching === 'dynamic' ? table : expect.fail('whisper batches dynamically');

  it('are those measured, at their percentiles and in the mean', () => {
    expect(quantileAt(call, 1, 2, 0.5)).toBe(24);
    expect(quantileAt(call, 8, 20, 0.95)).toBe(362);
    expect(quantileAt(call, 8, 2, 0.99)).toBe(72);
    expect(meanAt(call, 1, 2)).toBeCloseTo(24.4, 6);
    expect(meanAt(call, 8, 20)).toBeCloseTo(342, 6);
  });

  it('are interpolated between batches, sizes and percentiles, and go on in proportion beyond the largest size', () => {
    expect(quantileAt(call, 1, 11, 0.5)).toBeCloseTo((24 + 110) / 2);
    expect(quantileAt(call, 4, 2, 0.5)).toBeCloseTo(24 + (3 / 7) * (61 - 24));
    expect(quantileAt(call, 1, 2, 0.725)).toBeCloseTo(25.5);
    expect(quantileAt(call, 1, 1, 0.5)).toBe(24);
    expect(quantileAt(call, 1, 40, 0.5)).toBe(220);
  });

  it('of a table without means are symmetric around the median', () => {
    const llm = tableOf(readProfile(ASSISTANT, 'a.json').value);
    if (llm.batching !== 'continuous') expect.fail('the assistant batches continuously');
    expect(quantileAt(llm.prefill, 1, 128, 0.05)).toBeCloseTo(2 * 38 - 41);
    expect(llm.steps.most).toBe(32);
    expect(stepAt(llm.steps, 16, 500)).toBeGreaterThan(19);
    expect(stepAt(llm.steps, 16, 500)).toBeLessThan(31);
  });
});

describe('moving data', () => {
  it('takes the link’s latency and its bandwidth, nothing on one device', () => {
    const transferMs = transferTimes(readInventory(examples('yaml')[0] ?? ''));
    expect(transferMs(0, 0, 1e9)).toBe(0);
    expect(transferMs(0, 1, 300e6)).toBeCloseTo(1.005);
    expect(transferMs(2, 3, 25e6)).toBeCloseTo(1.01);
    expect(transferMs(0, 5, 25 * 125e3)).toBeCloseTo(1.1);
  });
});
