import { expect, it } from 'vitest';
import { isDue, parseSchedule } from '../../../../activities/pools/schedule.js';

const due = (text: string, time: string): boolean => {
  const schedule = parseSchedule(text);
  if (!schedule) throw new Error(`${text} is no schedule`);
  return isDue(schedule, new Date(time));
};

it.each([
  ['50 7 * * 1-5', '2026-11-27T07:50:59Z', true],
  ['50 7 * * 1-5', '2026-11-27T07:51:00Z', false],
  ['50 7 * * 1-5', '2026-11-28T07:50:00Z', false],
  ['*/15 8-18 * * *', '2026-11-28T08:45:00Z', true],
  ['*/15 8-18 * * *', '2026-11-28T08:50:00Z', false],
  ['5/20 * * * *', '2026-11-28T00:25:00Z', true],
  ['0 0 1,15 * *', '2026-12-15T00:00:00Z', true],
  ['0 0 1,15 * *', '2026-12-14T00:00:00Z', false],
  ['0 0 * 12 7', '2026-12-06T00:00:00Z', true],
  ['0 0 * 12 0', '2026-12-06T00:00:00Z', true],
  // Both days restricted: either counts.
  ['0 0 13 * 5', '2026-11-27T00:00:00Z', true],
  ['0 0 13 * 5', '2026-12-13T00:00:00Z', true],
  ['0 0 13 * 5', '2026-12-12T00:00:00Z', false],
])('%s at %s: %s', (text, time, expected) => {
  expect(due(text, time)).toBe(expected);
});

it.each([
  '',
  '* * * *',
  '* * * * * *',
  '60 * * * *',
  '* 24 * * *',
  '* * 0 * *',
  '* * * 13 *',
  '* * * * 8',
  '5-1 * * * *',
])('%j is no schedule', (text) => expect(parseSchedule(text)).toBeUndefined());

it.each(['*/0 * * * *', 'a * * * *', '1,, * * * *', '-1 * * * *', '@daily'])('nor is %j', (text) => {
  expect(parseSchedule(text)).toBeUndefined();
});
