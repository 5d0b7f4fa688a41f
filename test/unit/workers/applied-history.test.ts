import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
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

it('goes back to a placement that was put there by hand after others', () => {
  const file = fresh();
  const history = new AppliedHistory(file);
  if (!first || !second || !third) throw new Error('no placement');
  history.apply(first);
  writeFileSync(file, JSON.stringify(second));
  history.apply(third);
  expect(history.rollback().to.version).toBe(second.version);
  expect(history.rollback().to.version).toBe(first.version);
});

it('goes back as a rollback does, or to a placement that others have come after', () => {
  const file = fresh();
  const history = new AppliedHistory(file);
  if (!first || !second || !third) throw new Error('no placement');
  for (const each of [first, second]) history.apply(each);
  // What is gone back to is given: it need not be readable in the history.
  writeFileSync(`${file}.applied/0001-${first.version}.json`, '');
  history.restore(first);
  expect(version(history)).toBe(first.version);
  expect(() => history.rollback()).toThrow(expect.objectContaining({ code: 'INVALID_PLACEMENT' }));
  for (const each of [second, third, second]) history.apply(each);
  history.restore(first);
  expect(version(history)).toBe(first.version);
});

it('refuses a placement that is broken', () => {
  const file = fresh();
  writeFileSync(file, JSON.stringify({ ...first, version: '000000000000' }));
  expect(() => new AppliedHistory(file).current()).toThrow(expect.objectContaining({ code: 'INVALID_PLACEMENT' }));
});

it('leaves the drafts of others alone: in another container, a process may have the same number', () => {
  const file = fresh();
  const others = `${file}.${process.pid}.new`;
  writeFileSync(others, 'of another');
  if (!first) throw new Error('no placement');
  new AppliedHistory(file).apply(first);
  expect(readFileSync(others, 'utf8')).toBe('of another');
  expect(readdirSync(path.dirname(file)).sort()).toEqual(
    ['placement.json', `placement.json.${process.pid}.new`, 'placement.json.applied'].sort(),
  );
});
