import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import type { Embedder } from '../../../activities/cache/index.js';
import { toolSearchKind } from '../../../activities/tool-search/index.js';
import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import { wordEmbedder } from '../../../testing/words.js';

const TOOLS = ['sing a song', 'print a letter', 'send a parcel', 'send a letter'].map((description, i) => ({
  name: `tool_${i}`,
  description,
}));
const noAudio = (): never => {
  throw new Error('there is no audio');
};
const search = (embedder: Embedder, query: string, shown: number, tools = TOOLS) =>
  toolSearchKindOf(embedder)(
    { model: 'tool-search', with: { embedder: 'minilm', shown }, input: { query, tools }, tenant: 'acme' },
    { signal: new AbortController().signal, audio: { read: noAudio, write: noAudio }, idempotencyKey: 'k' },
  );
const kinds = new Map<Embedder, ReturnType<typeof toolSearchKind>>();
function toolSearchKindOf(embedder: Embedder) {
  const known = kinds.get(embedder) ?? toolSearchKind(() => embedder);
  kinds.set(embedder, known);
  return known;
}

/** Counts its calls; fails as long as it is told to. */
function counting() {
  const state = { calls: 0, fails: false };
  const embedder: Embedder = {
    fingerprint: wordEmbedder.fingerprint,
    async embed(text, signal, caller) {
      state.calls += 1;
      if (state.fails) throw new Error('away');
      return wordEmbedder.embed(text, signal, caller);
    },
  };
  return { state, embedder };
}

it('finds the nearest tools, in the order in which the agent has them', async () => {
  expect(await search(wordEmbedder, 'send a parcel and a letter', 2)).toEqual({ names: ['tool_2', 'tool_3'] });
  expect(await search(wordEmbedder, 'please print this letter', 1)).toEqual({ names: ['tool_1'] });
});

it('finds a tool by its name', async () => {
  expect(await search(wordEmbedder, 'call tool_0', 1)).toEqual({ names: ['tool_0'] });
});

it('embeds each tool once, also when two searches come together', async () => {
  const { state, embedder } = counting();
  await Promise.all(['song', 'song'].map((query) => search(embedder, query, 1)));
  expect(state.calls).toBe(TOOLS.length + 1);
  await search(embedder, 'parcel', 1);
  expect(state.calls).toBe(TOOLS.length + 2);
});

it('keeps no long query in memory', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const LONG = 1_000_000;
  const { embedder } = counting();
  const short: Embedder = { ...embedder, embed: (text, ...rest) => embedder.embed(text.slice(0, 100), ...rest) };
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < 40; i++) await search(short, `${i} `.repeat(LONG / 3), 1);
  collect();
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(10 * LONG);
});

it('keeps no failure', async () => {
  const { state, embedder } = counting();
  state.fails = true;
  await expect(search(embedder, 'song', 1)).rejects.toThrow('away');
  state.fails = false;
  expect(await search(embedder, 'song', 1)).toEqual({ names: ['tool_0'] });
});

/** Rejects texts as a server does. */
const rejecting = (rejects: (text: string) => boolean, code: ErrorCode = 'CONTEXT_TOO_LONG'): Embedder => ({
  fingerprint: wordEmbedder.fingerprint,
  async embed(text, signal, caller) {
    if (rejects(text)) throw new MillraceError(code, 'too long for the model');
    return wordEmbedder.embed(text, signal, caller);
  },
});

/** An embedder with a context of so many characters, and what it was asked for. */
function withContext(characters: number, code?: ErrorCode) {
  const asked: string[] = [];
  const embedder = rejecting((text) => {
    asked.push(text);
    return text.length > characters;
  }, code);
  return { asked, embedder };
}
const LONG_PROMPT = `Here is what I wrote. ${'🎵'.repeat(5_000)} Now send a parcel.`;
const ENDS = /^Here is what I wrote\. .*\n…\n.* Now send a parcel\.$/s;

it('embeds a long text whole where the embedder takes it', async () => {
  const { asked, embedder } = withContext(100_000);
  const middle = `${'so '.repeat(1_000)} send a parcel ${'on '.repeat(1_000)}`;
  expect(await search(embedder, middle, 1)).toEqual({ names: ['tool_2'] });
  expect(asked[0]).toBe(middle);
});

it.each<[number, number, ErrorCode]>([
  [1_010, 2, 'CONTEXT_TOO_LONG'],
  [260, 3, 'CONTEXT_TOO_LONG'],
  [260, 3, 'BACKEND_REJECTED'],
])('embeds the ends of texts longer than %i characters, without half a character', async (context, tries, code) => {
  const { asked, embedder } = withContext(context, code);
  const tools = [...TOOLS, { name: 'tool_4', description: `wrap it ${'and more '.repeat(2_000)}` }];
  expect(await search(embedder, LONG_PROMPT, 1, tools)).toEqual({ names: ['tool_2'] });
  const ofQuery = asked.filter((text) => text.startsWith('Here'));
  expect(ofQuery).toHaveLength(tries);
  expect(ofQuery[0]).toBe(LONG_PROMPT);
  for (const each of ofQuery.slice(1)) {
    expect(each).toMatch(ENDS);
    expect(each).not.toMatch(/\p{Cs}/u);
  }
  asked.length = 0;
  expect(await search(embedder, LONG_PROMPT, 1, tools)).toEqual({ names: ['tool_2'] });
  expect(asked).toEqual([]);
});

it('asks once at each search for a text that is too long in any case', async () => {
  const { asked, embedder } = withContext(200);
  expect(await search(embedder, LONG_PROMPT, 2)).toEqual({ names: ['tool_0', 'tool_1'] });
  asked.length = 0;
  expect(await search(embedder, LONG_PROMPT, 2)).toEqual({ names: ['tool_0', 'tool_1'] });
  expect(asked).toEqual([expect.stringMatching(ENDS)]);
});

it('finds the first tools where the embedder rejects what is looked for, with one that it names', async () => {
  const embedder = rejecting((text) => text.includes('everything'));
  expect(await search(embedder, 'everything about a letter', 2)).toEqual({ names: ['tool_0', 'tool_1'] });
  expect(await search(embedder, 'everything about tool_3', 2)).toEqual({ names: ['tool_0', 'tool_3'] });
});

it('finds other tools where the embedder rejects the description of one', async () => {
  const embedder = rejecting((text) => text.includes('print'), 'BACKEND_REJECTED');
  expect(await search(embedder, 'letter', 1)).toEqual({ names: ['tool_3'] });
  expect(await search(embedder, 'call tool_1', 1)).toEqual({ names: ['tool_1'] });
});

it('fails where the embedder is away', async () => {
  const embedder = rejecting(() => true, 'BACKEND_UNAVAILABLE');
  await expect(search(embedder, 'letter', 1)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
});

it.each<ErrorCode>(['BACKEND_REJECTED', 'CONTEXT_TOO_LONG'])('fails where it rejects all texts', async (code) => {
  const embedder = rejecting(() => true, code);
  await expect(search(embedder, 'letter', 1)).rejects.toMatchObject({ code });
  await expect(search(embedder, 'call tool_1', 1)).rejects.toMatchObject({ code });
});
