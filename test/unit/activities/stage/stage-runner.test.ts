import { describe, expect, it, vi } from 'vitest';
import type { ExactCache, ExactRequest } from '../../../../activities/cache/index.js';
import type { StageRunnerParts } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { sha256Hex } from '../../../../pipelines/plan/hash.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import type { EndedCall, KeptEnd } from '../../../../stores/records/index.js';
import { attempt, prompt, reply, runnerOf, stage } from './runner-of.js';

const ended = {
  output: { text: 'Kept.' },
  endpoint: 'a',
  device: '',
  attempt: 2,
  cache: 'off',
  queueMs: 0,
  runMs: 1,
} as const;

describe('the record of a run', () => {
  const kept = (before?: KeptEnd) => {
    const ends: EndedCall['result'][] = [];
    const records = {
      keep: async ({ result }: EndedCall) => void ends.push(result),
      before: async () => before,
    };
    return { records, ends };
  };

  it('is told how a call has ended, and what everybody is told of a failure', async () => {
    const { records, ends } = kept();
    const fine = await runnerOf(reply, { records }).runner.run(prompt, stage, attempt());
    const failing = runnerOf(
      async () => {
        throw new MillraceError('BACKEND_REJECTED', 'no');
      },
      { records },
    );
    await expect(failing.runner.run(prompt, stage, attempt())).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    expect(ends).toEqual([{ outcome: fine }, { failure: { code: 'BACKEND_REJECTED', message: 'no' } }]);
  });

  it('of a run that this one resumes is how a call ends: nothing is called, and no attempt follows a failure', async () => {
    const outcome = { ...ended, resumed: true as const };
    const done = kept({ outcome });
    const { runner, calls } = runnerOf(reply, { records: done.records });
    expect(await runner.run(prompt, stage, attempt())).toMatchObject({ output: { text: 'Kept.' }, resumed: true });
    const failed = runnerOf(reply, {
      records: kept({ failure: { code: 'BACKEND_OVERLOADED', message: 'full' } }).records,
    });
    await expect(failed.runner.run(prompt, stage, attempt())).rejects.toMatchObject({
      code: 'BACKEND_OVERLOADED',
      details: { final: true },
    });
    expect([calls, failed.calls]).toEqual([[], []]);
    expect(done.ends, 'the next one finds it here').toMatchObject([{ outcome: { output: { text: 'Kept.' } } }]);
  });

  it('of a run that this one resumes is streamed to the steps that read it', async () => {
    const channels = new MemoryChannelLog();
    const streams: StageRunnerParts['streams'] = {
      channels,
      join: async (_, [first]) => first,
      convert: async (_, piece) => piece,
    };
    const text = 'It rains. Nobody came.';
    const said = kept({ outcome: { ...ended, output: { text }, resumed: true } });
    const { runner, calls } = runnerOf(reply, { records: said.records, streams });
    await runner.run(prompt, { ...stage, writes: ['sentences'] }, attempt());
    const listed = kept({ outcome: { ...ended, output: { items: [1, 2] }, resumed: true } });
    const code = runnerOf(reply, { records: listed.records, streams });
    await code.runner.run({}, { ...stage, stage: 'list', kind: 'code', writes: ['entries'] }, attempt());
    const streamed = async (path: string, of: string) => {
      const { entries = [], end } = (await channels.read({ run: 'run-1', path, of }, 0, 9)) ?? {};
      return { values: entries.map((entry) => JSON.parse(entry.text) as Json), ended: end !== undefined };
    };
    const pieces = ['a', 'b'].map((text, number) => ({ audio: { uri: text }, number, text, at: number }));
    const spoken = kept({ outcome: { ...ended, output: { audio: { uri: 'ab' }, chunks: pieces }, resumed: true } });
    const voice = runnerOf(reply, { records: spoken.records, streams });
    const speaks = { ...stage, stage: 'speak', kind: 'synthesize', writes: ['pieces'] };
    await voice.runner.run({ text: 'ab' }, speaks, attempt());
    expect(await streamed('speak', 'chunks')).toMatchObject({ values: pieces, ended: true });
    // Another attempt finds what this one has passed on, and nothing of it twice.
    await voice.runner.run({ text: 'ab' }, speaks, attempt({ attempt: 2 }));
    expect((await streamed('speak', 'chunks')).values).toHaveLength(2);
    expect(voice.calls).toEqual([]);
    expect(await streamed('answer', 'sentences')).toEqual({ values: ['It rains.', ' Nobody came.'], ended: true });
    expect(await streamed('list', 'entries')).toEqual({ values: [{ value: 1 }, { value: 2 }], ended: true });
    expect([calls, code.calls]).toEqual([[], []]);
  });

  it('gives a call the same idempotency key in the run that resumes it', async () => {
    const { runner, calls } = runnerOf(reply);
    for (const run of ['run-0b', 'run-0b-r1', 'run-0b-r2', 'run-0b-r1/items[1]/child']) {
      await runner.run(prompt, stage, attempt({ run }));
    }
    const keys = calls.map(({ context }) => context.idempotencyKey);
    expect(keys).toEqual(['run-0b/answer', 'run-0b/answer', 'run-0b/answer', 'run-0b/items[1]/child/answer']);
  });
});

describe('speech with an exact cache', () => {
  const exactRunner = () => {
    const audioOf = (text: Json | undefined) => {
      const sha256 = sha256Hex(String(text));
      const about = { mime: 'audio/wav', bytes: 44, durationMs: 1, sampleRate: 16_000, channels: 1 };
      return { uri: `artifact://acme/${sha256}`, sha256, ...about };
    };
    const kept = new Map<string, JsonObject>();
    const earlier = async ({ input }: ExactRequest) => {
      const output = kept.get(JSON.stringify(input));
      return output && { output, outcome: 'hit' };
    };
    const exact = {
      earlier,
      through: async (request: ExactRequest, produce: () => Promise<JsonObject>) => {
        const before = await earlier(request);
        const output = before?.output ?? (await produce());
        kept.set(JSON.stringify(request.input), output);
        return { output, outcome: before ? 'hit' : 'miss' };
      },
    } as unknown as ExactCache;
    const channels = new MemoryChannelLog();
    const { runner, calls } = runnerOf(async ({ input }) => ({ audio: audioOf(input.text) }), {
      exact,
      streams: { channels, join: async (_, [first]) => first, convert: async (_, piece) => piece },
    });
    const speak = (text: string, run: string, only?: true) =>
      runner.run(
        { text },
        {
          ...stage,
          stage: 'speak',
          kind: 'synthesize',
          writes: ['chunks'],
          cache: { kind: 'exact', ttlMs: 60_000, ...(only && { only }) },
        },
        attempt({ run }),
      );
    return { calls, channels, speak };
  };

  it('is kept by sentence: what has been said before is not made again', async () => {
    const { calls, speak } = exactRunner();
    expect(await speak('Good morning, dear guests. The shop is open.', 'r1')).toMatchObject({ cache: 'miss' });
    expect(await speak('Good morning, dear guests. The shop is closed.', 'r2')).toMatchObject({ cache: 'miss' });
    expect(await speak('The shop is closed. The shop is open.', 'r3')).toMatchObject({ cache: 'hit' });
    expect(calls.map(({ call }) => call.input.text)).toEqual([
      'Good morning, dear guests.',
      'The shop is open.',
      'The shop is closed.',
    ]);
  });

  it('is found by sentence where it must not be made, and is heard only if all of it is there', async () => {
    const { calls, channels, speak } = exactRunner();
    const open = vi.spyOn(channels, 'open');
    await speak('Good morning, dear guests. The shop is open.', 'r1');
    open.mockClear();
    await expect(speak('The shop is open. The shop is closed.', 'r2', true)).rejects.toMatchObject({
      code: 'NOT_CACHED',
    });
    expect(open).not.toHaveBeenCalled();
    expect(await speak('The shop is open. Good morning, dear guests.', 'r3', true)).toMatchObject({ cache: 'hit' });
    expect(calls).toHaveLength(2);
  });
});
