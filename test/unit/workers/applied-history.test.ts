import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { AppliedHistory } from '../../../workers/applied-history.js';
import { placedPool, placementOf } from '../../support/placements.js';

const [first, second, third] = [1, 2, 3].map((maxBatch) =>
  placementOf([placedPool('whisper', [['g/0']], { maxBatch })]),
);
const fresh = () => path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'placement.json');
const version = (history: AppliedHistory) => history.current()?.version;

it('goes back through what was applied, one at a time', () => {
  const history = new AppliedHistory(fresh());
  expect(history.current()).toBeUndefined();
  for (const each of [first, second, third]) if (each) expect(history.apply(each)).toEqual({ changed: true });
  expect(version(history)).toBe(third?.version);
  expect(history.rollback().to.version).toBe(second?.version);
  expect(version(history)).toBe(second?.version);
  expect(history.rollback()).toMatchObject({ from: { version: second?.version }, to: { version: first?.version } });
  expect(() => history.rollback()).toThrow(expect.objectContaining({ code: 'INVALID_PLACEMENT' }));
  expect(version(history)).toBe(first?.version);
});

it('takes the same version once, and can go back to a placement that was put there by hand', () => {
  const file = fresh();
  writeFileSync(file, JSON.stringify(first));
  const history = new AppliedHistory(file);
  if (!second) throw new Error('no placement');
  expect(history.apply(second)).toEqual({ changed: true });
  expect(history.apply(second)).toEqual({ changed: false });
  history.rollback();
  expect(version(history)).toBe(first?.version);
});

it('refuses a placement that is broken', () => {
  const file = fresh();
  writeFileSync(file, JSON.stringify({ ...first, version: '000000000000' }));
  expect(() => new AppliedHistory(file).current()).toThrow(expect.objectContaining({ code: 'INVALID_PLACEMENT' }));
});
