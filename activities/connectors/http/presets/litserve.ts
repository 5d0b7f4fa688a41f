import type { PresetInput } from './preset.js';

const path = ['/{route}', '/predict'];

/** https://lightning.ai/docs/litserve: one route, `/predict` unless the server says otherwise, with JSON of its own. */
export const litserve: PresetInput = {
  name: 'litserve',
  title: 'LitServe',
  proof: 'server',
  values: { route: { about: 'the server’s route; by default predict' } },
  base: {
    health: { path: '/health', ready: { at: '/text', has: 'ok' } },
    errors: [
      { status: 503, when: { at: '/text', has: 'not ready' }, code: 'BACKEND_UNAVAILABLE', unsent: true },
      { status: 504, code: 'BACKEND_TIMEOUT' },
    ],
  },
  kinds: {
    embed: { request: { path, json: { input: '$/texts' } }, response: { output: { embeddings: '$/body/output' } } },
    classify: { request: { path, json: { input: '$/input/text' } }, response: { output: { scores: '$/body/output' } } },
    chat: {
      request: { path, json: { prompt: '$/prompt', max_tokens: '$/given/maxTokens' } },
      response: { stream: { as: 'text' }, output: { text: '$/text' } },
    },
    infer: { request: { path, json: { input: { $nested: '/tensor' } } }, response: { output: '$/body/output' } },
  },
};
