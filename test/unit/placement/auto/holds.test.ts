import { describe, expect, it } from 'vitest';
import { holdsOf, type Situation } from '../../../../placement/auto/holds.js';
import {
  EMPTY,
  ended,
  iso,
  type Journal,
  type Outcome,
  readPolicy,
  Streaks,
} from '../../../../placement/auto/index.js';
import type { Drift, Measured } from '../../../../placement/replan/index.js';
import { placedPool, placementOf } from '../../../support/placements.js';

const policy = (more = '') =>
  readPolicy(`format: 1\ndrifts: [device, rate]\ncostPerHour: 5\nmeasurements: 1\n${more}`).value;
const placement = placementOf([placedPool('whisper', [['g/1']]), placedPool('tts', [['g/2']])]);
const proposal = placementOf([placedPool('whisper', [['g/3']]), placedPool('tts', [['g/2']])]);
const RATE: Drift = { what: 'rate', of: 'voice', predicted: 1, measured: 3 };
const drift = (what: 'service' | 'stage' | 'p95' | 'budget'): Drift => ({ what, of: 'x', predicted: 1, measured: 3 });
const NOW = Date.parse('2026-03-02T12:00:00Z');

const HOUR = 3_600_000;

/** Changes that have ended so long ago: to the placement in force, or from it and back. */
const journalOf = (...changes: readonly (readonly [agoMs: number, outcome: Outcome])[]): Journal => ({
  ...EMPTY,
  changes: changes.map(([agoMs, outcome]) => {
    const others = { from: '000000000000', to: '111111111111' };
    const own = outcome === 'kept' || outcome === 'unverified' ? 'to' : 'from';
    return { at: iso(NOW - agoMs), ...others, [own]: placement.version, outcome };
  }),
});

const measured: Measured = {
  ...{ windowMs: 300_000, started: { voice: 300 }, completed: 300, failed: 0, budgets: [] },
  ...{ runs: { count: 300, p50Ms: 1, p95Ms: 1 }, stages: {}, services: {}, lost: [] },
};
const thin: Measured = { ...measured, started: { voice: 10 }, completed: 10 };
const slow: Measured = { ...measured, runs: { ...measured.runs, p95Ms: 240_000 } };

type Replica = ReturnType<typeof placedPool>['replicas'][number];
type Told = Partial<Omit<Situation, 'found'> & Situation['found']> & { readonly seen?: number };

/** Why a proposal is held back that is within the policy but for what is told; `seen`: so often in a row. */
function holds({ drift: drifts = [RATE], seen = 1, refuseShare = 0, problem = null, ...told }: Told = {}) {
  const streaks = new Streaks();
  for (let i = 0; i < seen; i += 1) streaks.see(placement.version, drifts);
  const found = { drift: drifts, expected: null, refuseShare, problem, proposal };
  return holdsOf({
    ...{ policy: policy(), journal: EMPTY, placement, measured, waitsFor: undefined, nowMs: NOW },
    ...{ appliedAtMs: NOW - 30 * 24 * HOUR, streaks, ...told },
    found: told.proposal === undefined ? found : { ...found, proposal: told.proposal },
  }).map(({ why }) => why);
}

describe('what holds a proposal back', () => {
  it('is nothing within the policy, and nothing is held where nothing has drifted', () => {
    expect(holds()).toEqual([]);
    expect(holds({ drift: [], proposal: null })).toEqual([]);
  });

  it('is a drift that the policy does not list, unless it follows from one that it does', () => {
    expect(holds({ drift: [drift('service')] })).toEqual(['drift']);
    expect(holds({ drift: [RATE, drift('service')] })).toEqual(['drift']);
    expect(holds({ drift: [RATE, drift('stage'), drift('p95'), drift('budget')] })).toEqual([]);
    expect(holds({ drift: [drift('p95')] })).toEqual(['drift']);
  });

  it('is a proposal that no longer keeps what the placement in force has to', () => {
    expect(holds({ problem: 'PLACEMENT_INFEASIBLE: no other loss is survived' })).toEqual(['problem']);
    const demanding = { ...placement, slo: { ...placement.slo, survive: 'device' as const } };
    expect(holds({ placement: demanding })).toEqual(['demands']);
    const kept = { ...proposal, slo: { survive: 'device' as const, ...proposal.slo } };
    expect(holds({ placement: demanding, proposal: kept })).toEqual([]);
    expect(holds({ proposal: { ...proposal, objective: 'rate' } })).toEqual(['demands']);
  });

  it('is a server in use that would need another configuration', () => {
    const of = (more: Partial<ReturnType<typeof placedPool>>) =>
      holds({ proposal: placementOf([placedPool('whisper', [['g/3']]), placedPool('tts', [['g/2']], more)]) });
    for (const more of [{ maxBatch: 4 }, { maxQueueDelayMs: 9 }, { variant: 'small' }]) {
      expect(of(more)).toEqual(['servers']);
    }
    expect(of({ reason: 'another one', memoryBytes: 1 })).toEqual([]);
  });

  it('is another division of prompts, but not one that the placement in force does not state', () => {
    const of = (device: string, chunkTokens: number | undefined) =>
      placementOf([
        placedPool('llm', [['g/1']], { batching: 'continuous', ...(chunkTokens !== undefined && { chunkTokens }) }),
        placedPool('tts', [[device]]),
      ]);
    const held = (from: number | undefined, to: number | undefined) =>
      holds({ placement: of('g/2', from), proposal: of('g/3', to) });
    expect([held(2_048, 4_096), held(0, 2_048)]).toEqual([['servers'], ['servers']]);
    expect([held(undefined, 2_048), held(2_048, undefined), held(2_048, 2_048)]).toEqual([[], [], []]);
  });

  it('is another number of replicas on the same device, or a larger cache: its server is started for those', () => {
    const of = (from: number, to: number, tokens = 1_000) => {
      const on = (count: number, cacheTokens: number) => {
        const devices = Array.from({ length: count }, () => ['g/2']);
        const { replicas, ...pool } = placedPool('tts', devices);
        return placementOf([{ ...pool, replicas: replicas.map((each) => ({ ...each, cacheTokens })) }]);
      };
      return holds({ placement: on(from, 1_000), proposal: on(to, tokens) });
    };
    expect([of(1, 2), of(4, 1)]).toEqual([['servers'], ['servers']]);
    const wide = placementOf([placedPool('tts', [['g/2', 'g/3']])]);
    const narrow = placementOf([placedPool('tts', [['g/2']])]);
    expect(holds({ placement: wide, proposal: narrow })).toEqual(['servers']);
    expect([of(2, 2, 1_011), of(2, 2, 1_009), of(2, 2, 500)]).toEqual([['servers'], [], []]);
    // Where the tokens are unknown, the memory that it is started with counts; a placement of an earlier release states none.
    const inBytes = (from: Partial<Replica>, to: Partial<Replica>) => {
      const [is, wanted] = [from, to].map((more, i) =>
        placementOf([
          placedPool('llm', [], { batching: 'continuous', replicas: [{ devices: ['g/1'], queue: 'q', ...more }] }),
          placedPool('tts', [[`g/${i + 2}`]]),
        ]),
      );
      return holds({ placement: is ?? placement, proposal: wanted ?? placement });
    };
    expect(inBytes({}, { memoryBytes: 1_000 })).toEqual(['servers']);
    expect(inBytes({ memoryBytes: 1_000 }, { memoryBytes: 1_011 })).toEqual(['servers']);
    expect(inBytes({ memoryBytes: 1_000 }, { memoryBytes: 1_009 })).toEqual([]);
    expect(inBytes({ memoryBytes: 1_000, cacheTokens: 9 }, { memoryBytes: 1_000 })).toEqual([]);
    expect(inBytes({ memoryBytes: 1_000 }, { memoryBytes: 1_000, cacheTokens: 9 })).toEqual(['servers']);
  });

  it('is any other set of servers behind a router', () => {
    const of = (prompts: string[][], answers: string[][], tts = 'g/1') =>
      placementOf([
        placedPool('llm', answers, { apart: { part: 'decode', with: 'llm-prompts' } }),
        placedPool('llm-prompts', prompts, { apart: { part: 'prefill', with: 'llm' } }),
        placedPool('tts', [[tts]]),
      ]);
    const [a, b, c, d] = [['g/3'], ['g/4'], ['g/5'], ['g/6']];
    const behind = of([a], [b, c]);
    for (const to of [of([a], [b]), of([a, d], [b, c]), of([a], [b, d])]) {
      expect(holds({ placement: behind, proposal: to })).toEqual(['servers']);
    }
    expect(holds({ placement: behind, proposal: of([a], [c, b], 'g/2') })).toEqual([]);
  });

  it('is a person who has to look, or who has applied the placement in force', () => {
    expect(holds({ waitsFor: 'it could not be verified' })).toEqual(['person']);
    expect(holds({ drift: [], proposal: null, waitsFor: 'it could not be verified' })).toEqual([]);
    const appliedAtMs = NOW - 3_600_000;
    expect(holds({ appliedAtMs })).toEqual(['by-hand']);
    expect(holds({ appliedAtMs, policy: policy('changes: { byHand: 30m }\n') })).toEqual([]);
  });

  it('is no proposal, the same placement, or one that holds a part of the runs only', () => {
    expect(holds({ proposal: null })).toEqual(['no-proposal']);
    expect(holds({ proposal: placement })).toEqual(['unchanged']);
    expect(holds({ refuseShare: 0.2 })).toEqual(['refused-runs']);
    const refusing = { ...proposal, refusedShare: 0.2 };
    expect(holds({ proposal: refusing })).toEqual(['refused-runs']);
    expect(holds({ placement: { ...placement, refusedShare: 0.2 }, proposal: refusing })).toEqual([]);
  });

  it('is a limit: money, devices, measurements in a row', () => {
    expect(holds({ policy: policy('devices: 1\n') })).toEqual(['devices']);
    expect(holds({ policy: policy('devices: 2\n') })).toEqual([]);
    expect(holds({ proposal: { ...proposal, costPerHour: 5.01 } })).toEqual(['cost']);
    const often = readPolicy('format: 1\ndrifts: [rate]\ndevices: 9\nmeasurements: 3\n').value;
    expect([1, 2, 3].map((seen) => holds({ policy: often, seen }).length)).toEqual([1, 1, 0]);
  });

  it('is a measurement too thin to verify a change by', () => {
    expect(holds({ measured: thin })).toEqual(['runs']);
    expect(holds({ measured: thin, policy: policy('verify: { runs: 5 }\n') })).toEqual([]);
    // Nothing to compare with.
    expect(holds({ measured: thin, policy: policy('verify: { for: 20m }\n') })).toEqual(['runs']);
    // Of runs of four minutes, those of the first minute end in five.
    expect(holds({ measured: slow, policy: policy('verify: { runs: 70 }\n') })).toEqual(['runs']);
    expect(holds({ measured: slow, policy: policy('verify: { runs: 60 }\n') })).toEqual([]);
  });

  it('is a change a short while ago, too many of them, or that it was taken back', () => {
    const many = policy('changes: { most: 2, per: 6h, coolDown: 1h, again: 12h }\n');
    const of = (journal: Journal, more: Told = {}) => holds({ policy: many, journal, ...more });
    expect(of(journalOf([HOUR / 2, 'kept']))).toEqual(['cool-down']);
    expect(of(journalOf([2 * HOUR, 'kept']))).toEqual([]);
    const both = journalOf([3 * HOUR, 'kept'], [2 * HOUR, 'kept']);
    const taken = journalOf([3 * HOUR, 'kept'], [2 * HOUR, 'rolled-back']);
    expect([of(both), of(taken)]).toEqual([['changes'], ['changes']]);
    expect(of(journalOf([3 * HOUR, 'abandoned'], [2 * HOUR, 'abandoned']))).toEqual([]);
    // What was made smaller at night becomes larger in the morning, unless a change has failed.
    const larger = { ...proposal, ratePerSecond: 2 };
    expect([of(both, { proposal: larger }), of(taken, { proposal: larger })]).toEqual([[], ['changes']]);
    expect(of(both, { proposal: { ...larger, costPerHour: 0.5 } })).toEqual(['changes']);
    const refused = (untilMs: number) => ({
      ...journalOf([2 * HOUR, 'rolled-back']),
      refused: [{ version: proposal.version, until: iso(untilMs) }],
    });
    expect([of(refused(NOW + 1)), of(refused(NOW - 1))]).toEqual([['again'], []]);
  });

  it('is a person who went back to another placement than the last change has left, or wrote the file again', () => {
    const loose = policy('changes: { most: 9, coolDown: 1s, byHand: 6h }\n');
    const of = (journal: Journal, agoMs: number) => holds({ policy: loose, journal, appliedAtMs: NOW - agoMs });
    for (const outcome of ['kept', 'unverified', 'rolled-back'] as const) {
      const journal = journalOf([2 * HOUR, outcome]);
      expect(of(journal, 3 * HOUR)).toEqual([]);
      // In the same millisecond, of which the file system knows parts.
      expect(of(journal, 2 * HOUR - 0.9)).toEqual([]);
      // The file was written anew, after the change has ended.
      expect(of(journal, HOUR)).toEqual(['by-hand']);
    }
    // It is that of another placement, moved there from long ago.
    const [last] = journalOf([2 * HOUR, 'kept']).changes;
    expect(of({ ...EMPTY, changes: last ? [{ ...last, to: '222222222222' }] : [] }, 99 * HOUR)).toEqual(['by-hand']);
    expect(of(journalOf([2 * HOUR, 'interrupted']), 3 * HOUR)).toEqual(['by-hand']);
  });
});

it('forgets a streak when another placement is in force, the direction changes, or a measurement fails', () => {
  const streaks = new Streaks();
  const device: Drift = { what: 'device', of: 'g/1', because: 'one unlucky canary' };
  const see = (version: string, drifts: readonly Drift[] = [RATE]) => {
    streaks.see(version, drifts);
    return streaks.of(RATE);
  };
  expect([see('a'), see('a'), see('b'), see('b', []), see('b'), see('b')]).toEqual([1, 2, 1, 0, 1, 2]);
  expect([see('b', [{ ...RATE, measured: 0.1 }]), see('b'), see('b')]).toEqual([0, 1, 2]);
  // One that has lasted does not let another one pass that was seen once.
  const often = readPolicy('format: 1\ndrifts: [device, rate]\ndevices: 9\nmeasurements: 3\n').value;
  see('b', [RATE, device]);
  expect([streaks.of(RATE), holds({ policy: often, drift: [RATE, device], streaks })]).toEqual([3, ['measurements']]);
  streaks.forget();
  expect(see('b')).toBe(1);
});

it('forgets changes and refusals that no longer count', () => {
  const of = policy('changes: { per: 1h, coolDown: 1m, again: 1h }\n');
  const before = { windowMs: 1, started: 1, completed: 1, failed: 0, budgets: [], lost: [] };
  const open = { from: placement, to: proposal, step: 'verify', at: iso(NOW), before } as const;
  const journal = ended({ ...EMPTY, open }, 'rolled-back', 'slow', of, NOW);
  expect(journal).toMatchObject({ changes: [{ outcome: 'rolled-back' }], refused: [{ until: iso(NOW + HOUR) }] });
  const back = { ...journal, open: { ...open, from: proposal, to: placement } };
  const later = ended(back, 'kept', undefined, of, NOW + 2 * HOUR);
  expect(later).toMatchObject({ changes: [{ to: placement.version }], refused: [] });
});
