import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, gte, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { RunContext } from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const loop = pipeline('loop', { input: one, deadline: '10m' }, ({ input, stage, repeat }) => ({
  n: repeat('count', { n: input.n }, (state) => ({ n: stage('add', add, { n: state.n }).n }), {
    until: (state) => gte(state.n, 5),
    atMost: 9,
  }).n,
})) as unknown as Pipeline;

/** A host whose clock and whose history's end the test decides. */
class ClockHost extends InProcessHost {
  clock = 0;
  checks = 2;
  override now(): number {
    return this.clock;
  }
  override full(): boolean {
    return --this.checks < 0;
  }
  override race<T>(contenders: Parameters<InProcessHost['race']>[0]): Promise<T> {
    return Promise.race(contenders.map((contender) => contender(this))) as Promise<T>;
  }
}

describe('a run that goes on in a new history', () => {
  it('keeps its deadline: time counts from the first start', async () => {
    const host = new ClockHost({ runner: new CodeRunner(loop), run: 'r' });
    host.clock = 1_000;
    const first = await interpret({ n: 0 }, contextOf(loop), host);
    if (!('carried' in first)) throw new Error('the history was not full');
    expect(first.carried.startedAt).toBe(1_000);
    const context: RunContext = { ...contextOf(loop), carried: { ...first.carried, decided: {} } };
    host.checks = 99;
    host.clock = 1_000 + 599_000;
    expect(await interpret({ n: 0 }, context, host)).toMatchObject({ output: { n: 5 } });
    host.clock = 1_000 + 600_001;
    await expect(interpret({ n: 0 }, context, host)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });
});
