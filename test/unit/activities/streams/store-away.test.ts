import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { Pools } from '../../../../activities/pools/index.js';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { codeStream, MillraceError, pipeline } from '../../../../pipelines/index.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { readChannel } from '../../../../stores/channels/index.js';
import { AwayLog } from '../../../support/away-log.js';
import { functionRunner } from '../../../support/run-functions.js';
import { retry } from './stream-run.js';

/* The state store is away for some seconds when a stage is tried again whose stream has a beginning. */

/** Longer than a first attempt waits for it. */
const AWAY_MS = 2_600;

const { signal } = new AbortController();
const called = (more: Partial<StageCall>): StageCall =>
  ({ pipeline: 'p', version: 'v', tenant: 't', stage: 'made', with: {}, retry, ...more }) as StageCall;
const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  ...{ signal, attempt: 1, queueMs: 0, run: 'r', resumeFrom: null, checkpoint: () => undefined },
  ...more,
});
const gone = () => new MillraceError('BACKEND_UNAVAILABLE', 'gone');

/** Pools of one server. */
const poolsOf = (invoke: Backend['invoke']): Pools => {
  const at = { model: 'm', url: 'a', device: '' };
  return {
    get: () => ({
      use: (work: (backend: Backend, at: object, signal: AbortSignal) => unknown, own: Attempt) =>
        work({ invoke } as Backend, at, own.signal),
    }),
  } as unknown as Pools;
};

/** An LLM that says `first` of a story before it breaks off, then the rest of it, or another one if it does not know of a beginning. */
function llm(channels: AwayLog) {
  let calls = 0;
  const invoke: Backend['invoke'] = async (_, { emit, continued }) => {
    calls += 1;
    if (calls === 1) {
      emit('It rains here. And');
      await expect
        .poll(() => channels.read({ run: 'r', path: 'made', of: 'sentences' }, 0, 1))
        .toMatchObject({ count: 1 });
      throw gone();
    }
    if (!continued) return { output: { text: 'The sun shines. It is warm.' } };
    continued.continues();
    return { output: { text: ' and nobody came.' } };
  };
  const call = called({ kind: 'chat', model: 'm', writes: ['sentences'] });
  return { call, runner: functionRunner(new Map(), channels, { pools: poolsOf(invoke) }), input: { prompt: 'Why?' } };
}

/** A voice that is gone behind its second sentence, when the store has lost the first one. */
function voice(channels: AwayLog) {
  const sha256 = '0'.repeat(64);
  const audio = { uri: `artifact://t/${sha256}`, sha256, mime: 'audio/wav', bytes: 44 };
  const invoke: Backend['invoke'] = async ({ input }) => {
    if (input.text === 'One. Two.') throw gone();
    return { output: { audio } };
  };
  const append = channels.append.bind(channels);
  channels.append = async (name, write) => {
    if (write.count > 0) return 'differs';
    return await append(name, write);
  };
  channels.read = async () => ({ count: 1, hash: 'other', from: 0, entries: [] });
  const call = called({ kind: 'synthesize', model: 'm', writes: ['chunks'] });
  return {
    call,
    runner: functionRunner(new Map(), channels, { pools: poolsOf(invoke) }),
    input: { text: 'One. Two.' },
  };
}

/** A function that fails behind its second entry, and goes on behind what is committed; without that it would yield something else. */
function counting(channels: AwayLog) {
  let attempts = 0;
  const options = { input: z.object({}), entry: z.number() };
  const yields = codeStream('made', options, async function* (_, { resumeFrom }) {
    attempts += 1;
    const from = resumeFrom?.count ?? 0;
    for (let i = from; i < 4; i++) {
      if (attempts === 1 && i === 2) throw Object.assign(new Error('gone'), { code: 'BACKEND_UNAVAILABLE' });
      yield from === 0 ? 10 * attempts + i : i;
    }
  });
  const made = pipeline('p', { input: z.object({}) }, ({ stage }) => ({ items: stage('made', yields, {}).items }));
  const call = called({ kind: 'code', model: 'made', writes: ['entries'] });
  return { call, runner: functionRunner(made.code, channels), input: {} };
}

describe('an attempt that is not the first, and finds the store away', () => {
  it.each([
    ['an LLM', llm, 'sentences', { text: 'It rains here. and nobody came.' }, ['It rains here.', ' and nobody came.']],
    ['a function', counting, 'entries', { items: [10, 11, 2, 3] }, [10, 11, 2, 3].map((value) => ({ value }))],
  ])('waits for it, and goes on behind what is committed: %s', async (_, of, stream, output, entries) => {
    const channels = new AwayLog();
    const { call, runner, input } = of(channels);
    await expect(runner.run(input, call, attempt())).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    const slots: string[] = [];
    const slot = { leave: () => slots.push('leaves') > 0, take: async () => void slots.push('takes') };
    channels.leaveFor(AWAY_MS);
    expect(await runner.run(input, call, attempt({ attempt: 2, again: true, slot }))).toMatchObject({ output });
    // Others need it meanwhile.
    expect(slots.slice(0, 2)).toEqual(['leaves', 'takes']);
    const read: unknown[] = [];
    const name = { run: 'r', path: 'made', of: stream };
    for await (const { value } of readChannel(channels, name, { signal })) read.push(value);
    expect(read).toEqual(entries);
  });

  it('waits no longer than it may', async () => {
    const channels = new AwayLog();
    channels.away = true;
    const { call, runner, input } = llm(channels);
    const own = new AbortController();
    const late = new MillraceError('STAGE_TIMEOUT', 'too late');
    setTimeout(() => own.abort(late), 300);
    await expect(runner.run(input, call, attempt({ signal: own.signal, again: true }))).rejects.toBe(late);
  });
});

it('a first attempt goes on without the store, and says where it fails that nothing is committed', async () => {
  const channels = new AwayLog();
  channels.away = true;
  const { call, runner, input } = counting(channels);
  await expect(runner.run(input, call, attempt())).rejects.toMatchObject({
    code: 'BACKEND_UNAVAILABLE',
    details: { unstreamed: true },
  });
  expect(await runner.run(input, call, attempt({ attempt: 2 }))).toMatchObject({ output: { items: [20, 21, 22, 23] } });
});

it('does not say so where the store has lost what it had committed', async () => {
  const { call, runner, input } = voice(new AwayLog());
  const failure = await runner.run(input, call, attempt()).catch((error: unknown) => error);
  expect(failure).toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  expect(failure).not.toHaveProperty('details.unstreamed');
});
