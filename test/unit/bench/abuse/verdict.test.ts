import { describe, expect, it } from 'vitest';
import type { Load } from '../../../../bench/abuse/attack.js';
import { lines } from '../../../../bench/abuse/report.js';
import type { Round } from '../../../../bench/abuse/round.js';
import { judge, misfits } from '../../../../bench/abuse/verdict.js';

const attack: Load = { name: 'flood', about: '', must: ['429 RATE_LIMITED'], may: ['200'], run: async () => undefined };
const round = (p99: number, more: Partial<Round> = {}): Round => ({
  served: { p50: 1, p99, wrong: new Map() },
  answers: new Map([['429 RATE_LIMITED', 2]]),
  gatewayMiB: 150,
  cpuS: { gateway: 1, worker: 1 },
  ...more,
});
const rounds = (...times: number[]) => times.map((p99) => round(p99));
const evidence = { attacked: rounds(10, 30, 20), control: rounds(9, 11, 400), beforeMiB: 100, died: new Map() };

describe('the verdict on an attack', () => {
  it('compares medians, so that one bad round of either side decides nothing', () => {
    expect(judge(attack, evidence)).toEqual({
      attack: 'flood',
      status: '429 RATE_LIMITED ×6',
      bystanderP99Ms: 20,
      controlP99Ms: 11,
      ratio: 1.82,
      gatewayRssMiB: 150,
      gatewayGrowthMiB: 50,
      workerRestarts: 0,
      rounds: 3,
      problems: [],
    });
  });

  it('finds a bystander that was slowed, refused or answered wrongly', () => {
    expect(judge(attack, { ...evidence, attacked: rounds(23, 23, 23) }).problems).toEqual([
      'the bystander’s p99 is 2.09 times the control’s',
    ]);
    const refused = round(10, { served: { p50: 1, p99: 10, wrong: new Map([['503 OVERLOADED', 3]]) } });
    expect(judge(attack, { ...evidence, attacked: [refused] }).problems).toEqual([
      'the bystander was answered 503 OVERLOADED 3 times',
    ]);
  });

  it('finds a process that died and memory that grew', () => {
    const died = new Map([['worker', 2]]);
    const verdict = judge(attack, { ...evidence, died, attacked: [round(10, { gatewayMiB: 357 })] });
    expect(verdict).toMatchObject({ workerRestarts: 2, gatewayGrowthMiB: 257 });
    expect(verdict.problems).toEqual(['worker died 2 times', 'the gateway’s memory grew by 257 MiB']);
  });

  it('finds answers that were to come and did not, and those that were not to', () => {
    expect(misfits(attack, ['200', '429 RATE_LIMITED'])).toEqual([]);
    expect(misfits(attack, ['200', '500 INTERNAL'])).toEqual([
      'never answered 429 RATE_LIMITED',
      'answered 500 INTERNAL',
    ]);
  });

  it('is told in lines of at most 100 characters', () => {
    const verdict = judge(attack, { ...evidence, died: new Map([['a part with a long name'.repeat(9), 1]]) });
    for (const line of lines(verdict).split('\n')) expect(line.length).toBeLessThanOrEqual(100);
  });
});
