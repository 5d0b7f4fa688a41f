/** Requests to the models of test/servers/services/torchserve_*.py that TorchServe cannot serve. */

const LONG = { 'x-long': 'x'.repeat(100_000) };
const JSON_TYPE = { 'content-type': 'application/json' };
const TEXT = { 'content-type': 'text/plain' };
const PARTS = { 'content-type': 'multipart/form-data; boundary=x' };
const WRONG = { authorization: 'Bearer another-token' };

export function torchserve() {
  const path = '/predictions/model';
  const text = (asked, body, more) => ({ asked, path, body, headers: TEXT, ...more });
  return [
    text('a wrong token', 'text', { headers: { ...TEXT, ...WRONG } }),
    text('a token of another scheme', 'text', { headers: { ...TEXT, authorization: 'token' } }),
    { asked: 'an unknown model', path: '/predictions/nope', body: 'text', headers: TEXT },
    { asked: 'an unknown version', path: `${path}/9.0`, body: 'text', headers: TEXT },
    { asked: 'a version that is no number', path: `${path}/nope`, body: 'text', headers: TEXT },
    { asked: 'no model', path: '/predictions', body: 'text', headers: TEXT },
    { asked: 'a route that is not there', path: '/nope', body: 'text', headers: TEXT },
    { asked: 'a route of the management', path: '/models', body: 'text', headers: TEXT },
    text('what the handler refuses', 'bad'),
    text('more than the handler takes at once', 'full'),
    text('a handler that fails', 'broken'),
    text('a handler that is short of memory', 'memory'),
    text('an output that is no JSON', 'no list'),
    { asked: 'half an object', path, body: '[[1,', headers: JSON_TYPE },
    { asked: 'a part that is none', path, body: 'a', headers: { 'content-type': 'multipart/form-data' } },
    text('a header of 100 kB', 'text', { headers: { ...TEXT, ...LONG } }),
    text('a body of 8 MB', 'x'.repeat(8_000_000)),
    { asked: 'another body than the parts that it says', path, body: '--x', headers: PARTS },
    { asked: 'a text of half an object', path, body: '[[1,', headers: TEXT },
    { asked: 'bytes that are not UTF-8', path, body: Buffer.from([0x7b, 0xff, 0x7d]), headers: JSON_TYPE },
    { asked: 'DELETE of a call', method: 'DELETE', path },
    {
      asked: 'PUT of a call to an unknown model',
      method: 'PUT',
      path: '/predictions/nope',
      body: 'text',
      headers: TEXT,
    },
    { asked: 'a path of a model’s name that has no escape', path: '/predictions/%zz', body: 'text', headers: TEXT },
    { asked: 'an explanation by an unknown model', path: '/explanations/nope', body: 'text', headers: TEXT },
    { asked: 'an explanation by a model that has none', path: '/explanations/model', body: 'text', headers: TEXT },
    { asked: 'an unknown model of KServe v2', path: '/v2/models/nope/infer', body: { inputs: [] } },
    { asked: 'an unknown model of KServe v1', path: '/v1/models/nope:predict', body: { instances: ['a'] } },
    text('a worker that dies', 'die'),
    text('a model whose worker is starting', 'text'),
  ];
}

export function torchserveGrpc() {
  const data = (text) => ({ data: Buffer.from(text) });
  const call = (asked, text, more) => ({
    asked,
    method: 'Predictions',
    request: { model_name: 'model', model_version: '', input: data(text), ...more },
  });
  return [
    { ...call('a wrong token', 'text'), metadata: WRONG },
    { ...call('a token of another scheme', 'text'), metadata: { authorization: 'token' } },
    call('an unknown model', 'text', { model_name: 'nope' }),
    call('an unknown version', 'text', { model_version: '9.0' }),
    call('a version that is no number', 'text', { model_version: 'nope' }),
    call('no model', 'text', { model_name: '' }),
    call('what the handler refuses', 'bad'),
    call('more than the handler takes at once', 'full'),
    call('a handler that fails', 'broken'),
    call('a handler that is short of memory', 'memory'),
    call('an output that is no JSON', 'no list'),
    call('no input', 'text', { input: {} }),
    call('a message of 8 MB', 'x'.repeat(8_000_000)),
    { asked: 'bytes that are no message', method: 'Predictions', request: Buffer.from([0xff, 0xff, 0xff]) },
    {
      ...call('a method that is not there', 'text'),
      path: '/org.pytorch.serve.grpc.inference.InferenceAPIsService/Nope',
    },
    { ...call('a service that is not there', 'text'), path: '/inference.GRPCInferenceService/Nope' },
    {
      ...call('a stream of an unknown model', 'text', { model_name: 'nope' }),
      method: 'StreamPredictions',
      streams: true,
    },
    { ...call('a stream of a handler that fails', 'broken'), method: 'StreamPredictions', streams: true },
    call('a worker that dies', 'die'),
    call('a model whose worker is starting', 'text'),
  ];
}
