import { expect, test } from 'vitest';
import { asMoment, asObject } from '../../../cli/arguments.js';
import { runTable } from '../../../cli/runs.js';
import type { RunSummary } from '../../../client/index.js';

const row = (id: string, more: Partial<RunSummary> = {}): RunSummary => ({
  id,
  pipeline: 'ask',
  version: '0123456789ab',
  tenant: 'default',
  status: 'running',
  createdAt: '2026-11-26T07:00:00.250Z',
  links: { self: '', ui: '' },
  ...more,
});
const ended = (ms: number): Partial<RunSummary> => ({
  status: 'succeeded',
  endedAt: new Date(Date.parse('2026-11-26T07:00:00.250Z') + ms).toISOString(),
});

test('the table fits into a hundred columns and says how long each took', () => {
  const long = `customer-support-desk-${'0'.repeat(36)}`;
  const text = runTable([
    row(long),
    row('ask-1', ended(-3)),
    row('ask-2', ended(840)),
    row('ask-3', ended(12_300)),
    row('ask-4', ended(450_000)),
    row('ask-5', ended(93_600_000)),
  ]);
  const lines = text.split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
  expect(lines[1]).toMatch(new RegExp(`^${long}  running    2026-11-26T07:00:00Z$`));
  expect(lines.slice(2).map((line) => line.split('Z  ')[1])).toEqual(['0 ms', '840 ms', '12.3 s', '7.5 min', '26.0 h']);
});

test('a time is one of ISO 8601 or so long ago', () => {
  expect(asMoment('2026-11-26')).toBe('2026-11-26');
  const at = Date.parse(asMoment('2h'));
  const ago = Date.now() - at;
  expect(ago).toBeGreaterThanOrEqual(7_200_000);
  expect(ago).toBeLessThan(7_230_000);
});

test('a JSON object is sent as it is written, or not at all', () => {
  expect(asObject('{"order": "9007199254740993", "euros": 12}')).toEqual({ order: '9007199254740993', euros: 12 });
  expect(() => asObject('{"orders": [1, 9007199254740993]}')).toThrow(/^orders\.1 is an integer of more digits/);
  for (const text of ['{bad', '[1]', 'null']) expect(() => asObject(text)).toThrow('It must be a JSON object');
});
