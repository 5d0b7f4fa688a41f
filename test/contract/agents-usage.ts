import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, MillraceError, pipeline, pipelineTool, stageTool } from '../../pipelines/index.js';
import { type ModelRequest, type Said, scripted } from '../support/scripted-model.js';
import { agentOf } from './agents.js';
import type { SuiteHost } from './host-suite.js';

/** Agents whose tools use models too; part of `agentSuite`. */
export function agentsUsage(name: string, host: () => SuiteHost): void {
  describe(`${name}: what an agent and its tools use`, () => {
    const costly = (of: string, fails = false) => {
      const model = scripted(`${of}-inner`, () => ({ text: 'x', usage: { inputTokens: 1_000, outputTokens: 50 } }));
      const away = scripted(`${of}-away`, () => {
        throw new MillraceError('BACKEND_REJECTED', 'no');
      });
      return pipeline(
        `${of}-tool`,
        { description: 'Thinks', input: z.object({ q: z.string() }), deadline: '1m' },
        ({ input, stage }) => {
          const first = stage('think', chat({ model }), { prompt: input.q });
          if (fails) stage('fail', chat({ model: away }), { prompt: first.text });
          return { text: first.text };
        },
      );
    };
    const asking =
      (tool: string) =>
      (request: ModelRequest): Said => {
        const usage = { inputTokens: 100, outputTokens: 10 };
        return request.tools.length > 0 ? { calls: [[tool, { q: '?' }]], usage } : { text: 'Enough.', usage };
      };

    it.each([
      ['a child run', false],
      ['a child run that fails', true],
    ])('counts %s in its usage, its budget and its row', async (_, fails) => {
      const of = `uses-${fails}`;
      const tools = [pipelineTool(costly(of, fails))];
      const end = await host().run(agentOf(of, asking(`${of}-tool`), { tools, budget: { tokens: 2_200 } }), { q: '?' });
      // Each round uses 110 and 1,050 tokens: the budget is used up after two.
      expect(end.output).toMatchObject({
        stoppedBy: 'tokens',
        turns: 3,
        usage: { inputTokens: 2_300, outputTokens: 130 },
      });
      expect(end.stages).toMatchObject([{ stage: 'answer', usage: { inputTokens: 2_300, outputTokens: 130 } }]);
    });

    it('counts a model that is a tool', async () => {
      const model = scripted('tool-model', () => ({ text: 'x', usage: { inputTokens: 500, outputTokens: 5 } }));
      const think = stageTool({
        name: 'think',
        description: 'Thinks',
        use: chat({ model }),
        input: z.object({ prompt: z.string() }),
        result: 'text',
      });
      const turns = [
        { calls: [['think', { prompt: '?' }]], usage: { inputTokens: 10, outputTokens: 1 } },
        { text: 'Done.', usage: { inputTokens: 20, outputTokens: 2 } },
      ] as const;
      const end = await host().run(agentOf('uses-model', turns, { tools: [think] }), { q: '?' });
      expect(end.output?.usage).toEqual({ inputTokens: 530, outputTokens: 8 });
    });

    it('shows what an agent has used that fails', async () => {
      const script = (request: ModelRequest): Said => {
        if (request.messages.length > 1) throw new MillraceError('BACKEND_REJECTED', 'no');
        return asking('fails-late-tool')(request);
      };
      const tools = [pipelineTool(costly('fails-late'))];
      const end = await host().run(agentOf('fails-late', script, { tools }), { q: '?' });
      expect(end).toMatchObject({ code: 'BACKEND_REJECTED' });
      expect(end.stages).toMatchObject([{ status: 'failed', usage: { inputTokens: 1_100, outputTokens: 60 } }]);
    });

    it('counts a child run of a stage in its row', async () => {
      const inner = costly('child-step');
      const outer = pipeline('outer-of-child', { input: z.object({ q: z.string() }) }, ({ input, run }) => ({
        text: run('inner', inner, { q: input.q }, { as: 'child' }).text,
      }));
      const end = await host().run(outer as never, { q: '?' });
      expect(end.stages).toMatchObject([{ stage: 'inner', usage: { inputTokens: 1_000, outputTokens: 50 } }]);
    });
  });
}
