import { describe, expect, it } from 'vitest';
import { aligned } from '../../../../placement/day/align.js';
import { withReservedFree } from '../../../../placement/day/billing.js';
import { changeBetween, placedOf, transferred } from '../../../../placement/day/switching.js';
import { buildProblem, type Candidate, isPossible, type Problem } from '../../../../placement/planner/index.js';
import { CLUSTER, llmProfile, plannerInput, profileFile } from '../placement-files.js';

/** Devices 0 and 1 are A100s for 2.40, 2 to 5 are L4s for 0.70 an hour. */
const problem = buildProblem(plannerInput());
const on = (whisper: readonly number[], tts: readonly number[], configs = [0, 0]): Candidate => ({
  configs,
  replicas: [
    ...whisper.map((device) => ({ pool: 0, devices: [device] })),
    ...tts.map((device) => ({ pool: 1, devices: [device] })),
  ],
});
const costs = { coldStartMs: (model: string) => (model === 'tts' ? 180_000 : 90_000), perSwitch: 0.5 };
const change = (from: Candidate, to: Candidate, of: Problem = problem) =>
  changeBetween(placedOf(of, from), placedOf(of, to), costs);

describe('a change of the placement', () => {
  it('starts and stops the servers that differ, and pays for new devices while the old ones still serve', () => {
    expect(change(on([2], [3]), on([2], [3]))).toEqual({ starts: [], stops: [], coldStartMs: 0, cost: 0 });
    const grown = change(on([2], [3]), on([2, 4], [3, 4]));
    expect(grown?.starts.map(({ model, devices }) => [model, ...devices])).toEqual([
      ['whisper', 4],
      ['tts', 4],
    ]);
    expect(grown?.stops).toEqual([]);
    expect(grown?.coldStartMs).toBe(180_000);
    // One device more, for the time of the slower of its two servers.
    expect(grown?.cost).toBeCloseTo(0.5 + 0.7 * (180 / 3600), 12);
    const shrunk = change(on([2, 4], [3]), on([2], [3]));
    expect(shrunk).toMatchObject({ starts: [], stops: [{ model: 'whisper' }], coldStartMs: 0, cost: 0.5 });
  });

  it('of the largest batch restarts the server on its device, if both fit it', () => {
    const rebatched = change(on([2], [3]), on([2], [3], [1, 0]));
    expect(rebatched).toMatchObject({ starts: [{ model: 'whisper' }], stops: [{ model: 'whisper' }], cost: 0.5 });
    const large = [
      profileFile('whisper', 'l4', 50, { memory: { weights: '13GiB', perRequest: '200MiB' } }),
      profileFile('tts', 'l4', 70),
    ];
    const full = buildProblem(plannerInput({ profiles: large }));
    expect(change(on([2], [3]), on([2], [3], [1, 0]), full)).toBeUndefined();
    expect(change(on([2], [3]), on([4], [3], [1, 0]), full)?.starts).toHaveLength(1);
  });

  it('is impossible on a device that takes one server at a time', () => {
    const exclusive = CLUSTER.replace('pricePerHour: 0.70', 'pricePerHour: 0.70, sharing: exclusive');
    const alone = buildProblem(plannerInput({ cluster: exclusive }));
    expect(change(on([2], [3]), on([2], [3], [1, 0]), alone)).toBeUndefined();
    expect(change(on([2], [3]), on([3], [2]), alone)).toBeUndefined();
    expect(change(on([2], [3]), on([4], [3]), alone)?.cost).toBeCloseTo(0.5 + 0.7 * (90 / 3600), 12);
  });

  it('costs nothing for the time of a reserved device', () => {
    const cluster = CLUSTER.replace('pricePerHour: 0.70', 'pricePerHour: 0.70, billing: reserved');
    const input = plannerInput({ cluster });
    const reserved = buildProblem({ ...input, inventory: withReservedFree(input.inventory) });
    expect(change(on([2], [3]), on([2, 4], [3]), reserved)?.cost).toBe(0.5);
  });

  it('restarts an LLM server whose neighbours change: its cache is what they leave', () => {
    const pipeline = JSON.stringify({
      format: 1,
      name: 'talk',
      stages: [
        { id: 'answer', model: 'assistant' },
        { id: 'speak', model: 'tts', after: ['answer'] },
      ],
    });
    const profiles = [llmProfile('assistant', 'l4', 50, 10), profileFile('tts', 'l4', 70)];
    const talk = buildProblem(plannerInput({ pipelines: [pipeline], profiles, rate: 1, p99Ms: 8_000 }));
    expect(talk.pools.map(({ model }) => model)).toEqual(['assistant', 'tts']);
    expect(change(on([2], [3]), on([2], [3, 4]), talk)?.starts.map(({ model }) => model)).toEqual(['tts']);
    expect(change(on([2], [3]), on([2], [2, 3]), talk)).toBeUndefined();
  });
});

describe('a candidate of another hour', () => {
  it('is the same placement in that hour’s problem, or none if a batch is not known there', () => {
    const other = buildProblem(plannerInput({ rate: 2 }));
    expect(transferred(placedOf(problem, on([2], [3], [2, 1])), other)).toEqual(on([2], [3], [2, 1]));
    const fewer = plannerInput({
      profiles: [
        profileFile('whisper', 'l4', 50, { latency: [{ batch: 1, p50Ms: 50, p95Ms: 55, p99Ms: 60 }] }),
        profileFile('tts', 'l4', 70),
      ],
    });
    expect(transferred(placedOf(problem, on([2], [3], [2, 1])), buildProblem(fewer))).toBeUndefined();
  });
});

describe('alignment', () => {
  it('puts the same servers on the devices that have them, and others on free ones, among devices that are alike', () => {
    const to = placedOf(problem, on([2], [3]));
    expect(aligned(problem, on([5], [2]), to)).toEqual(on([2], [3]));
    expect(aligned(problem, on([3, 2], [4]), to)).toEqual(on([2, 4], [3]));
    // An A100 is no L4.
    expect(aligned(problem, on([0], [2]), to)).toEqual(on([0], [3]));
    // What shares a model with a device stays on it.
    expect(aligned(problem, on([4, 5], [4]), to)).toEqual(on([3, 2], [3]));
  });

  it('keeps replicas that span devices whole', () => {
    const wide = [
      profileFile('whisper', 'l4', 50),
      profileFile('tts', 'l4', 40, { variant: 'tp2', parallel: { tensor: 2, pipeline: 1 } }),
    ];
    const spanning = buildProblem(plannerInput({ profiles: wide }));
    const candidate = (whisper: number, tts: readonly number[]): Candidate => ({
      configs: [0, 0],
      replicas: [
        { pool: 0, devices: [whisper] },
        { pool: 1, devices: tts },
      ],
    });
    const next = aligned(spanning, candidate(2, [3, 4]), placedOf(spanning, candidate(4, [2, 3])));
    expect(next).toEqual(candidate(4, [2, 3]));
    const other = aligned(spanning, candidate(5, [2, 3]), placedOf(spanning, candidate(3, [4, 5])));
    expect(other).toEqual(candidate(3, [4, 5]));
    expect(isPossible(spanning, other)).toBe(true);
  });

  it('keeps each device of a replica among those with its links', () => {
    const bridge = (name: string, a: number, b: number) =>
      `  - { name: ${name}, type: nvlink, joins: [gpu2/${a}, gpu2/${b}], bandwidth: 300GB/s, latency: 5us }\n`;
    const cluster = `${CLUSTER}links:\n${bridge('left', 0, 1)}${bridge('right', 2, 3)}`;
    const wide = [
      profileFile('whisper', 'l4', 50),
      profileFile('whisper', 'a100', 20),
      profileFile('tts', 'l4', 40, { variant: 'tp2', parallel: { tensor: 2, pipeline: 1 } }),
    ];
    const linked = buildProblem(plannerInput({ cluster, profiles: wide }));
    const across: Candidate = {
      configs: [0, 0],
      replicas: [
        { pool: 1, devices: [3, 4] },
        { pool: 0, devices: [2] },
      ],
    };
    expect(isPossible(linked, across)).toBe(true);
    const next = aligned(linked, across, placedOf(linked, { configs: [0, 0], replicas: [{ pool: 0, devices: [0] }] }));
    expect(isPossible(linked, next)).toBe(true);
    expect(next.replicas.map(({ devices }) => devices)).toEqual([[2, 4], [3]]);
  });
});
