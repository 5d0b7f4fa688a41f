import { afterEach, expect, test, vi } from 'vitest';
import { type Running, runTogether, stopAll } from '../../../workers/run-together.js';

const GRACE_MS = 10_000;

/** A worker as the SDK's: told to stop it ends when its stages have. */
class FakeWorker implements Running {
  state: 'initialized' | 'running' | 'stopping' | 'ended' = 'initialized';
  getState = () => this.state.toUpperCase();
  end: () => void = () => undefined;
  fail: (error: Error) => void = () => undefined;

  async run(): Promise<void> {
    this.state = 'running';
    try {
      await new Promise<void>((resolve, reject) => {
        this.end = resolve;
        this.fail = reject;
      });
    } finally {
      this.state = 'ended';
    }
  }

  shutdown(): void {
    if (this.state !== 'running') throw new Error(`is ${this.state}`);
    this.state = 'stopping';
  }
}

const started = () => {
  const workers = [new FakeWorker(), new FakeWorker(), new FakeWorker()] as const;
  const settled = vi.fn();
  const running = runTogether(workers, GRACE_MS);
  running.then(
    () => settled('ended'),
    (error: unknown) => settled(error),
  );
  return { workers, running, settled };
};

/** Lets everything that only waits for promises go on. */
const turn = () => vi.advanceTimersByTimeAsync(0);

afterEach(() => void vi.useRealTimers());

test('the end of one stops the others, whose stages end first', async () => {
  vi.useFakeTimers();
  const { workers, settled } = started();
  const [first, second, third] = workers;
  first.end();
  await turn();
  expect([second.state, third.state]).toEqual(['stopping', 'stopping']);
  second.end();
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  expect(settled).not.toHaveBeenCalled();
  third.end();
  await turn();
  expect(settled.mock.calls).toEqual([['ended']]);
});

test('the first error is thrown when the stages of the others have ended', async () => {
  vi.useFakeTimers();
  const { workers, settled } = started();
  const [first, second, third] = workers;
  first.fail(new Error('the namespace is gone'));
  await turn();
  expect([second.state, third.state]).toEqual(['stopping', 'stopping']);
  second.fail(new Error('so it is'));
  await turn();
  expect(settled).not.toHaveBeenCalled();
  third.end();
  await turn();
  expect(settled.mock.calls).toEqual([[expect.objectContaining({ message: 'the namespace is gone' })]]);
});

test('after a failure a stage that does not end holds up the process for a bounded time', async () => {
  vi.useFakeTimers();
  const { workers, settled } = started();
  workers[0].fail(new Error('the namespace is gone'));
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  expect(settled).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  expect(settled.mock.calls).toEqual([[expect.objectContaining({ message: 'the namespace is gone' })]]);
});

test('a worker that stops by itself and does not end ends the process, after the grace of the others', async () => {
  vi.useFakeTimers();
  const { workers, settled } = started();
  const [first, second, third] = workers;
  await vi.advanceTimersByTimeAsync(GRACE_MS * 10);
  expect(second.state).toBe('running');
  first.shutdown();
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  expect([second.state, third.state]).toEqual(['stopping', 'stopping']);
  expect(settled).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(GRACE_MS);
  expect(settled.mock.calls).toEqual([[expect.objectContaining({ message: expect.stringMatching(/does not end/) })]]);
});

test('a grace that is longer than a timer is long', async () => {
  vi.useFakeTimers();
  const workers = [new FakeWorker(), new FakeWorker()] as const;
  const settled = vi.fn();
  void runTogether(workers, 2 ** 31 - 1).then(settled, settled);
  await turn();
  workers[0].shutdown();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(workers[1].state).toBe('stopping');
  expect(settled).not.toHaveBeenCalled();
  for (const { end } of workers) end();
  await turn();
  expect(settled).toHaveBeenCalledOnce();
});

test('all can be stopped as soon as they have been started', async () => {
  const { workers, running } = started();
  stopAll(workers);
  expect(workers.map(({ state }) => state)).toEqual(['stopping', 'stopping', 'stopping']);
  for (const { end } of workers) end();
  await running;
  stopAll(workers);
});
