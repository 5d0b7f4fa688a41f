import { describe, expect, it } from 'vitest';
import { deviceQueue, poolQueue, readPlacement, sealPlacement } from '../../../placement/document/index.js';
import { unlessStated } from '../../../placement/replan/unless-stated.js';
import { placedPool, placementOf } from '../../support/placements.js';
import { examples } from './reference-examples.js';
import { refusal } from './refusal.js';

const EXAMPLE = examples('json')[3] ?? '';

describe('a placement', () => {
  it('is read as the reference shows it, and its version is the hash of what is carried out', () => {
    const { version, ...body } = readPlacement(EXAMPLE);
    expect(sealPlacement(body).version).toBe(version);
    const [pool] = body.pools;
    if (!pool) expect.fail('the example has a pool');
    expect(sealPlacement({ ...body, costPerHour: 9, pools: [{ ...pool, reason: 'another' }] }).version).toBe(version);
    expect(sealPlacement({ ...body, sizes: { dictation: { audio_s: [3] } } }).version).toBe(version);
    expect(sealPlacement({ ...body, pools: [{ ...pool, maxBatch: 4 }] }).version).not.toBe(version);
  });

  it('of an earlier release says nothing of how prompts are divided, and stays valid', () => {
    const llm = (more: Parameters<typeof placedPool>[2]) =>
      placementOf([placedPool('llm', [['g/1']], { batching: 'continuous', ...more })]);
    const [before, after, other] = [llm({}), llm({ chunkTokens: 2_048 }), llm({ chunkTokens: 0 })];
    for (const each of [before, after, other]) expect(readPlacement(JSON.stringify(each))).toEqual(each);
    expect(new Set([before, after, other].map(({ version }) => version)).size).toBe(3);
    // A proposal is no change for what the placement in force does not say.
    expect(unlessStated(before, after)).toEqual(before);
    expect(unlessStated(after, other)).toBe(other);
    const moved = placementOf([placedPool('llm', [['g/2']], { batching: 'continuous', chunkTokens: 2_048 })]);
    expect(unlessStated(before, moved)).toBe(moved);
    // Nor of the memory of a replica whose tokens are of unknown size.
    const replica = { devices: ['g/1'], queue: 'device.g.1', memoryBytes: 72 * 2 ** 30 };
    const bytes = llm({ replicas: [replica] });
    for (const each of [bytes, llm({ replicas: [replica], chunkTokens: 2_048 })])
      expect(unlessStated(before, each)).toEqual(before);
    const less = llm({ replicas: [{ ...replica, memoryBytes: 36 * 2 ** 30 }] });
    expect(unlessStated(bytes, less)).toBe(less);
    const longer = llm({ replicas: [replica], memoryBytes: 2 ** 31 });
    expect(longer.version).not.toBe(bytes.version);
    expect(unlessStated(bytes, longer)).toEqual(bytes);
    const counted = llm({ replicas: [{ ...replica, cacheTokens: 100 }] });
    expect(unlessStated(before, counted)).toBe(counted);
    // Nor of what a server reserves, which was a part of its cache.
    const cache = { ...replica, tokenBytes: 2 ** 17 };
    const whole = llm({ memoryBytes: 20 * 2 ** 30, replicas: [{ ...cache, cacheTokens: 40_000 }] });
    const reserved = { ...cache, memoryBytes: cache.memoryBytes - 9, cacheTokens: 7_232, reservedBytes: 4 * 2 ** 30 };
    const parted = llm({ memoryBytes: 24 * 2 ** 30, replicas: [reserved] });
    expect(unlessStated(whole, parted)).toEqual(whole);
    expect(unlessStated(parted, whole)).toBe(whole);
    const elsewhere = llm({ memoryBytes: 24 * 2 ** 30, replicas: [{ ...reserved, devices: ['g/2'] }] });
    expect(unlessStated(whole, elsewhere)).toBe(elsewhere);
  });

  it('is read without the answers to the questions that it was printed with', () => {
    const example = readPlacement(EXAMPLE);
    const whatIf = [
      { question: 'rate 2x', placement: example },
      { question: 'a', problem: 'PLACEMENT_INFEASIBLE' },
    ];
    expect(readPlacement(JSON.stringify({ ...example, whatIf }))).toEqual(example);
    expect(refusal(() => readPlacement(JSON.stringify({ ...example, whatIfs: whatIf }))).fields[0]).toMatch(
      /whatIfs: no such field/,
    );
  });

  it('is refused when it was changed, or is none', () => {
    expect(refusal(() => readPlacement(EXAMPLE.replace('"maxBatch": 8', '"maxBatch": 7')))).toMatchObject({
      code: 'INVALID_PLACEMENT',
      fields: [expect.stringMatching(/^placement.json:3 version: the placement’s hash is [0-9a-f]{12}, not/)],
    });
    expect(refusal(() => readPlacement(EXAMPLE.replace('"costPerHour": 2.4', '"costPerHour": -1'))).fields[0]).toMatch(
      /^placement.json:8 costPerHour/,
    );
    const sizes = { dictation: { audio_s: [3, 4], characters: [50] } };
    expect(refusal(() => readPlacement(JSON.stringify({ ...readPlacement(EXAMPLE), sizes }))).fields).toEqual([
      'placement.json:1 sizes.dictation: its columns differ in length: give each run a size in all of them',
    ]);
  });

  it('names task queues by pool and by device', () => {
    expect([poolQueue('whisper'), deviceQueue('gpu1/0'), deviceQueue('gpu1/2.1')]).toEqual([
      'pool.whisper',
      'device.gpu1.0',
      'device.gpu1.2.1',
    ]);
  });
});
