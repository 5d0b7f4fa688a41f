import { describe, expect, it } from 'vitest';
import { FAULTS, faultsOf, incidentsOf, needsModels } from '../../../../bench/chaos/faults.js';
import { type Incident, Incidents, planIncidents } from '../../../../bench/chaos/incidents.js';
import { Seeded } from '../../../../bench/chaos/seeded.js';

const names = incidentsOf(new Set(FAULTS));
const plan = (seed: number) => planIncidents(names, 400, 3, new Seeded(seed, 'incidents'));

describe('the plan of incidents', () => {
  it('has each once a round, spread over all runs', () => {
    for (const name of names) expect(plan(1).filter((planned) => planned.name === name)).toHaveLength(3);
    const moments = plan(1).map(({ after }) => after);
    expect(moments).toEqual(moments.toSorted((a, b) => a - b));
    const share = 400 / moments.length;
    expect(moments[0]).toBeLessThan(share);
    expect(moments.at(-1)).toBeGreaterThanOrEqual(400 - share - 1);
    expect(moments.at(-1)).toBeLessThan(400);
  });

  it('differs with the seed', () => {
    expect(plan(1)).toEqual(plan(1));
    expect(plan(1)).not.toEqual(plan(2));
  });
});

it('lets them happen one after the other, each when it is due and may', async () => {
  const seen: string[] = [];
  let started = 0;
  let whole = false;
  const incident = (name: string): Incident => ({
    mayHappen: () => name !== 'b' || whole,
    happen: async () => {
      seen.push(`${name} at ${started}`);
      if (name === 'a') setTimeout(() => (whole = true), 100);
    },
  });
  const planned = [
    { name: 'a', after: 2 },
    { name: 'b', after: 3 },
  ];
  const incidents = new Incidents(planned, new Map([...'ab'].map((name) => [name, incident(name)])), () => undefined);
  const over = incidents.run(() => started);
  expect([incidents.behind(2), incidents.behind(3), incidents.behind(4)]).toEqual([0, 1, 2]);
  started = 2;
  await expect.poll(() => seen).toEqual(['a at 2']);
  started = 3;
  await over;
  expect(seen).toEqual(['a at 2', 'b at 3']);
  expect(whole).toBe(true);
  expect(incidents.done).toEqual(planned);
});

describe('the names of faults', () => {
  it('choose what is let loose, and whether models are needed for it', () => {
    expect([...faultsOf('all')].every((fault) => FAULTS.includes(fault))).toBe(true);
    expect(faultsOf(FAULTS.join())).toEqual(new Set(FAULTS));
    expect(faultsOf('none')).toEqual(new Set());
    expect(faultsOf('flushed,full')).toEqual(new Set(['flushed', 'full']));
    expect(() => faultsOf('flushed,floods')).toThrow('not "floods"');
    expect([needsModels(faultsOf('none')), needsModels(faultsOf('full')), needsModels(faultsOf('full,calls'))]).toEqual(
      [true, false, true],
    );
    expect(incidentsOf(faultsOf('calls,decisions,gateway'))).toEqual(['gateway']);
  });
});
