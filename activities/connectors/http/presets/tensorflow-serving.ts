import type { PresetInput } from './preset.js';

const path = [
  '/v1/models/{model}/versions/{version}:predict',
  '/v1/models/{model}/labels/{label}:predict',
  '/v1/models/{model}:predict',
];
const signature = { $from: '/values/signature', optional: true };

/** https://www.tensorflow.org/tfx/serving/api_rest */
export const tensorflowServing: PresetInput = {
  name: 'tensorflow-serving',
  title: 'TensorFlow Serving (REST predict)',
  proof: 'fixture',
  values: {
    signature: { about: 'name of the signature; by default the server’s, serving_default' },
    version: { about: 'version of the model; by default the latest' },
    label: { about: 'label of a version: stable, canary' },
  },
  base: {
    health: { path: '/v1/models/{model}', ready: { at: '/body/model_version_status', has: '"AVAILABLE"' } },
    identity: { path: '/v1/models/{model}', at: ['/body/model_version_status'] },
    message: ['/body/error', '/body'],
    errors: [
      {
        status: [400, 404],
        when: { at: '/text', has: ['servable not found', 'unrecognized servable'] },
        code: 'MODEL_NOT_FOUND',
      },
      { status: [400, 404], when: { at: '/text', has: 'could not find base path' }, code: 'MODEL_NOT_FOUND' },
      {
        status: 503,
        when: { at: '/text', has: ['queue is full', 'batch scheduling queue'] },
        code: 'BACKEND_OVERLOADED',
      },
    ],
  },
  kinds: {
    embed: {
      request: { path, json: { signature_name: signature, instances: '$/texts' } },
      response: { output: { embeddings: '$/body/predictions' } },
    },
    classify: {
      request: { path, json: { signature_name: signature, instances: '$/texts' } },
      response: { output: { results: '$/body/predictions' } },
    },
    infer: {
      request: { path, json: { signature_name: signature, inputs: { $nested: '/input' } } },
      response: { output: '$/body/outputs' },
    },
  },
};
