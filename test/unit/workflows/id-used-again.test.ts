import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { code, codeStream, type Pipeline, pipeline, streamOf, text as textOf } from '../../../pipelines/index.js';
import { wholeRun } from '../../../pipelines/run/build-segment.js';
import type { RunContext, RunResult } from '../../../pipelines/run/index.js';
import { prepareForeign } from '../../../runs/foreign-start.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { contextOf } from '../../support/in-process.js';
import { referring } from '../../support/referring-host.js';
import { functionRunner } from '../../support/run-functions.js';

/* A second run under an id that has been used, while the streams of the first one are still there. */

const ID = 'application-1';
const one = z.object({ text: z.string() });
const words = codeStream('words', { input: one, entry: z.string() }, async function* ({ text }) {
  yield* text.split(' ');
});
const loud = code('loud', { input: one, output: one }, ({ text }) => ({ text: text.toUpperCase() }));
const parts = z.object({ parts: streamOf(z.string()) });
const join = code('join', { input: parts, output: one }, async ({ parts }) => {
  const all: string[] = [];
  for await (const part of parts) all.push(part);
  return { text: all.join(' ') };
});
const spoken = pipeline('spoken', { input: one }, ({ input, stage, each }) => {
  const said = stage('said', words, { text: input.text });
  const made = each('made', said.entries, (word) => stage('loud', loud, { text: textOf`so ${word}` }).text);
  return { text: stage('joined', join, { parts: made.entries }).text };
});
const outer = pipeline('outer', { input: one }, ({ input, run }) => ({
  text: run('child', spoken, { text: input.text }, { as: 'child' }).text,
}));

const given = (of: unknown): RunContext => contextOf(of as Pipeline);
const prepared = (text: string, chain = 'execution-1', of: unknown = spoken): RunContext => {
  const { name } = of as Pipeline;
  const deps = { pipelines: [of as Pipeline], placementOf: () => given(of).placement };
  return prepareForeign(deps, { pipeline: name, input: { text }, options: null, chain }, ID).context;
};

/** A log, and the paths of the channels that were opened in it. */
function recording() {
  const channels = new MemoryChannelLog();
  const paths = new Set<string>();
  const open = channels.open.bind(channels);
  channels.open = async (name, ...more) => {
    paths.add(name.path);
    return await open(name, ...more);
  };
  return { channels, paths };
}

async function answerOf(text: string, context: RunContext, channels: MemoryChannelLog, queued: boolean) {
  const runner = functionRunner((spoken as unknown as Pipeline).code, channels);
  const host = new InProcessHost({ runner, run: ID });
  const result = await interpret({ text }, context, queued ? referring(host, { runner, run: ID }) : host);
  return (result as RunResult).output.text;
}

describe('a run under an id that has been used', () => {
  it.each([
    ['in a worker', false],
    ['on queues', true],
  ] as const)('makes streams of its own %s', async (_, queued) => {
    const channels = new MemoryChannelLog();
    expect(await answerOf('one two', prepared('one two'), channels, queued)).toBe('SO ONE SO TWO');
    expect(await answerOf('three', prepared('three'), channels, queued)).toBe('SO THREE');
  });

  it.each([false, true])('names them in all its calls by its tag: on queues %s', async (queued) => {
    const { channels, paths } = recording();
    const context = prepared('one');
    expect(await answerOf('one', context, channels, queued)).toBe('SO ONE');
    expect(context.streamTag).toMatch(/^[0-9a-f]{8}$/);
    expect(paths).toEqual(new Set([`said@${context.streamTag}`, `made@${context.streamTag}`]));
  });

  it('has them by their old names if an earlier release has started it', async () => {
    const { channels, paths } = recording();
    expect(await answerOf('one', given(spoken), channels, true)).toBe('SO ONE');
    expect(paths).toEqual(new Set(['said', 'made']));
  });

  it('gives its tag to child runs and segments', async () => {
    const { channels, paths } = recording();
    const context = { ...given(outer), streamTag: 't' };
    expect(await answerOf('one', context, channels, false)).toBe('SO ONE');
    expect(paths).toEqual(new Set(['said@t', 'made@t']));
    const near = pipeline('near', { input: one }, ({ input, stage }) => ({
      text: stage('loud', loud, { text: input.text }, { execution: 'inline' }).text,
    }));
    expect(wholeRun({ text: 'a' }, { ...given(near), streamTag: 't' })?.context.streamTag).toBe('t');
  });
});

describe('idempotency keys of runs under one id', () => {
  const keyed = code('keyed', { input: one, output: one }, (_, { idempotencyKey }) => ({ text: idempotencyKey }));
  const inner = pipeline('inner', { input: one }, ({ input, stage }) => ({
    text: stage('deep', keyed, { text: input.text }).text,
  }));
  const paying = pipeline('paying', { input: one }, ({ input, stage, run }) => ({
    inline: stage('near', keyed, { text: input.text }, { execution: 'inline' }).text,
    queued: stage('far', keyed, { text: input.text }, { execution: 'queued' }).text,
    child: run('child', inner, { text: input.text }, { as: 'child' }).text,
  })) as unknown as Pipeline;
  async function keysOf(context: RunContext, run = ID) {
    const runner = functionRunner(paying.code, new MemoryChannelLog());
    const host = referring(new InProcessHost({ runner, run }), { runner, run, segments: true });
    return ((await interpret({ text: 'a' }, context, host)) as RunResult).output;
  }
  const started = (chain: string) => prepared('a', chain, paying);
  const keysWith = (id: string) => ({ inline: `${id}/near`, queued: `${id}/far`, child: `${id}/child/deep` });

  it('differ in each run that Temporal has started, its child runs included', async () => {
    const [first, second] = [started('execution-1'), started('execution-2')];
    expect(first.keyTag).toMatch(/^[0-9a-f]{16}$/);
    expect(second.keyTag).not.toBe(first.keyTag);
    expect(await keysOf(first)).toEqual(keysWith(`${ID}~${first.keyTag}`));
    expect(await keysOf(second)).toEqual(keysWith(`${ID}~${second.keyTag}`));
  });

  it('are the same in its other attempts, after a reset, and in a run that resumes it', async () => {
    const { keyTag } = started('execution-1');
    expect(started('execution-1').keyTag).toBe(keyTag);
    expect(await keysOf(started('execution-1'), `${ID}-r2`)).toEqual(keysWith(`${ID}~${keyTag}`));
  });

  it('are those of the id in runs of a gateway, or that an earlier release has started', async () => {
    expect(await keysOf(given(paying))).toEqual(keysWith(ID));
  });
});
