import { expect, it, onTestFinished, vi } from 'vitest';
import type { Runner } from '../../../../measure/optimize/runner.js';
import { timeVariants } from '../../../../measure/optimize/time-variants.js';

const options = { samples: 6, timeLimitMs: 60_000, batches: [1, 2], signal: new AbortController().signal };

/** A runner that records which inputs it gets. */
function recorded(name: string, calls: string[]) {
  const runner: Runner = {
    async answer(inputs) {
      calls.push(`${name}:${inputs.join('')}`);
      return { ms: inputs.length, units: inputs.length, outputs: [...inputs] };
    },
    memoryMiB: () => 1,
    stop: async () => undefined,
  };
  return { name, runner };
}

it('calls all variants in each round, beginning with another one each time, with the same inputs', async () => {
  const calls: string[] = [];
  const { samples: timed } = await timeVariants([recorded('x', calls), recorded('y', calls)], ['a', 'b', 'c'], options);
  const rounds = calls.slice(-24);
  expect(rounds.slice(0, 8)).toEqual(['x:a', 'x:ab', 'y:a', 'y:ab', 'y:b', 'y:ca', 'x:b', 'x:ca']);
  const of = (name: string) => timed.get(name)?.map(({ batch, input, ms }) => [batch, input, ms]);
  expect(of('x')).toHaveLength(12);
  expect(of('x')).toEqual(of('y'));
});

it('makes five rounds however little time there is, and no more', async () => {
  const calls: string[] = [];
  const { samples: timed } = await timeVariants([recorded('x', calls)], ['a'], {
    ...options,
    samples: 40,
    timeLimitMs: 0,
    batches: [1],
  });
  expect(timed.get('x')).toHaveLength(5);
});

it('ends when it is interrupted', async () => {
  const stop = new AbortController();
  stop.abort(new Error('stopped'));
  await expect(timeVariants([recorded('x', [])], ['a'], { ...options, signal: stop.signal })).rejects.toThrow(
    'stopped',
  );
});

it('goes on without a variant whose process ends, but not without the first one', async () => {
  const calls: string[] = [];
  const dying = recorded('dying', []);
  let left = 6;
  const answer = dying.runner.answer.bind(dying.runner);
  dying.runner.answer = async (inputs) => {
    left -= 1;
    if (left < 0) throw new Error('killed');
    return answer(inputs);
  };
  const { samples, failed } = await timeVariants([recorded('x', calls), dying], ['a'], { ...options, batches: [1] });
  expect(failed).toEqual(new Map([['dying', 'killed']]));
  expect([...samples.keys()]).toEqual(['x']);
  expect(samples.get('x')).toHaveLength(6);
  await expect(timeVariants([dying, recorded('x', calls)], ['a'], options)).rejects.toThrow('killed');
});

it('tells a runner that only the time counts', async () => {
  const seen = new Set<boolean | undefined>();
  const one = recorded('x', []);
  const answer = one.runner.answer.bind(one.runner);
  one.runner.answer = (inputs, timed) => {
    seen.add(timed);
    return answer(inputs);
  };
  await timeVariants([one], ['a'], options);
  expect(seen).toEqual(new Set([true]));
});

it('warms each variant up until two calls take about as long', async () => {
  let [calls, clockMs] = [0, 0];
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => clockMs);
  onTestFinished(() => clock.mockRestore());
  const cold = recorded('x', []);
  const answer = cold.runner.answer.bind(cold.runner);
  cold.runner.answer = (inputs) => {
    // Two calls compile.
    clockMs += [90, 45][calls] ?? 20;
    calls += 1;
    return answer(inputs);
  };
  await timeVariants([cold], ['a'], { ...options, samples: 1, batches: [1] });
  // The compiling ones, two that are alike, and the round.
  expect(calls).toBe(5);
});
