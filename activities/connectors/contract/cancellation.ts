import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../connector.js';
import { contextOf } from './context.js';
import type { Contract, TestRunner } from './contract.js';
import { eventually, expectReason, expectThat, shortest, TRIES } from './expect.js';

/** A backend has this long to end a call after its signal has aborted, in milliseconds. */
const ENDS_WITHIN_MS = 1_000;
/** When the long call is aborted. */
const ABORT_AFTER_MS = 300;
/** Where the abort is not made by then, this process stands still. */
const STILL_MS = 1_000;
/** For a server that has to finish what an earlier test has left. */
const PATIENCE_MS = 30_000;

export function cancellation({ it }: TestRunner, contract: Contract, backend: () => Backend): void {
  const { longCall, working } = contract;

  /** How long the long call goes on after its signal has aborted, in milliseconds. */
  async function endsAfter(): Promise<number> {
    const controller = new AbortController();
    const reason = new Error('the run was cancelled');
    let chunks = 0;
    let abortedAt = 0;
    const startedAt = performance.now();
    const context = contextOf(contract, controller.signal, () => void chunks++);
    const aborting = setTimeout(() => {
      abortedAt = performance.now();
      controller.abort(reason);
    }, ABORT_AFTER_MS);
    try {
      await expectReason(() => backend().invoke(longCall, context), reason, 'a call whose signal aborts');
    } catch (error) {
      // The whole call passed while this process stood still: nothing was aborted, and nothing is known.
      if (abortedAt === 0 && performance.now() - startedAt > STILL_MS) return Number.POSITIVE_INFINITY;
      throw error;
    } finally {
      clearTimeout(aborting);
    }
    expectThat(abortedAt > 0, `longCall must take well over a second; it ended within ${ABORT_AFTER_MS} ms`);
    const ms = performance.now() - abortedAt;
    const atTheEnd = chunks;
    await sleep(200);
    expectThat(chunks === atTheEnd, 'a call must emit nothing after its end');
    return ms;
  }

  it('ends a running call within a second, with the reason of its signal', async () => {
    const ms = await shortest(ENDS_WITHIN_MS, endsAfter);
    expectThat(ms < ENDS_WITHIN_MS, `a call must end within ${ENDS_WITHIN_MS} ms of its abort; it took ${ms} ms`);
  });

  if (working) {
    it('frees the server within a second, or some of its steps, by its own count', async () => {
      for (let left = TRIES; ; left--) {
        try {
          return await freesServer(contract, working, backend());
        } catch (error) {
          if (left === 1) throw error;
        }
      }
    });
  }
}

async function freesServer(contract: Contract, working: () => Promise<number>, backend: Backend): Promise<void> {
  // A slow server may still count what the test before has cancelled.
  await eventually(async () => (await working()) === 0, PATIENCE_MS, 'the server must be idle');
  const controller = new AbortController();
  const arrivals: number[] = [];
  const emit = () => void arrivals.push(performance.now());
  const call = backend.invoke(contract.longCall, contextOf(contract, controller.signal, emit)).catch(() => undefined);
  try {
    await eventually(() => arrivals.length > 3, PATIENCE_MS, 'the long call must emit chunks');
    const count = await working();
    expectThat(count === 1, `the server must work on one call, not on ${count}`);
  } finally {
    // Otherwise it goes on for minutes, and the next tests find the server at work.
    controller.abort(new Error('the run was cancelled'));
  }
  const abortedAt = performance.now();
  await call;
  await eventually(async () => (await working()) === 0, PATIENCE_MS, 'the server must be idle after the abort');
  const steps = arrivals.slice(1).map((at, i) => at - (arrivals[i] ?? at));
  const ms = Math.round(performance.now() - abortedAt);
  const most = Math.round(ENDS_WITHIN_MS + 3 * Math.max(...steps));
  expectThat(ms < most, `the server must be free within ${most} ms of the abort; it took ${ms} ms`);
}
