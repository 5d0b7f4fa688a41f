import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Call } from '../../activities/connectors/connector.js';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { chat as chatStage } from '../../pipelines/stages/index.js';
import { invoke } from '../contract/connector-contract.js';
import { API_KEY, startVllm, thinker } from '../support/vllm.js';

/* A vLLM with a parser of reasoning: the served model, whose chat template opens `<think>` (test/fixtures/vllm/make-thinker.py). */

const START_MS = 600_000;
let server: Awaited<ReturnType<typeof startVllm>>;

beforeAll(async () => {
  server = await startVllm('chat', await thinker(), ['--reasoning-parser', 'qwen3']);
}, START_MS);
afterAll(() => server?.stop());

/** @param least tokens before the model may end its reply, which it does at once: it was not trained to think */
const say = (least: number, options: Partial<Parameters<typeof chatStage>[0]>) => {
  const call: Call = {
    kind: 'chat',
    model: 'assistant',
    with: chatStage({ model: 'assistant', temperature: 0, extra: { min_tokens: least }, ...options }).with,
    input: { prompt: 'Is a river wet?' },
  };
  return invoke(openAiConnector().connect(server.endpoint, API_KEY), call);
};

describe('reasoning at vLLM', () => {
  it('ends at thinkingTokens; what follows is the text, up to maxTokens', async () => {
    const { output, usage } = await say(20, { maxTokens: 12, thinkingTokens: 10 });
    expect(output.reasoning).toMatch(/\S/);
    expect(output.text).toMatch(/\S/);
    expect(output.text).not.toContain('think>');
    expect(usage?.outputTokens).toBeLessThanOrEqual(22);
  });

  it('that takes all tokens is LENGTH', async () => {
    await expect(say(12, { maxTokens: 12 })).rejects.toMatchObject({
      code: 'LENGTH',
      message: expect.stringContaining('thinkingTokens'),
    });
  });

  it('is left out with reasoningEffort none, and is there with low', async () => {
    const { output } = await say(8, { maxTokens: 12, reasoningEffort: 'none' });
    expect(output.text).toMatch(/\S/);
    expect(output).not.toHaveProperty('reasoning');
    const low = await say(16, { maxTokens: 12, thinkingTokens: 8, reasoningEffort: 'low' });
    expect(low.output.reasoning).toMatch(/\S/);
  });

  it('is not bound by a constraint, which the text keeps', async () => {
    const { output } = await say(8, {
      maxTokens: 8,
      thinkingTokens: 8,
      constrain: { choice: ['quite so', 'perhaps'] },
    });
    expect(output.text).toMatch(/^(quite so|perhaps)$/);
    expect(output.reasoning).toMatch(/\S/);
  });
});
