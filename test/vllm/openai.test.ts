import { openAiContract } from '../contract/openai-suite.js';
import { PARALLEL } from '../support/vllm.js';
import { fromSetup } from './from-setup.js';

const endpoint = fromSetup('BASE_URL');

openAiContract({
  name: 'vLLM',
  endpoint,
  parallel: PARALLEL,
  async working() {
    const metrics = await (await fetch(new URL('/metrics', endpoint))).text();
    return Number(/^vllm:num_requests_running\{.*\} (\S+)/m.exec(metrics)?.[1]);
  },
});
