import { address } from '../support/runs.js';
import { openAiContract } from './openai-suite.js';

const endpoint = address('LLM_BASE_URL');

openAiContract({
  name: 'llama.cpp',
  endpoint,
  apiKey: 'none',
  bindsToolChoice: false,
  parallel: 4,
  async working() {
    const metrics = await (await fetch(new URL('/metrics', endpoint))).text();
    return Number(/^llamacpp:requests_processing (\d+)/m.exec(metrics)?.[1]);
  },
});
