import type { Condition } from '../http/index.js';

/**
 * What an answer shows about the server that gave it, most specific first. Every question is a GET, or the read-only index
 * of the KServe v2 protocol's repository: nothing is loaded, and no model is called.
 */
export interface Sign {
  /** What the server is, for people. */
  readonly server: string;
  /** Asked for. With `{model}` it is asked for each model that the caller names. */
  readonly path: string;
  readonly method?: 'POST';
  /** All of them hold for the answer. */
  readonly when: readonly Condition[];
  /** Where the answer lists models: a pointer to the list, and to the name within an item. */
  readonly models?: { readonly at: string; readonly name: string };
  readonly pool: {
    readonly connector: string;
    readonly preset?: string;
    /** Appended to the URL that was given. */
    readonly base?: string;
    readonly kind: string;
  };
}

const is = (at: string, value: Condition['is']): Condition => ({ at, is: value });
const has = (at: string, value: string): Condition => ({ at, has: value });
const exists = (at: string): Condition => ({ at, exists: true });
const OK = is('/status', 200);

const openai = (server: string, owner: readonly string[]): Sign => ({
  server,
  path: '/v1/models',
  when: [OK, is('/body/object', 'list'), is('/body/data/0/owned_by', [...owner])],
  models: { at: '/body/data', name: '/id' },
  pool: { connector: 'openai', base: '/v1', kind: 'chat' },
});

export const SIGNS: readonly Sign[] = [
  {
    server: 'Ollama',
    path: '/api/tags',
    when: [OK, exists('/body/models')],
    models: { at: '/body/models', name: '/name' },
    pool: { connector: 'openai', base: '/v1', kind: 'chat' },
  },
  {
    server: 'Text Generation Inference',
    path: '/info',
    when: [OK, exists('/body/model_id'), exists('/body/max_total_tokens')],
    pool: { connector: 'http', preset: 'tgi', kind: 'chat' },
  },
  openai('vLLM', ['vllm']),
  openai('SGLang', ['sglang']),
  openai('llama.cpp', ['llamacpp']),
  openai('NVIDIA Dynamo or NIM', ['nvidia']),
  {
    server: 'OpenVINO Model Server, language models',
    path: '/v3/models',
    when: [OK, is('/body/object', 'list'), is('/body/data/0/owned_by', 'OVMS')],
    models: { at: '/body/data', name: '/id' },
    pool: { connector: 'openai', base: '/v3', kind: 'chat' },
  },
  {
    server: 'a server of OpenAI’s API',
    path: '/v1/models',
    when: [OK, is('/body/object', 'list')],
    models: { at: '/body/data', name: '/id' },
    pool: { connector: 'openai', base: '/v1', kind: 'chat' },
  },
  {
    server: 'a server of the KServe v2 protocol',
    path: '/v2/repository/index',
    method: 'POST',
    when: [OK, exists('/body/0/name')],
    models: { at: '/body', name: '/name' },
    pool: { connector: 'oip-rest', kind: 'infer' },
  },
  {
    server: 'KServe, language models',
    path: '/openai/v1/models',
    when: [OK, is('/body/object', 'list'), exists('/body/data/0/id')],
    models: { at: '/body/data', name: '/id' },
    pool: { connector: 'openai', base: '/openai/v1', kind: 'chat' },
  },
  {
    server: 'KServe (v1)',
    path: '/v1/models',
    when: [OK, exists('/body/models')],
    models: { at: '/body/models', name: '' },
    pool: { connector: 'http', preset: 'kserve-v1', kind: 'infer' },
  },
  {
    server: 'TensorFlow Serving',
    path: '/v1/models/{model}',
    when: [OK, exists('/body/model_version_status')],
    pool: { connector: 'http', preset: 'tensorflow-serving', kind: 'infer' },
  },
  {
    server: 'BentoML',
    path: '/docs.json',
    when: [OK, exists('/body/openapi'), has('/text', 'bentoml')],
    pool: { connector: 'http', preset: 'bentoml', kind: 'infer' },
  },
  {
    server: 'Ray Serve',
    path: '/-/healthz',
    when: [OK, is('/text', 'success')],
    pool: { connector: 'http', preset: 'ray-serve', kind: 'infer' },
  },
  {
    server: 'TorchServe',
    path: '/ping',
    when: [OK, is('/body/status', ['Healthy', 'Partial Healthy'])],
    pool: { connector: 'http', preset: 'torchserve', kind: 'infer' },
  },
  {
    server: 'TorchServe with tokens',
    path: '/ping',
    when: [is('/body/type', 'InvalidKeyException')],
    pool: { connector: 'http', preset: 'torchserve', kind: 'infer' },
  },
  {
    server: 'OpenVINO Model Server',
    path: '/v2',
    when: [OK, has('/body/name', 'openvino')],
    pool: { connector: 'oip-rest', kind: 'infer' },
  },
  {
    server: 'a server of the KServe v2 protocol',
    path: '/v2',
    when: [OK, exists('/body/name'), exists('/body/version')],
    pool: { connector: 'oip-rest', kind: 'infer' },
  },
  {
    server: 'LitServe',
    path: '/info',
    when: [OK, exists('/body/server/workers_per_device')],
    pool: { connector: 'http', preset: 'litserve', kind: 'infer' },
  },
];
