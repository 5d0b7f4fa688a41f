import { setTimeout as sleep } from 'node:timers/promises';
import { expect, vi } from 'vitest';
import { z } from 'zod';
import type { Duration } from '../../pipelines/duration.js';
import {
  code,
  MillraceError,
  type Pipeline,
  pipeline,
  type StageOptions,
  type StageUse,
} from '../../pipelines/index.js';

export const one = z.object({ n: z.number() });
export type N = z.output<typeof one>;
export const list = z.object({ items: z.array(z.number()) });
export const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
export const odd = code('odd', { input: one, output: one }, ({ n }) => {
  if (n % 2 === 1) throw new MillraceError('BACKEND_REJECTED', `${n} is odd`);
  return { n };
});
export const slow = code('slow', { input: one, output: one }, async (input, { signal }) => {
  await sleep(60_000, undefined, { signal });
  return input;
});

/** A function that takes long, and one whose calls wait until the first has begun: who comes first is not left to the host. */
export function inTurn(name: string, then: (n: N) => N) {
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const long = code(`long-${name}`, { input: one, output: one }, async (input, { signal }) => {
    begin();
    await sleep(60_000, undefined, { signal });
    return input;
  });
  const after = code(`after-${name}`, { input: one, output: one }, async (input) => {
    await begun;
    return then(input);
  });
  return { long, after, begun };
}

/** An abort reaches a function some time after its run has ended, and how long that takes depends on the machine. */
export const seen = (events: readonly string[], event: string) =>
  vi.waitFor(() => expect(events).toContain(event), { timeout: 60_000, interval: 20 });
export const pause = code('pause', { input: one, output: one }, async (input) => {
  await sleep(200);
  return input;
});
export const down = code('down', { input: one, output: one }, () => {
  throw new MillraceError('BACKEND_UNAVAILABLE', 'down');
});
export const wrong = code('wrong', { input: one, output: one }, () => {
  throw new MillraceError('BACKEND_REJECTED', 'wrong');
});
export const quick = { retry: { attempts: 3, backoff: { initial: '5ms', max: '5ms' } } } as const;
export const once = { retry: { attempts: 1 } } as const;
export const any = (made: unknown) => made as Pipeline;

/** A pipeline of the one stage `a`; `options` are its policy, and the pipeline's deadline. */
export const single = (name: string, use: StageUse<N, N>, options: StageOptions<N, N>, deadline: Duration = '1m') =>
  any(
    pipeline(name, { input: one, deadline }, ({ input, stage }) => ({ n: stage('a', use, { n: input.n }, options).n })),
  );
