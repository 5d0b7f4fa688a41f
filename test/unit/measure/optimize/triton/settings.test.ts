import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Candidate, spaceOf } from '../../../../../measure/optimize/triton/settings.js';
import { blocksOf, fieldNames, scalarOf } from '../../../../../placement/apply/index.js';

const minilm = readFileSync('deploy/local/models/minilm/config.pbtxt', 'utf8');
const whisper = readFileSync('deploy/local/models/whisper/config.pbtxt', 'utf8');

/** Every candidate that is a step away from another one, beginning at the start. */
function reachable({ start, steps, settingsOf }: ReturnType<typeof spaceOf>): readonly string[] {
  const seen = new Map([[JSON.stringify(start), start]]);
  for (const at of seen.values()) {
    for (const step of steps) {
      for (const direction of [1, -1] as const) {
        const next = step(at, direction);
        if (next) seen.set(JSON.stringify(next), next);
      }
    }
  }
  return [...new Set([...seen.values()].map((each) => JSON.stringify(settingsOf(each))))];
}

describe('the space of settings', () => {
  it('begins with the author’s file, which the start leaves as it is', () => {
    const space = spaceOf('minilm', minilm, { maxInstances: 2 });
    expect(space.settingsOf(space.start)).toEqual({
      max_batch_size: 32,
      instance_count: 1,
      preferred_batch_size: [8, 16, 32],
      max_queue_delay_microseconds: 2000,
    });
    expect(space.configOf(space.start)).toBe(minilm);
  });

  it('merges a candidate into it field by field', () => {
    const space = spaceOf('minilm', minilm, { maxInstances: 4 });
    const config = space.configOf({ maxBatch: 8, instances: 2, delayMicroseconds: 500, preferred: 'halves' });
    expect(scalarOf(config, 'max_batch_size')).toBe('8');
    expect(blocksOf(config, 'instance_group')).toEqual([' kind: KIND_CPU count: 2 ']);
    const [batcher = ''] = blocksOf(config, 'dynamic_batching');
    expect(batcher).toContain('preferred_batch_size: [ 4, 8 ]');
    expect(scalarOf(batcher, 'max_queue_delay_microseconds')).toBe('500');
    expect(blocksOf(batcher, 'default_queue_policy')[0]).toContain('max_queue_size: 256');
    for (const kept of ['backend', 'input', 'output', 'parameters']) expect(fieldNames(config)).toContain(kept);
  });

  it('never prefers a batch above the largest', () => {
    const { settingsOf, start } = spaceOf('minilm', minilm, { maxInstances: 1 });
    expect(settingsOf({ ...start, maxBatch: 8 }).preferred_batch_size).toEqual([8]);
    expect(settingsOf({ ...start, maxBatch: 4 }).preferred_batch_size).toEqual([]);
    expect(settingsOf({ ...start, maxBatch: 2, preferred: 'halves' }).preferred_batch_size).toEqual([2]);
  });

  it('has instances only where the author allows no batches, unless a larger one is asked for', () => {
    const alone = reachable(spaceOf('whisper', whisper, { maxInstances: 3 }));
    expect(alone.map((each) => JSON.parse(each).instance_count)).toEqual([1, 2, 3]);
    expect(alone.every((each) => JSON.parse(each).max_batch_size === 1)).toBe(true);
    const larger = reachable(spaceOf('whisper', whisper, { maxInstances: 1, maxBatch: 4 }));
    expect(new Set(larger.map((each) => JSON.parse(each).max_batch_size))).toEqual(new Set([1, 2, 4]));
  });

  it('switches a batcher on where there is none, and none off', () => {
    const space = spaceOf('m', 'max_batch_size: 4', { maxInstances: 1 });
    expect(space.settingsOf(space.start).max_queue_delay_microseconds).toBeNull();
    const delays = (each: ReturnType<typeof spaceOf>) =>
      new Set(reachable(each).map((text) => JSON.parse(text).max_queue_delay_microseconds));
    expect(delays(space)).toContain(0);
    expect(delays(spaceOf('minilm', minilm, { maxInstances: 1 }))).not.toContain(null);
    const on: Candidate = { ...space.start, delayMicroseconds: 0 };
    expect(fieldNames(space.configOf(on))).toContain('dynamic_batching');
  });

  it('leaves several groups of instances and a batcher for sequences as they are', () => {
    const groups = 'max_batch_size: 8\ninstance_group [ { count: 1 gpus: [ 0 ] }, { count: 2 gpus: [ 1 ] } ]';
    const space = spaceOf('m', groups, { maxInstances: 8 });
    expect(space.start.instances).toBe(3);
    const config = space.configOf({ ...space.start, maxBatch: 4, delayMicroseconds: 0 });
    expect(blocksOf(config, 'instance_group')).toHaveLength(2);
    const sequences = spaceOf('m', 'max_batch_size: 8\nsequence_batching { }', { maxInstances: 2 });
    expect(reachable(sequences)).toHaveLength(2);
    expect(fieldNames(sequences.configOf({ ...sequences.start, instances: 2 }))).not.toContain('dynamic_batching');
  });

  it.each([
    ['an ensemble', 'platform: "ensemble"\nmax_batch_size: 8', 4, 'is an ensemble'],
    ['a model without batches that may have one instance', 'max_batch_size: 0', 1, 'has no batch dimension'],
    ['a model of one call that may have one instance', 'max_batch_size: 1', 1, 'nothing to search'],
  ])('is refused for %s', (_, config, maxInstances, message) => {
    expect(() => spaceOf('m', config, { maxInstances })).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', message: expect.stringContaining(message) }),
    );
  });
});
