import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, expect, it } from 'vitest';
import { logUnhandledRejections } from '../../../workers/unhandled-rejections.js';

const before = process.listeners('unhandledRejection');
const added = () => process.listeners('unhandledRejection').filter((each) => !before.includes(each));
let stop = () => {};
afterEach(() => stop());

it('logs with its stack, and counts, what nobody has caught, until it is stopped', async () => {
  const registry = new Registry();
  const lines: Record<string, unknown>[] = [];
  stop = logUnhandledRejections(pino({}, { write: (line: string) => lines.push(JSON.parse(line)) }), registry);
  const [listener, ...others] = added();
  expect(others).toEqual([]);
  // Not emitted for all: the test runner takes a rejection that nobody catches for a failure of this file.
  listener?.(new TypeError('of no promise that is awaited'), Promise.resolve());
  listener?.('a text', Promise.resolve());
  expect(lines).toMatchObject([
    {
      level: 50,
      code: 'INTERNAL',
      error: expect.stringMatching(/^TypeError: of no promise that is awaited\s[\s\S]*unhandled-rejections/),
    },
    { level: 50, code: 'INTERNAL', error: 'a text' },
  ]);
  expect(await registry.metrics()).toContain('millrace_unhandled_rejections_total 2');
  stop();
  expect(added()).toEqual([]);
});
