import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { MillraceError, pipeline, pipelineTool, tool } from '../../pipelines/index.js';
import type { ModelRequest, Said } from '../support/scripted-model.js';
import { agentOf, sum } from './agents.js';
import type { SuiteHost } from './host-suite.js';

/** Tokens of a request as the model of these tests counts them: four characters each. */
const tokensOf = ({ messages, with: options }: ModelRequest): number =>
  Math.ceil(JSON.stringify([messages, options]).length / 4);

/** A model with a context of so many tokens, which rejects what is longer, as servers do. */
function small(
  tokens: number,
  script: (request: ModelRequest) => Said,
  { states = true }: { readonly states?: boolean } = {},
) {
  const requests: ModelRequest[] = [];
  let rejected = 0;
  const answer = (request: ModelRequest): Said => {
    const inputTokens = tokensOf(request);
    if (inputTokens + Number(request.with.maxTokens) > tokens) {
      rejected += 1;
      const message = `${inputTokens} tokens do not fit`;
      throw new MillraceError('CONTEXT_TOO_LONG', message, states ? { contextTokens: tokens } : {});
    }
    requests.push(request);
    return { usage: { inputTokens, outputTokens: 10 }, ...script(request) };
  };
  return { answer, requests, rejected: () => rejected };
}

const isSummary = ({ messages }: ModelRequest): boolean => messages.at(-1)?.content.includes('Sum up this') === true;
const turnsIn = ({ messages }: ModelRequest): number => messages.filter(({ role }) => role === 'assistant').length;

/** Text of a ledger with one line that matters. */
const LEDGER = Array.from(
  { length: 900 },
  (_, i) => `entry ${i}: ${i === 731 ? 'the code is MAGPIE' : 'nothing here'}`,
).join('\n');
const ledger = tool({ name: 'get_ledger', description: 'The ledger', input: z.object({}), run: () => LEDGER });
const entry = tool({
  name: 'get_entry',
  description: 'An entry of the ledger',
  input: z.object({ n: z.number() }),
  run: ({ n }) => `entry ${n}: ${'x'.repeat(900)}`,
});

/** Agents whose conversations do not fit into the model's context; part of `agentSuite`. */
export function agentsInContext(name: string, host: () => SuiteHost): void {
  describe(`${name}: an agent in a short context`, () => {
    it('reads a long result in parts, and finds a text in it', async () => {
      const read: string[] = [];
      const model = small(3_000, (request) => {
        const { messages, tools } = request;
        const last = messages.at(-1)?.content ?? '';
        const [, whole] = /"result": "(r\d+)"/.exec(messages[2]?.content ?? '') ?? [];
        if (turnsIn(request) === 0) return { calls: [['get_ledger', {}]] };
        expect(tools).toEqual(['get_ledger', 'read_result']);
        if (turnsIn(request) === 1) return { calls: [['read_result', { result: whole as string, from: 2_000 }]] };
        read.push(last);
        if (turnsIn(request) === 2) return { calls: [['read_result', { result: whole as string, find: 'magpie' }]] };
        if (turnsIn(request) === 3) return { calls: [['read_result', { result: 'r9' }]] };
        return { text: /the code is \w+/.exec(read[1] ?? '')?.[0] ?? 'unknown' };
      });
      const made = agentOf('long-result', model.answer, { tools: [ledger], context: { tokens: 3_000 } });
      const end = await host().run(made, { q: 'What is the code?' });
      expect(end.output).toMatchObject({ text: 'the code is MAGPIE', turns: 5 });
      expect(model.rejected()).toBe(0);
      type Call = { readonly result: string; readonly whole: object; readonly message: string };
      const [first, , , unknown] = (end.output as { toolCalls: Call[] }).toolCalls;
      expect(first?.result).toMatch(/^entry 0: nothing here\n[\s\S]*\[The first \d+ of \d+ characters\.\]$/);
      expect(first?.whole).toMatchObject({ mime: 'text/plain', bytes: LEDGER.length });
      expect(LEDGER.slice(2_000)).toContain((read[0] as string).split('\n[Characters 2000 to')[0]);
      expect(unknown).toMatchObject({ end: 'wrong', message: 'there is no result "r9"; there are: r1' });
    });

    it('keeps the long result of a pipeline apart too', async () => {
      const inner = pipeline(
        'inner-ledger',
        { description: 'Counts', input: z.object({ n: z.number() }), deadline: '1m' },
        ({ input, stage }) => ({ n: stage('sum', sum, { n: input.n, by: 1 }).n, ledger: LEDGER }),
      );
      const model = small(3_000, (request) =>
        turnsIn(request) === 0
          ? { calls: [['inner-ledger', { n: 1 }]] }
          : { text: request.messages.at(-1)?.content ?? '' },
      );
      const made = agentOf('long-child', model.answer, { tools: [pipelineTool(inner)], context: { tokens: 3_000 } });
      const end = await host().run(made, { q: '?' });
      expect(end.output?.text).toMatch(/^\{"n":2,"ledger":"entry 0[\s\S]*read_result: \{"result": "r1"/);
    });

    it('shortens its conversation before it is too long, and loses neither what was said nor what was done', async () => {
      const model = small(3_000, (request) => {
        if (isSummary(request)) return { text: 'Entries were looked up.' };
        const n = Number(/"n":(\d+)/.exec(JSON.stringify(request.messages.at(-2)?.toolCalls ?? ''))?.[1] ?? 0);
        return n >= 25 ? { text: 'Done.' } : { calls: [['get_entry', { n: n + 1 }]] };
      });
      const made = agentOf('many-turns', model.answer, { tools: [entry], maxTurns: 40, context: { tokens: 3_000 } });
      const end = await host().run(made, { q: 'My number is 4711. Look up all entries.' });
      expect(end.output).toMatchObject({ text: 'Done.', turns: 26, stoppedBy: 'answer' });
      expect(end.output?.toolCalls).toHaveLength(25);
      expect(model.rejected()).toBe(0);
      const last = model.requests.at(-1);
      expect(model.requests.some(isSummary)).toBe(true);
      expect(last?.messages[0]).toEqual({ role: 'user', content: 'My number is 4711. Look up all entries.' });
      expect(last?.with.system).toContain('Entries were looked up.');
      // Each call that was made is in the conversation, or in the notes.
      const seen = JSON.stringify(last);
      for (let n = 1; n <= 25; n++) expect(seen).toMatch(new RegExp(`\\bn\\W+${n}\\b`));
      // What a note names can be called.
      for (const { messages: sent, tools } of model.requests.filter((request) => !isSummary(request))) {
        const named = JSON.stringify(sent).matchAll(/Read more with (\w+):/g);
        for (const [, reader] of named) expect(tools).toContain(reader);
      }
      expect(JSON.stringify(model.requests)).toContain('Read more with read_result:');
      // Calls and results stay together, as servers require.
      const messages = last?.messages ?? [];
      for (const [i, { role, toolCallId }] of messages.entries()) {
        if (role === 'tool') expect(messages[i - 1]?.toolCalls?.map(({ id }) => id)).toContain(toolCallId);
      }
    });

    it.each([true, false])(
      'recovers once when the server rejects it as too long (and states its context: %s)',
      async (states) => {
        const script = (request: ModelRequest): Said => {
          if (isSummary(request)) return { text: 'Summed up.' };
          return turnsIn(request) === 0 && request.with.system === undefined
            ? { calls: [1, 2, 3].map((n) => ['get_entry', { n }] as const) }
            : { text: `Done: ${request.messages.filter(({ role }) => role === 'tool').length}.` };
        };
        const model = small(1_250, script, { states });
        const end = await host().run(agentOf(`rejected-${states}`, model.answer, { tools: [entry] }), { q: 'All?' });
        expect(end.output).toMatchObject({ text: 'Done: 3.', turns: 2 });
        expect(model.rejected()).toBe(1);
        expect(end.output?.toolCalls).toHaveLength(3);
      },
    );

    it('fails with CONTEXT_TOO_LONG when a shorter conversation is rejected as well', async () => {
      const model = small(600, () => ({ text: 'never' }));
      const end = await host().run(agentOf('hopeless', model.answer), { q: 'long '.repeat(500) });
      expect(end).toMatchObject({ code: 'CONTEXT_TOO_LONG' });
      expect(model.rejected()).toBe(2);
    });
  });
}
