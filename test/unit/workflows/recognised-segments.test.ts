import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Backend, CallContext } from '../../../activities/connectors/connector.js';
import type { ModelPools } from '../../../activities/stage/serving.js';
import type { StageRunnerParts } from '../../../activities/stage/stage-runner.js';
import { artifactJson } from '../../../pipelines/artifact.js';
import { MillraceError } from '../../../pipelines/errors.js';
import { audio, code, type Pipeline, pipeline, streamOf, transcribe } from '../../../pipelines/index.js';
import { explain, explanationText } from '../../../pipelines/inspect/index.js';
import { planSchema } from '../../../pipelines/plan/plan-schema.js';
import { groupsOf, isInline } from '../../../pipelines/plan/segments.js';
import type { RunResult } from '../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { contextOf } from '../../support/in-process.js';
import { functionRunner } from '../../support/run-functions.js';
import { audioOf } from '../../support/voice-runner.js';

/* The segments of a transcript as a stream: other stages read each while the recogniser goes on. */

const SEGMENTS = [
  { start: 0, end: 1.5, text: 'How much is left?', speaker: 'A' },
  { start: 1.75, end: 2, text: 'Half.', speaker: 'B' },
  { start: 2, end: 3, text: 'Good.', speaker: 'A' },
];
const TEXT = SEGMENTS.map(({ text }) => text).join(' ');
const OUTPUT = { text: TEXT, segments: SEGMENTS };
const segment = z.object({ start: z.number(), end: z.number(), text: z.string(), speaker: z.string().optional() });

const listened = (execution: 'queued' | 'inline', reads: (text: string) => void = () => undefined) => {
  const gather = code(
    'gather',
    { input: z.object({ segments: streamOf(segment) }), output: z.object({ segments: z.array(segment) }) },
    async ({ segments }) => {
      const all: z.output<typeof segment>[] = [];
      for await (const each of segments) {
        reads(each.text);
        all.push(each);
      }
      return { segments: all };
    },
  );
  return pipeline('listened', { input: z.object({ speech: audio() }), deadline: '1m' }, ({ input, stage }) => {
    const options = { execution, retry: { backoff: { initial: '1ms' } } } as const;
    const heard = stage('hear', transcribe({ model: 'ears', segments: 'segments' }), { audio: input.speech }, options);
    return { text: heard.text, segments: stage('gather', gather, { segments: heard.entries }, options).segments };
  });
};

type Listens = (context: CallContext) => Promise<typeof OUTPUT>;

async function run(of: unknown, listens: Listens, channels: MemoryChannelLog | null = new MemoryChannelLog()) {
  const invoke: Backend['invoke'] = async (_, context) => ({ output: await listens(context) });
  const pools: ModelPools = {
    get: (model) => ({
      use: (work, { signal }) =>
        work({ invoke } as Backend, { model, kind: 'transcribe', url: 'scripted', device: 'scripted' }, signal),
    }),
  };
  const runner = functionRunner((of as Pipeline).code, channels, { pools: pools as StageRunnerParts['pools'] });
  const input = { speech: artifactJson(audioOf('speech')) };
  const host = new InProcessHost({ runner, run: 'r' });
  return ((await interpret(input, contextOf(of as Pipeline), host)) as RunResult).output;
}

describe('the segments of a transcript', () => {
  it.each(['queued', 'inline'] as const)('are read while the recogniser listens: %s', async (execution) => {
    const seen: string[] = [];
    let read: (text: string) => void = () => undefined;
    const output = await run(
      listened(execution, (text) => {
        seen.push(`reads ${text}`);
        read(text);
      }),
      async ({ segments }) => {
        for (const [i, each] of SEGMENTS.entries()) {
          seen.push(`hears ${each.text}`);
          const reading = new Promise<void>((resolve) => {
            read = () => resolve();
          });
          segments?.(i, [each]);
          await reading;
        }
        return OUTPUT;
      },
    );
    expect(output).toEqual(OUTPUT);
    expect(seen).toEqual(SEGMENTS.flatMap(({ text }) => [`hears ${text}`, `reads ${text}`]));
  });

  it('are all there at the end of a recogniser that answers at once, and where nothing streams', async () => {
    expect(await run(listened('queued'), async () => OUTPUT)).toEqual(OUTPUT);
    expect(await run(listened('queued'), async () => OUTPUT, null)).toEqual(OUTPUT);
  });

  it('are read once when the recogniser breaks off and begins anew', async () => {
    const read: string[] = [];
    let calls = 0;
    const output = await run(
      listened('queued', (text) => void read.push(text)),
      async ({ segments }) => {
        calls += 1;
        segments?.(0, SEGMENTS.slice(0, calls + 1));
        // What is given twice, as behind a checkpoint, is passed on once.
        segments?.(0, SEGMENTS.slice(0, calls + 1));
        await expect.poll(() => read.length).toBe(calls + 1);
        if (calls === 1) throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
        return OUTPUT;
      },
    );
    expect(output).toEqual(OUTPUT);
    expect(read).toEqual(SEGMENTS.map(({ text }) => text));
    expect(calls).toBe(2);
  });

  it('cannot be others in another attempt', async () => {
    const read: string[] = [];
    const running = run(
      listened('queued', (text) => void read.push(text)),
      async ({ segments, signal }) => {
        if (read.length === 0) {
          segments?.(0, SEGMENTS.slice(0, 1));
          await expect.poll(() => read.length).toBe(1);
          throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
        }
        segments?.(0, [{ start: 0, end: 1, text: 'How many are left?' }]);
        return await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    );
    await expect(running).rejects.toMatchObject({ code: 'STREAM_CUT' });
  });
});

describe('the stream of segments', () => {
  it('is of a recogniser that is asked for times, and explained', () => {
    const of = listened('queued');
    expect(of.plan.stages).toMatchObject([
      { id: 'hear', streamed: ['entries'] },
      {
        id: 'gather',
        streams: { segments: { from: 'hear', of: 'entries' } },
        input: { segments: { $op: 'entries', of: [{ $ref: 'hear.segments' }] } },
      },
    ]);
    const text = explanationText(explain(of as unknown as Pipeline, { groupsOf, isInline }, () => undefined));
    expect(text).toContain('stream       segments from hear.entries, while it is made');
    expect(planSchema.safeParse(of.plan).error).toBeUndefined();
  });

  it('is no field without times, and cannot end early', () => {
    const speech = z.object({ speech: audio() });
    expect(() =>
      pipeline('untimed', { input: speech }, ({ input, stage }) => {
        const heard = stage('hear', transcribe({ model: 'ears' }), { audio: input.speech });
        return { entries: (heard as unknown as { entries: typeof heard.text }).entries };
      }),
    ).toThrow('unknown field');
    expect(() =>
      pipeline('cut', { input: speech }, ({ input, stage }) => ({
        text: stage(
          'hear',
          transcribe({ model: 'ears', segments: 'segments' }),
          { audio: input.speech },
          {
            onCut: 'end',
          },
        ).text,
      })),
    ).toThrow('hear.onCut');
    expect(() =>
      pipeline('hedged', { input: speech }, ({ input, stage, each }) => {
        const hears = transcribe({ model: 'ears', segments: 'segments' });
        const heard = stage('hear', hears, { audio: input.speech }, { hedge: { after: '1s' } });
        return { texts: each('texts', heard.entries, ({ text }) => text) };
      }),
    ).not.toThrow();
  });
});
