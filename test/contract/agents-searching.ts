import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Tool, tool } from '../../pipelines/index.js';
import type { ModelRequest, Said } from '../support/scripted-model.js';
import { agentOf } from './agents.js';
import type { SuiteHost } from './host-suite.js';

const DEEDS = ['create', 'delete', 'list', 'update', 'archive', 'share', 'print', 'export', 'approve', 'count'];
const THINGS = ['invoice', 'contract', 'customer', 'parcel', 'meeting', 'photo', 'ticket', 'recipe', 'vehicle', 'song'];
const KINDS = ['draft', 'old', 'urgent'];

/** 300 tools: what is done to what. */
const many: readonly Tool[] = DEEDS.flatMap((deed) =>
  THINGS.flatMap((thing) =>
    KINDS.map((kind) =>
      tool({
        name: `${deed}_${kind}_${thing}`,
        description: `Can ${deed} the ${kind} ${thing}`,
        input: z.object({ id: z.string() }),
        run: ({ id }) => `${deed} ${kind} ${thing} ${id}`,
      }),
    ),
  ),
);

/** Agents with more tools than a model should see; part of `agentSuite`. */
export function agentsSearching(name: string, host: () => SuiteHost): void {
  describe(`${name}: an agent with 300 tools`, () => {
    const search = { tools: many, toolSearch: { embedder: 'words', shown: 5 } } as const;

    it('shows the model those that fit the prompt, and finds others when it asks', async () => {
      const offered: (readonly string[])[] = [];
      const script = ({ tools, messages }: ModelRequest): Said => {
        offered.push(tools);
        if (offered.length === 1) return { calls: [['archive_old_contract', { id: '1' }]] };
        if (offered.length === 2) return { calls: [['find_tools', { query: 'print the urgent recipe' }]] };
        if (offered.length === 3) return { calls: [['print_urgent_recipe', { id: '2' }]] };
        return { text: messages.at(-1)?.content ?? '' };
      };
      const end = await host().run(agentOf('searching', script, search), { q: 'Please archive the old contract 1.' });
      expect(end.output).toMatchObject({ text: 'print urgent recipe 2', turns: 4 });
      expect(offered[0]).toHaveLength(6);
      expect(offered[0]).toContain('archive_old_contract');
      expect(offered[0]).toContain('find_tools');
      expect(offered[0]).not.toContain('print_urgent_recipe');
      expect(offered[2]).toHaveLength(11);
      // Those from before stay: the conversation has calls of them.
      expect(offered[2]).toEqual(expect.arrayContaining(['archive_old_contract', 'print_urgent_recipe']));
      const [, found] = (end.output as { toolCalls: { name: string; result: string }[] }).toolCalls;
      expect(found).toMatchObject({
        name: 'find_tools',
        result: expect.stringContaining('print_urgent_recipe: Can print'),
      });
    });

    it('offers no more than four searches find, the last ones', async () => {
      const offered: (readonly string[])[] = [];
      const script = ({ tools }: ModelRequest): Said => {
        offered.push(tools);
        const thing = THINGS[offered.length];
        return thing === undefined || offered.length > 7
          ? { text: 'Done.' }
          : { calls: [['find_tools', { query: `the ${thing}` }]] };
      };
      await host().run(agentOf('searching-on', script, { ...search, maxTurns: 20 }), {
        q: 'Everything about an invoice.',
      });
      expect(Math.max(...offered.map(({ length }) => length))).toBe(21);
      expect(offered.at(-1)?.some((each) => each.endsWith(`_${THINGS[7]}`))).toBe(true);
    });

    it('shows all where there are not more than one search finds', async () => {
      const offered: (readonly string[])[] = [];
      const script = ({ tools }: ModelRequest): Said => {
        offered.push(tools);
        return { text: 'Hello.' };
      };
      const few = { tools: many.slice(0, 5), toolSearch: { embedder: 'words', shown: 5 } };
      await host().run(agentOf('not-searching', script, few), { q: 'Hello!' });
      expect(offered[0]).toHaveLength(5);
    });
  });
}
