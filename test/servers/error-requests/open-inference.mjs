/** Requests of the Open Inference Protocol over REST that cannot be served. */
export function openInference({ model, input, datatype }) {
  const path = `/v2/models/${model}/infer`;
  const text = datatype === 'BYTES';
  const tensor = { name: input, datatype, shape: [1, 1], data: text ? ['a'] : [1] };
  const asks = (asked, more = {}) => ({ asked, path, body: { inputs: [{ ...tensor, ...more }] } });
  const without = (key) => Object.fromEntries(Object.entries(tensor).filter(([name]) => name !== key));
  return [
    { asked: 'an unknown model', path: '/v2/models/nope/infer', body: { inputs: [tensor] } },
    { asked: 'the metadata of an unknown model', method: 'GET', path: '/v2/models/nope' },
    { asked: 'whether an unknown model is ready', method: 'GET', path: '/v2/models/nope/ready' },
    { asked: 'an unknown version', path: `/v2/models/${model}/versions/99/infer`, body: { inputs: [tensor] } },
    { asked: 'the metadata of an unknown version', method: 'GET', path: `/v2/models/${model}/versions/99` },
    { asked: 'a version that is no number', path: `/v2/models/${model}/versions/x/infer`, body: { inputs: [tensor] } },
    { asked: 'half an object', path, body: '{"inputs": [' },
    { asked: 'nothing', path, body: '' },
    { asked: 'no JSON', path, body: 'text' },
    { asked: 'a list', path, body: '[]' },
    { asked: 'a number', path, body: '7' },
    { asked: 'null', path, body: 'null' },
    { asked: 'no inputs', path, body: {} },
    { asked: 'an empty list of inputs', path, body: { inputs: [] } },
    { asked: 'inputs that are an object', path, body: { inputs: { [input]: ['a'] } } },
    { asked: 'an input that is a text', path, body: { inputs: ['a'] } },
    asks('an input that the model does not have', { name: 'NOPE' }),
    { asked: 'an input too many', path, body: { inputs: [tensor, { ...tensor, name: 'NOPE' }] } },
    { asked: 'an input twice', path, body: { inputs: [tensor, tensor] } },
    { asked: 'an input without a name', path, body: { inputs: [without('name')] } },
    { asked: 'an input without a datatype', path, body: { inputs: [without('datatype')] } },
    { asked: 'an input without a shape', path, body: { inputs: [without('shape')] } },
    { asked: 'an input without data', path, body: { inputs: [without('data')] } },
    asks('a datatype that nobody knows', { datatype: 'FP8' }),
    asks('another datatype than the model’s', { datatype: text ? 'INT32' : 'BYTES', data: text ? [1] : ['a'] }),
    asks('another rank than the model’s', { shape: [1, 1, 1] }),
    asks('another size than the model’s', { shape: [1, 2], data: text ? ['a', 'b'] : [1, 2] }),
    asks('more than a batch', { shape: [999, 1], data: Array(999).fill(text ? 'a' : 1) }),
    asks('a negative shape', { shape: [-1, 1] }),
    asks('a shape of texts', { shape: ['1', '1'] }),
    asks('a shape of fractions', { shape: [1.5, 1] }),
    asks('fewer elements than the shape says', { data: [] }),
    asks('more elements than the shape says', { data: text ? ['a', 'b'] : [1, 2] }),
    asks('elements of another type', { data: text ? [{}] : ['a'] }),
    asks('numbers in place of texts', { data: [1] }),
    asks('elements that are null', { data: [null] }),
    asks('data that are no list', { data: 'a' }),
    {
      asked: 'an output that the model does not have',
      path,
      body: { inputs: [tensor], outputs: [{ name: 'NOPE' }] },
    },
    { asked: 'outputs that are a text', path, body: { inputs: [tensor], outputs: 'a' } },
    { asked: 'parameters that are a list', path, body: { inputs: [tensor], parameters: [1] } },
    { asked: 'an identifier that is a number', path, body: { id: 7, inputs: [tensor] } },
    {
      asked: 'a binary part that is not there',
      path,
      body: { inputs: [{ ...without('data'), parameters: { binary_data_size: 999 } }] },
      headers: { 'inference-header-content-length': '10' },
    },
    {
      asked: 'a header that is longer than the body',
      path,
      body: { inputs: [tensor] },
      headers: { 'inference-header-content-length': '999999' },
    },
    {
      asked: 'a body that is not compressed as it says',
      path,
      body: { inputs: [tensor] },
      headers: { 'content-encoding': 'gzip' },
    },
    { asked: 'GET of a call', method: 'GET', path },
    { asked: 'PUT of a call', method: 'PUT', path, body: { inputs: [tensor] } },
    { asked: 'POST of the metadata', path: `/v2/models/${model}`, body: {} },
    { asked: 'a route that is not there', path: '/v2/nope', body: {} },
    { asked: 'another protocol', path: '/v3/models/nope/infer', body: {} },
    { asked: 'a form', path, body: 'inputs=a', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    { asked: 'a header of 100 kB', path, body: { inputs: [tensor] }, headers: { 'x-long': 'x'.repeat(100_000) } },
    { asked: 'to load an unknown model', path: '/v2/repository/models/nope/load', body: {} },
    { asked: 'to unload an unknown model', path: '/v2/repository/models/nope/unload', body: {} },
    ...OWN_MODELS,
  ];
}

const infer = (model, name, datatype, shape, data) => ({
  path: `/v2/models/${model}/infer`,
  body: { inputs: [{ name, datatype, shape, data }] },
});

/** Of test/fixtures/mlserver and deploy/local/models: `on` says which server has the model. */
const OWN_MODELS = [
  { on: 'mlserver', asked: 'what a model refuses', ...infer('broken', 'KIND', 'BYTES', [1], ['refused']) },
  { on: 'mlserver', asked: 'a model that fails', ...infer('broken', 'KIND', 'BYTES', [1], ['failed']) },
  { on: 'triton', asked: 'sound of no length', ...infer('whisper', 'AUDIO', 'FP32', [0], []) },
  { on: 'triton', asked: 'a call without one of two inputs', ...infer('rerank', 'QUERY', 'BYTES', [1, 1], ['a']) },
  { on: 'triton', asked: 'more than fits the queue', times: 64, ...infer('narrow', 'TEXT', 'BYTES', [1, 1], ['a']) },
  {
    on: 'triton',
    asked: 'more than the queue serves in time',
    times: 16,
    ...infer('hasty', 'TEXT', 'BYTES', [1, 1], ['a']),
  },
  { on: 'triton', asked: 'a model with many answers', ...infer('many', 'TEXT', 'BYTES', [1, 1], ['a']) },
  {
    on: 'triton',
    asked: 'to load a model without its files',
    path: '/v2/repository/models/nothing/load',
    body: { parameters: { config: '{"backend": "python"}' } },
  },
  {
    on: 'triton',
    asked: 'to load a model with a configuration that is none',
    path: '/v2/repository/models/minilm/load',
    body: { parameters: { config: '{"nope": 1}' } },
  },
];
