import { describe, expect, it } from 'vitest';
import { openAiConnector } from '../../activities/connectors/openai/index.js';
import { signalProcess } from '../../runtime/process-identity.js';
import { invoke, noAudio } from '../contract/connector-contract.js';
import { openAiContract } from '../contract/openai-suite.js';
import { API_KEY, PARALLEL, processes } from '../support/vllm.js';
import { fromSetup } from './from-setup.js';
import { counter } from './metrics.js';
import { vllmOptions } from './options.js';

const endpoint = fromSetup('BASE_URL');

openAiContract({
  name: 'vLLM',
  endpoint,
  apiKey: API_KEY,
  bindsToolChoice: true,
  parallel: PARALLEL,
  working: () => counter(endpoint, 'num_requests_running'),
});

vllmOptions(endpoint);

// The last test: no vLLM is left behind it.
describe('openai with vLLM: its engine is killed', () => {
  it('ends the call that it works on and every later one with a code that policies try again', async () => {
    const backend = openAiConnector().connect(endpoint, API_KEY);
    const call = (maxTokens: number) => ({
      ...{ kind: 'chat' as const, model: 'assistant', with: { maxTokens, temperature: 0 } },
      input: { prompt: 'Write a very long story about a river.' },
    });
    const engine = processes().find(({ command }) => command.startsWith('VLLM::EngineCore'));
    expect(engine).toBeDefined();
    let chunks = 0;
    const running = invoke(backend, call(2_000), noAudio, () => {
      chunks += 1;
      if (chunks === 3 && engine) signalProcess(engine.pid, 'SIGKILL');
    });
    await expect(running).rejects.toMatchObject({
      code: expect.stringMatching(/^BACKEND_(ERROR|UNAVAILABLE)$/),
      details: { endpoint },
    });
    expect(chunks).toBeGreaterThan(2);
    await expect
      .poll(() => invoke(backend, call(1)).catch(({ code }: { code: string }) => code), { timeout: 60_000 })
      .toBe('BACKEND_UNAVAILABLE');
  });
});
