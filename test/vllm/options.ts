import { describe, expect, it } from 'vitest';
import type { Backend, Call, CallContext, PoolOptions } from '../../activities/connectors/connector.js';
import { noAudio } from '../../activities/connectors/contract/index.js';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { REASONING_EFFORTS } from '../../pipelines/stages/chat.js';
import { chat as chatStage } from '../../pipelines/stages/index.js';
import { ADAPTER, API_KEY, PARALLEL } from '../support/vllm.js';
import { counter } from './metrics.js';

/** Options of pools and stages that other servers lack, each by what it changes at vLLM. */
export function vllmOptions(endpoint: string): void {
  const connect = (pool: PoolOptions = {}): Backend => openAiConnector().connect(endpoint, API_KEY, pool);
  const backend = connect();

  const call = (options: Partial<Parameters<typeof chatStage>[0]>, input: JsonObject = {}): Call => ({
    kind: 'chat',
    model: 'assistant',
    with: chatStage({ model: 'assistant', maxTokens: 16, temperature: 0, ...options }).with,
    input: { prompt: 'Tell me of a river.', ...input },
  });
  const ask = (to: Backend, asked: Call, context: Partial<CallContext> = {}) =>
    to.invoke(asked, {
      signal: AbortSignal.timeout(120_000),
      audio: noAudio,
      checkpoint: () => undefined,
      emit: () => undefined,
      ...context,
    });
  const said = async (asked: Call, context?: Partial<CallContext>) =>
    (await ask(backend, asked, context)).output.text as string;

  describe('options at vLLM', () => {
    it('priority: a call with a higher one overtakes one that waits', async () => {
      const pool = connect({ priority: true });
      const ended: string[] = [];
      const held = new AbortController();
      const story = call({ maxTokens: 2_000, extra: { ignore_eos: true } });
      const stories = Array.from({ length: PARALLEL }, () =>
        ask(pool, story, { signal: held.signal }).catch(() => undefined),
      );
      const waiting = () => counter(endpoint, 'num_requests_waiting');
      try {
        await expect.poll(() => counter(endpoint, 'num_requests_running'), { timeout: 60_000 }).toBe(PARALLEL);
        const waits = (priority: 'batch' | 'interactive') =>
          ask(pool, call({ maxTokens: 4 }), { priority }).then(() => void ended.push(priority));
        const late = waits('batch');
        await expect.poll(waiting, { timeout: 60_000 }).toBe(1);
        const urgent = waits('interactive');
        await expect.poll(waiting, { timeout: 60_000 }).toBe(2);
        held.abort();
        await Promise.all([late, urgent]);
      } finally {
        held.abort();
        await Promise.all(stories);
      }
      expect(ended).toEqual(['interactive', 'batch']);
    });

    it('a LoRA adapter is a model of its own at the same server', async () => {
      const adapted = await said({ ...call({}), model: ADAPTER });
      expect(adapted).not.toBe('');
      expect(adapted).not.toBe(await said(call({})));
      expect(await said({ ...call({}), model: ADAPTER })).toBe(adapted);
      await expect(said({ ...call({}), model: 'no-such-adapter' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    });

    it.each([
      ['chat', (text: string): Call => call({ maxTokens: 1 }, { prompt: text })],
      [
        'classify',
        (text: string): Call => ({
          kind: 'classify',
          model: 'assistant',
          with: { labels: ['a', 'b'] },
          input: { text },
        }),
      ],
    ] as const)('cacheSalt: tenants share no cached prefix of a %s', async (kind, asked) => {
      const one = asked(`${kind} ${'A mill stands by the river and turns all day. '.repeat(60)}`);
      const hits = () => counter(endpoint, 'prefix_cache_hits_total');
      const grown = async (tenant: string, pool: PoolOptions = {}) => {
        const before = await hits();
        await ask(connect(pool), one, { tenant });
        return (await hits()) - before;
      };
      const first = await grown('acme');
      const again = await grown('acme');
      expect(again).toBeGreaterThan(first + 200);
      expect(await grown('other')).toBeLessThan(again - 200);
      // Where the pool says so they do share it.
      await grown('acme', { cacheSalt: 'off' });
      expect(await grown('other', { cacheSalt: 'off' })).toBeGreaterThan(first + 200);
    });

    it('constrain: a text of a regular expression', async () => {
      expect(await said(call({ constrain: { regex: '(mill|river)-[0-9]{3}' } }))).toMatch(/^(mill|river)-\d{3}$/);
    });

    it('output: a schema with a list and a number', async () => {
      const schema = {
        type: 'object',
        properties: {
          names: { type: 'array', items: { enum: ['Seine', 'Rhine'] }, minItems: 2, maxItems: 2 },
          length: { type: 'integer', minimum: 10, maximum: 99 },
        },
        required: ['names', 'length'],
      };
      const asked = { ...call({}), with: { maxTokens: 60, temperature: 0, schema } };
      expect((await ask(backend, asked)).output.data).toEqual({
        names: [expect.stringMatching(/^(Seine|Rhine)$/), expect.stringMatching(/^(Seine|Rhine)$/)],
        length: expect.any(Number),
      });
    });

    it('seed and topP: the same seed says the same, another something else', async () => {
      const with1 = (seed: number) => said(call({ temperature: 1.5, topP: 0.95 }, { seed }));
      const one = await with1(1);
      expect(await with1(1)).toBe(one);
      expect(await with1(2)).not.toBe(one);
    });

    it('topK: the most probable token alone is what temperature 0 says', async () => {
      // Later on two of them may be equally probable, in numbers of 16 bits.
      const beginning = async (...asked: Parameters<typeof call>) => (await said(call(...asked))).slice(0, 12);
      const cold = await beginning({});
      expect(await beginning({ temperature: 2, topK: 1 })).toBe(cold);
      expect(await beginning({ temperature: 2 }, { seed: 3 })).not.toBe(cold);
    });

    it('presencePenalty, frequencyPenalty and extra change what is said', async () => {
      const plain = await said(call({ maxTokens: 60 }));
      expect(await said(call({ maxTokens: 60 }, { presencePenalty: 2, frequencyPenalty: 2 }))).not.toBe(plain);
      expect(await said(call({ maxTokens: 60, extra: { repetition_penalty: 1.8 } }))).not.toBe(plain);
    });

    it('extra: a prompt is cut at the server', async () => {
      const long = { prompt: 'river '.repeat(600) };
      const cut = await ask(backend, call({ maxTokens: 1, extra: { truncate_prompt_tokens: 50 } }, long));
      expect(cut.usage?.inputTokens).toBe(50);
    });

    it('extra: members of vLLM’s own reach the chat template', async () => {
      const extra = { add_generation_prompt: false, chat_template_kwargs: { enable_thinking: false } };
      const usual = await ask(backend, call({ maxTokens: 24 }));
      const other = await ask(backend, call({ maxTokens: 24, extra }));
      expect(other.usage?.inputTokens).toBeLessThan(usual.usage?.inputTokens ?? 0);
    });

    it.each(REASONING_EFFORTS)('reasoningEffort: %s is taken', async (reasoningEffort) => {
      expect(await said(call({ maxTokens: 4, reasoningEffort }))).not.toBe('');
    });

    it('thinkingTokens without a parser of reasoning is refused', async () => {
      await expect(said(call({ thinkingTokens: 8 }))).rejects.toMatchObject({
        code: 'BACKEND_REJECTED',
        message: expect.stringContaining('thinking_token_budget'),
      });
    });

    it('goes on with an answer that is begun', async () => {
      let goesOn = 0;
      const continues = () => {
        goesOn += 1;
      };
      const continued = { text: 'The capital of France is the city of', continues };
      const rest = await said(call({ maxTokens: 8 }, { prompt: 'What is the capital of France?' }), { continued });
      expect(goesOn).toBe(1);
      expect(rest).toMatch(/^\s?Paris/);
    });

    it('says in its refusal of a long prompt what it needs and what there is', async () => {
      const long = call({ maxTokens: 8 }, { prompt: 'river '.repeat(5_000) });
      await expect(said(long)).rejects.toMatchObject({
        code: 'CONTEXT_TOO_LONG',
        details: { contextTokens: 4_096, neededTokens: expect.any(Number) },
      });
    });
  });
}
