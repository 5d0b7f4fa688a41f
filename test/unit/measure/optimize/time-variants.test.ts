import { expect, it } from 'vitest';
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
  const timed = await timeVariants([recorded('x', calls), recorded('y', calls)], ['a', 'b', 'c'], options);
  const rounds = calls.slice(-24);
  expect(rounds.slice(0, 8)).toEqual(['x:a', 'x:ab', 'y:a', 'y:ab', 'y:b', 'y:ca', 'x:b', 'x:ca']);
  const of = (name: string) => timed.get(name)?.map(({ batch, input, ms }) => [batch, input, ms]);
  expect(of('x')).toHaveLength(12);
  expect(of('x')).toEqual(of('y'));
});

it('makes five rounds however little time there is, and no more', async () => {
  const calls: string[] = [];
  const timed = await timeVariants([recorded('x', calls)], ['a'], {
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
