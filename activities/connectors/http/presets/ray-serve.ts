import type { PresetInput } from './preset.js';

const path = ['/{route}', '/'];

/** https://docs.ray.io/en/latest/serve: a deployment answers below its route prefix, with JSON of its own. */
export const rayServe: PresetInput = {
  name: 'ray-serve',
  title: 'Ray Serve',
  proof: 'server',
  values: {
    route: { about: 'the application’s route prefix, without its first slash; by default /' },
    multiplexed: { about: 'id of a multiplexed model' },
  },
  base: {
    health: { path: '/-/healthz' },
    headers: { serve_multiplexed_model_id: { $from: '/values/multiplexed', optional: true } },
    errors: [
      // `max_queued_requests` of the deployment is reached.
      {
        status: 503,
        when: { at: '/text', has: ['backpressure', 'queue'] },
        code: 'BACKEND_OVERLOADED',
        retryAfterMs: 1_000,
      },
      { status: 404, when: { at: '/text', has: ['path', 'route'] }, code: 'MODEL_NOT_FOUND' },
      { status: 408, code: 'BACKEND_TIMEOUT' },
    ],
  },
  kinds: {
    embed: { request: { path, json: { texts: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
    classify: { request: { path, json: { text: '$/input/text' } }, response: { output: { scores: '$/body' } } },
    infer: { request: { path, json: { $nested: '/input' } }, response: { output: '$/body' } },
  },
};
