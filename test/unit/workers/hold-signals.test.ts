import { EventEmitter } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import { holdSignals } from '../../../workers/hold-signals.js';

function held() {
  const [process, exit] = [new EventEmitter(), vi.fn()];
  return { process, exit, signals: holdSignals(process, exit) };
}

afterEach(() => void vi.useRealTimers());

test('the first signal is told, and no later one is left to Node', () => {
  const { process, exit, signals } = held();
  expect(signals.received.aborted).toBe(false);
  for (const _ of [1, 2, 3]) expect(process.emit('SIGTERM')).toBe(true);
  expect(process.emit('SIGINT')).toBe(true);
  expect(signals.received.aborted).toBe(true);
  expect(exit).not.toHaveBeenCalled();
  signals.release();
  expect(process.emit('SIGTERM')).toBe(false);
  expect(process.emit('SIGINT')).toBe(false);
});

test('a Ctrl-C that is passed on as well is one, a later one ends the process', () => {
  vi.useFakeTimers();
  const { process, exit, signals } = held();
  process.emit('SIGINT');
  vi.advanceTimersByTime(200);
  process.emit('SIGINT');
  expect(signals.received.aborted).toBe(true);
  expect(exit).not.toHaveBeenCalled();
  vi.advanceTimersByTime(2_000);
  process.emit('SIGINT');
  expect(exit.mock.calls).toEqual([[130]]);
});
