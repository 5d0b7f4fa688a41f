import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { guardrail, tool } from '../../pipelines/index.js';
import type { ModelRequest, Said } from '../support/scripted-model.js';
import { agentOf } from './agents.js';
import type { SuiteHost } from './host-suite.js';

const pass = { verdict: 'pass' } as const;
const secret = /secret \w+/;
const redacts = (name: string, on: 'input' | 'output') =>
  guardrail({
    name,
    on,
    check: ({ text = '' }) =>
      secret.test(text) ? { verdict: 'redact', text: text.replace(secret, '[secret]') } : pass,
  });

/** Agents with guardrails; part of `agentSuite`. */
export function agentsGuarded(name: string, host: () => SuiteHost): void {
  describe(`${name}: an agent with guardrails`, () => {
    it('reads, writes and does what they leave', async () => {
      const done: string[] = [];
      const prompts: string[] = [];
      const note = tool({
        name: 'note',
        description: 'Writes it down',
        input: z.object({ text: z.string() }),
        run: ({ text }) => {
          done.push(text);
          return text;
        },
      });
      const short = guardrail({
        name: 'short',
        on: 'tool',
        check: ({ arguments: { text = '' } = {} }) => {
          if (text === 'no') return { verdict: 'stop', reason: 'not this' };
          return String(text).length > 3 ? { verdict: 'redact', arguments: { text: String(text).slice(0, 3) } } : pass;
        },
      });
      const script = ({ messages }: ModelRequest): Said => {
        prompts.push(messages[0]?.content ?? '');
        if (messages.length === 1)
          return {
            text: 'My secret code.',
            calls: [
              ['note', { text: 'long text' }],
              ['note', { text: 'no' }],
            ],
          };
        return { text: `Your secret code is ${messages.filter(({ role }) => role === 'tool').length}` };
      };
      const guardrails = [redacts('clean_in', 'input'), redacts('clean_out', 'output'), short];
      const end = await host().run(agentOf('guarded', script, { tools: [note], guardrails }), { q: 'My secret word?' });
      expect(end.output).toMatchObject({
        text: 'Your [secret] is 2',
        toolCalls: [
          { said: 'My [secret].', arguments: { text: 'lon' }, end: 'done', result: 'lon' },
          { end: 'refused', message: 'The guardrail short stopped the call: not this' },
        ],
      });
      expect(done).toEqual(['lon']);
      expect(prompts.at(-1)).toBe('My [secret]?');
    });

    it('ends as soon as one stops it, while its model still works', async () => {
      let ended = false;
      const script = async (): Promise<Said> => {
        await new Promise((resolve) => setTimeout(resolve, 20_000).unref());
        ended = true;
        return { text: 'late' };
      };
      const guardrails = [guardrail({ name: 'closed', on: 'input', check: () => ({ verdict: 'stop' }) })];
      const end = await host().run(agentOf('stopped', script, { guardrails }), { q: 'Hello?' });
      expect(end).toMatchObject({ code: 'GUARDRAIL_STOPPED' });
      expect(ended).toBe(false);
    });
  });
}
