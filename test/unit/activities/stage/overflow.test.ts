import { expect, it } from 'vitest';
import { type Conversation, withinContext } from '../../../../activities/stage/overflow.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { AgentMessage } from '../../../../pipelines/plan/index.js';

/** Twenty turns of a hundred characters, the second with a tool's call and result, behind a system message. */
const HISTORY: AgentMessage[] = [
  { role: 'system', content: 'Be brief.' },
  ...Array.from({ length: 20 }, (_, i): AgentMessage[] => [
    { role: 'user', content: `${i} ${'q'.repeat(50)}` },
    ...(i === 1
      ? ([
          { role: 'assistant', content: '', toolCalls: [{ id: 'c', name: 't', arguments: {} }] },
          { role: 'tool', content: 'result', toolCallId: 'c' },
        ] as const)
      : []),
    { role: 'assistant', content: `${i} ${'a'.repeat(50)}` },
  ]).flat(),
];

const historyOf = ({ input }: Conversation) => input.history as unknown as AgentMessage[];
const size = (conversation: Conversation) => JSON.stringify([conversation.input, conversation.with.system]).length;

/** A model whose context holds this many characters, each a token. */
function model(limit: number, numbers = true) {
  const seen: Conversation[] = [];
  const transcripts: string[] = [];
  const shortened: string[] = [];
  return {
    seen,
    transcripts,
    shortened,
    parts: {
      async send(conversation: Conversation) {
        seen.push(conversation);
        const needed = size(conversation);
        if (needed <= limit) return 'answer';
        throw new MillraceError(
          'CONTEXT_TOO_LONG',
          'too long',
          numbers ? { neededTokens: needed, contextTokens: limit } : {},
        );
      },
      async summarize(transcript: string) {
        transcripts.push(transcript);
        return 'They talked.';
      },
      onShortened: (what: string) => void shortened.push(what),
    },
  };
}

const ask = (onOverflow: string, history: AgentMessage[] = HISTORY): Conversation => ({
  with: { onOverflow, maxTokens: 10, system: 'You are kind.' },
  input: { prompt: 'And now?', history: history as never },
});

it('fails, by default, after one call', async () => {
  const { seen, parts } = model(1_000);
  await expect(withinContext(ask('fail'), parts)).rejects.toMatchObject({ code: 'CONTEXT_TOO_LONG' });
  expect(seen).toHaveLength(1);
});

it.each([true, false])('leaves out the oldest turns, whole; the server says how long it is: %s', async (numbers) => {
  const { seen, shortened, parts } = model(1_500, numbers);
  expect(await withinContext(ask('drop-oldest'), parts)).toBe('answer');
  const last = historyOf(seen.at(-1) as Conversation);
  expect(last[0]).toEqual(HISTORY[0]);
  expect(last[1]?.role).toBe('user');
  expect(last.slice(1)).toEqual(HISTORY.slice(HISTORY.length - last.length + 1));
  expect(last.length).toBeGreaterThan(4);
  expect(last.some(({ role }) => role === 'tool')).toBe(false);
  if (numbers) expect(seen).toHaveLength(2);
  expect(shortened).toEqual([expect.stringContaining('left out')]);
});

it('keeps the last turn where no prompt follows it, and fails if that alone does not fit', async () => {
  const { seen, parts } = model(300);
  const { with: options } = ask('drop-oldest');
  const history = [...HISTORY, { role: 'user' as const, content: 'And now?' }];
  await withinContext({ with: options, input: { history: history as never } }, parts);
  expect(historyOf(seen.at(-1) as Conversation).at(-1)).toEqual(history.at(-1));
  const long = { with: options, input: { history: [{ role: 'user', content: 'x'.repeat(400) }] as never } };
  await expect(withinContext(long, parts)).rejects.toMatchObject({ code: 'CONTEXT_TOO_LONG' });
});

it('replaces the oldest turns by a summary, which joins the system message', async () => {
  const { seen, transcripts, shortened, parts } = model(1_500);
  expect(await withinContext(ask('summarize'), parts)).toBe('answer');
  expect(transcripts[0]).toContain('assistant: ');
  expect(transcripts[0]?.length).toBeLessThan(1_500);
  expect(seen.at(-1)?.with.system).toBe('You are kind.\n\nThe conversation so far, in short: They talked.');
  expect(shortened).toEqual([expect.stringContaining('summarized')]);
});

it('goes on without a summary if the model cannot hold what is to be summarized', async () => {
  const { parts } = model(1_500);
  const summarize = async () => {
    throw new MillraceError('CONTEXT_TOO_LONG', 'too long');
  };
  expect(await withinContext(ask('summarize'), { ...parts, summarize })).toBe('answer');
});

it('gives up after six calls: a server that refuses everything is not asked for ever', async () => {
  const { seen, parts } = model(0, false);
  await expect(withinContext(ask('drop-oldest'), parts)).rejects.toMatchObject({ code: 'CONTEXT_TOO_LONG' });
  expect(seen.length).toBeLessThanOrEqual(6);
});
