import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { chat, code, codeStream, type Pipeline, pipeline, text as textOf } from '../../../pipelines/index.js';
import type { EachPlan } from '../../../pipelines/plan/index.js';
import type { RunResult, SegmentOutcome } from '../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../stores/channels/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import type { Ended, Journal } from '../../../workers/hosts/journal.js';
import { digestOf } from '../../../workflows/interpreter/digest.js';
import { endOf, noteEnds, placeOf } from '../../../workflows/interpreter/each.js';
import { interpret } from '../../../workflows/interpreter/index.js';
import { Memo } from '../../../workflows/interpreter/memo.js';
import type { At } from '../../../workflows/interpreter/state.js';
import { changed } from '../../support/changed-host.js';
import { contextOf } from '../../support/in-process.js';
import { referring } from '../../support/referring-host.js';
import { functionRunner } from '../../support/run-functions.js';

/* An `each` on queues whose stream is lost, where the collected list is cut in other places: time has cut the stream. */

const one = z.object({ text: z.string() });
const PIECES = ['One, two,', 'three.', 'Four.'];
const said = codeStream('pieces', { input: z.object({}), entry: z.string() }, async function* () {
  yield* PIECES;
});

/** The store has lost all entries. */
function lose(channels: MemoryChannelLog): void {
  const read = channels.read.bind(channels);
  channels.read = async (name, from, most) => {
    const held = await read(name, from, most);
    return held && { ...held, from: from + 1, entries: [] };
  };
}

/** Runs two functions for each piece until the second call of the first one has lost the stream; then for the list. */
async function runOver(list: readonly string[], stays = true) {
  const channels = new MemoryChannelLog();
  const paid: string[] = [];
  const pay = code('pay', { input: one, output: one }, ({ text }) => {
    paid.push(text);
    if (paid.length === 2) lose(channels);
    return { text };
  });
  const tell = code('tell', { input: one, output: one }, ({ text }) => ({ text }));
  const of = pipeline('paid', { input: z.object({}) }, ({ stage, each }) => {
    const all = each(
      'all',
      stage('said', said, {}).entries,
      (piece) => {
        const { text } = stage('pay', pay, { text: textOf`pay ${piece}` });
        return stage('tell', tell, { text: textOf`${text} ${piece}` }).text;
      },
      { concurrency: 1, onFailure: 'null' },
    );
    return { all };
  });
  const runner = functionRunner((of as unknown as Pipeline).code, channels);
  const host = changed(referring(new InProcessHost({ runner, run: 'r' }), { runner, run: 'r' }), (inner) => ({
    since: (change) => stays || change !== 'ended-items-stay',
    async runStage(stage, ...given) {
      const outcome = await inner.runStage(stage, ...given);
      return stage.id === 'said' ? { ...outcome, output: { items: list } } : outcome;
    },
  }));
  const ended = await interpret({}, contextOf(of as unknown as Pipeline), host).then(
    (result) => ({ all: (result as RunResult).output.all }),
    (error: { code: string; message: string }) => ({ code: error.code, message: error.message }),
  );
  return { paid, ended };
}

it('repeats no item that has had effects', async () => {
  const { paid, ended } = await runOver(['One, two, three.', 'Four.']);
  expect(ended).toMatchObject({ code: 'RESUME_DIVERGED', message: expect.stringContaining('item 0 of "all"') });
  expect(paid).toEqual(['pay One, two,', 'pay three.']);
});

it('repeats none that has had effects and had not ended', async () => {
  const { paid, ended } = await runOver(['One, two,', 'three. Four.']);
  expect(ended).toMatchObject({ code: 'RESUME_DIVERGED', message: expect.stringContaining('item 1 of "all"') });
  expect(paid).toEqual(['pay One, two,', 'pay three.']);
});

/** Runs two functions beside each other for each piece: the second one finds its entry lost while the first one is under way. */
async function runBeside(list: readonly string[]) {
  const channels = new MemoryChannelLog();
  const paid: string[] = [];
  let isLost = false;
  const pay = code('pay', { input: one, output: one }, async ({ text }) => {
    paid.push(text);
    if (paid.length === 1) {
      await expect.poll(() => isLost).toBe(true);
      await sleep(50);
    }
    return { text };
  });
  const tell = code('tell', { input: one, output: one }, ({ text }) => ({ text }));
  const of = pipeline('paid', { input: z.object({}) }, ({ stage, each }) => {
    const all = each(
      'all',
      stage('said', said, {}).entries,
      (piece) => ({
        paid: stage('pay', pay, { text: textOf`pay ${piece}` }).text,
        told: stage('tell', tell, { text: textOf`tell ${piece}` }).text,
      }),
      { concurrency: 1 },
    );
    return { all };
  });
  const runner = functionRunner((of as unknown as Pipeline).code, channels);
  const host = changed(referring(new InProcessHost({ runner, run: 'r' }), { runner, run: 'r' }), (inner) => ({
    async runStage(stage, ...given) {
      if (stage.id === 'tell' && !isLost) {
        await expect.poll(() => paid).toHaveLength(1);
        lose(channels);
        isLost = true;
      }
      const outcome = await inner.runStage(stage, ...given);
      return stage.id === 'said' ? { ...outcome, output: { items: list } } : outcome;
    },
  }));
  const ended = await interpret({}, contextOf(of as unknown as Pipeline), host).then(
    (result) => ({ all: (result as RunResult).output.all }),
    (error: { code: string; message: string }) => ({ code: error.code, message: error.message }),
  );
  return { paid, ended };
}

it('makes no call again that was under way when another step of the item found its entry lost', async () => {
  const { paid, ended } = await runBeside(PIECES);
  expect(paid).toEqual(['pay One, two,', 'pay three.', 'pay Four.']);
  expect(ended).toMatchObject({ all: [{ told: 'tell One, two,' }, { told: 'tell three.' }, { told: 'tell Four.' }] });
});

it('repeats none whose effect was under way then, where the list is cut elsewhere', async () => {
  const { paid, ended } = await runBeside(['One, two, three.', 'Four.']);
  expect(ended).toMatchObject({ code: 'RESUME_DIVERGED', message: expect.stringContaining('item 0 of "all"') });
  expect(paid).toEqual(['pay One, two,']);
});

/** Runs a segment and a queued stage for each piece; the first segment has lost its entry when it begins again. @param ended what its journal has */
async function runAgain(list: readonly string[], ended: readonly string[]) {
  const channels = new MemoryChannelLog();
  const paid: string[] = [];
  const pay = code('pay', { input: one, output: one }, ({ text }) => {
    paid.push(text);
    return { text };
  });
  const tell = code('tell', { input: one, output: one }, ({ text }) => ({ text }));
  const of = pipeline('paid', { input: z.object({}) }, ({ stage, each }) => ({
    all: each(
      'all',
      stage('said', said, {}).entries,
      (piece) => {
        const note = stage('note', chat({ model: 'm' }), { prompt: piece }, { execution: 'inline' });
        const { text } = stage('pay', pay, { text: note.text }, { execution: 'inline' });
        return stage('tell', tell, { text }, { execution: 'queued' }).text;
      },
      { concurrency: 1 },
    ),
  })) as unknown as Pipeline;
  const runner = functionRunner(of.code, channels);
  const functions = runner.run.bind(runner);
  runner.run = async (input, call, attempt) => {
    if (call.kind !== 'chat') return await functions(input, call, attempt);
    const output = { text: input.prompt as string };
    return { output, endpoint: '', device: '', cache: 'off', attempt: 1, queueMs: 0, runMs: 0 };
  };
  let segments = 0;
  const own = referring(new InProcessHost({ runner, run: 'r' }), { runner, run: 'r', segments: true });
  const host = changed(own, (inner) => ({
    async runSegment(segment) {
      segments += 1;
      if (segments > 1) return (await inner.runSegment?.(segment)) as SegmentOutcome;
      const failure = { code: 'STREAM_LOST', message: 'gone', details: {} };
      return { done: {}, rows: [], failure, ...(ended.length > 0 && { ended }) };
    },
    async runStage(stage, ...given) {
      const outcome = await inner.runStage(stage, ...given);
      return stage.id === 'said' ? { ...outcome, output: { items: list } } : outcome;
    },
  }));
  return await interpret({}, contextOf(of), host).then(
    () => ({ paid, segments, code: undefined }),
    (error: { code: string }) => ({ paid, segments, code: error.code }),
  );
}

it('repeats no effect that only the journal of a segment has, which has lost its entry', async () => {
  const elsewhere = ['One, two, three.', 'Four.'];
  expect(await runAgain(elsewhere, ['note', 'pay'])).toEqual({ paid: [], segments: 1, code: 'RESUME_DIVERGED' });
  expect(await runAgain(elsewhere, ['note'])).toEqual({ paid: elsewhere, segments: 3, code: undefined });
  expect(await runAgain(elsewhere, [])).toEqual({ paid: elsewhere, segments: 3, code: undefined });
  // Of the same piece it begins again by its journal.
  expect(await runAgain(PIECES, ['note', 'pay'])).toEqual({ paid: PIECES, segments: 4, code: undefined });
});

it('repeats none that one of two segments has had, whichever of them tells last', () => {
  const pay = code('pay', { input: one, output: one }, (given) => given);
  const { plan } = pipeline('paid', { input: z.object({ texts: z.array(z.string()) }) }, ({ input, stage, each }) => ({
    all: each('all', input.texts, (text) => {
      stage('note', chat({ model: 'm' }), { prompt: text });
      return stage('pay', pay, { text }).text;
    }),
  }));
  const at = { memo: new Memo(), host: { since: () => true } } as unknown as At;
  const item = { memo: at.memo.below('all[0]') };
  item.memo.below('~item').end(digestOf('One,'));
  noteEnds(item, ['pay']);
  noteEnds(item, ['note']);
  const again = () => endOf(plan.stages[0] as EachPlan, at, 0, { digest: digestOf('One, two.') }, true);
  expect(again).toThrow('item 0 of "all" may have had effects');
});

it('asks anew for a piece that is cut elsewhere, whatever a journal has of the first one', async () => {
  const channels = new MemoryChannelLog();
  const of = pipeline('told', { input: z.object({}) }, ({ stage, each }) => ({
    all: each(
      'all',
      stage('said', said, {}).entries,
      (piece) => stage('told', chat({ model: 'm' }), { prompt: piece }).text,
      { concurrency: 1 },
    ),
  })) as unknown as Pipeline;
  const runner = functionRunner(of.code, channels);
  const functions = runner.run.bind(runner);
  const asked: string[] = [];
  runner.run = async (input, call, attempt) => {
    if (call.kind !== 'chat') return await functions(input, call, attempt);
    asked.push(input.prompt as string);
    if (asked.length === 2) lose(channels);
    const text = `told ${input.prompt}`;
    return { output: { text }, endpoint: '', device: '', cache: 'off', attempt: 1, queueMs: 0, runMs: 0 };
  };
  const ends = new Map<string | undefined, Ended>();
  const journal: Journal = {
    ended: ({ path }) => ends.get(path),
    begin: async () => 1,
    end: ({ path }, ended) => void ends.set(path, ended),
    left: () => undefined,
    losses: () => 0,
    leftMs: () => undefined,
  };
  const host = changed(referring(new InProcessHost({ runner, run: 'r', journal }), { runner, run: 'r' }), (inner) => ({
    async runStage(stage, ...given) {
      const outcome = await inner.runStage(stage, ...given);
      return stage.id === 'said' ? { ...outcome, output: { items: ['One, two, three.', 'Four.'] } } : outcome;
    },
  }));
  const { output } = (await interpret({}, contextOf(of), host)) as RunResult;
  expect(output.all).toEqual(['told One, two, three.', 'told Four.']);
  expect(asked).toEqual(['One, two,', 'three.', 'One, two, three.', 'Four.']);
});

it('begins those that have not begun, whatever their pieces are', async () => {
  const { paid, ended } = await runOver(['One, two,', 'three.', 'Four, five.']);
  expect(paid).toEqual(['pay One, two,', 'pay three.', 'pay Four, five.']);
  expect(ended).toMatchObject({ all: [expect.any(String), expect.any(String), 'pay Four, five. Four, five.'] });
});

it('began all again in a history from before', async () => {
  const { paid } = await runOver(['One, two, three.', 'Four.'], false);
  expect(paid).toEqual(['pay One, two,', 'pay three.', 'pay One, two, three.', 'pay Four.']);
});

it('goes on with one that a worker of an earlier release has begun with the list', () => {
  const pay = code('pay', { input: one, output: one }, (given) => given);
  const { plan } = pipeline('paid', { input: z.object({ texts: z.array(z.string()) }) }, ({ input, stage, each }) => ({
    all: each('all', input.texts, (text) => stage('pay', pay, { text }).text),
  }));
  const memo = new Memo();
  memo.below('all[0]').below('pay').end({ text: 'One' });
  const at = { memo, host: { since: () => true } } as unknown as At;
  const piece = { value: 'One', digest: digestOf('One') };
  expect(endOf(plan.stages[0] as EachPlan, at, 0, piece, true)).toBeUndefined();
  expect(memo.below('all[0]').below('pay').value).toEqual({ text: 'One' });
});

it('begins one with another piece at a place of its own, also in a later history where it has not begun yet', () => {
  const { plan } = pipeline('told', { input: z.object({ texts: z.array(z.string()) }) }, ({ input, stage, each }) => ({
    all: each('all', input.texts, (prompt) => stage('told', chat({ model: 'm' }), { prompt }).text),
  }));
  const step = plan.stages[0] as EachPlan;
  const piece = { value: 'One, two.', digest: digestOf('One, two.') };
  const host = { since: () => true };
  const memo = new Memo();
  memo.below('all[0]').below('~item').end(digestOf('One,'));
  expect(endOf(step, { memo, host } as unknown as At, 0, piece, true)).toBeUndefined();
  const later = Memo.from(memo.toJson());
  expect(endOf(step, { memo: later, host } as unknown as At, 0, piece, true)).toBeUndefined();
  expect(placeOf('all[0]', later.below('all[0]'))).toBe('all[0~2]');
});
