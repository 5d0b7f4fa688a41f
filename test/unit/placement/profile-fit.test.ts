import { describe, expect, it } from 'vitest';
import { buildProblem } from '../../../placement/planner/index.js';
import {
  changedSince,
  largestBatch,
  memoryPerDevice,
  profileOfBatches,
  profileOfSequences,
  readProfile,
  tooOld,
} from '../../../placement/profiles/index.js';
import { meanAt, quantileAt, stepAt, tableOf } from '../../../placement/simulator/index.js';
import { plannerInput } from './placement-files.js';

const of = {
  ...{ model: 'whisper', variant: 'default', deviceKind: 'cpu', quality: 1 },
  fingerprint: { model: 'abc', server: 'triton 2.51.0', device: '2 x CPU' },
  measuredAt: '2026-11-01T00:00:00.000Z',
};
const times = (from: number) => Array.from({ length: 21 }, (_, i) => from + i);
const read = (profile: object) => readProfile(JSON.stringify(profile, null, 2), 'w.json');

describe('a measured profile', () => {
  const batches = profileOfBatches(of, {
    cells: [2, 10].flatMap((size) => [1, 4].map((batch) => ({ batch, size, ms: times(100 * batch + size) }))),
    overheadMs: [1, 9, 2],
    preferred: [4, 8],
    size: { variable: 'audio_s', typical: 5 },
    calls: 84,
  });

  it('is one that the planner reads, with the times that were measured', () => {
    const { value } = read(batches);
    expect(value).toMatchObject({ overheadMs: 2, preferredBatchSizes: [4], measuredAt: of.measuredAt });
    expect(largestBatch(value)).toBe(4);
    const table = tableOf(value);
    if (table.batching !== 'dynamic') throw new Error('not dynamic');
    expect(quantileAt(table.call, 1, 2, 0.5)).toBeCloseTo(112);
    expect(quantileAt(table.call, 1, 2, 0.95)).toBeCloseTo(121);
    expect(meanAt(table.call, 4, 10)).toBeCloseTo(420, 0);
  });

  it('of an LLM has prompts and sequences', () => {
    const profile = profileOfSequences(
      { ...of, memory: '97MB', perToken: '1kB' },
      {
        prefill: [{ tokens: 40, ms: times(50) }],
        decode: [
          { batch: 1, ms: times(10) },
          { batch: 4, ms: times(20) },
        ],
        size: { typicalIn: 40, typicalOut: 64 },
        calls: 1,
      },
    );
    const { value } = read(profile);
    expect(value.memory).toEqual({ weights: 97e6, perToken: 1e3 });
    const table = tableOf(value);
    expect(table.batching === 'continuous' && [1, 2, 3, 4].map((n) => Math.round(stepAt(table.steps, n, 100)))).toEqual(
      [20, 23, 27, 30],
    );
  });

  it('may not say what memory it takes; a plan then says that it took none', () => {
    expect(memoryPerDevice(read(batches).value, 4)).toBe(0);
    const profiles = plannerInput().profiles;
    const without = profiles.map(({ value: { memory: _, ...rest } }, i) => ({
      file: `${i}.json`,
      text: JSON.stringify(rest),
    }));
    const { assumptions } = buildProblem(plannerInput({ profiles: without }));
    expect(assumptions).toContain('whisper: one of its profiles states no memory; it is assumed to need none');
    expect(buildProblem(plannerInput()).assumptions).toEqual([]);
  });

  it('is stale by its age, named by its line', () => {
    const profile = read(batches);
    const now = new Date('2026-11-11T00:00:00Z');
    expect(tooOld([profile], now, 11 * 86_400_000)).toEqual([]);
    expect(tooOld([profile], now, 5 * 86_400_000)).toEqual([
      {
        field: expect.stringMatching(/^w\.json:\d+ measuredAt$/),
        message: '"whisper" was measured 10 days ago, and 5 days are allowed: profile it again, or allow more',
      },
    ]);
    const { measuredAt: _, ...ageless } = batches;
    expect(tooOld([read(ageless)], now, 1)).toEqual([]);
  });

  it('is stale when what it was measured on is another', () => {
    const { value } = read(batches);
    expect(changedSince(value, of.fingerprint)).toEqual([]);
    expect(changedSince(value, { ...of.fingerprint, server: 'triton 3.0' })).toEqual([
      'its server was triton 2.51.0 and is triton 3.0',
    ]);
    const { fingerprint: _, ...unknown } = batches;
    expect(changedSince(read(unknown).value, of.fingerprint)).toBeUndefined();
  });
});
