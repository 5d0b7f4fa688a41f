/** Requests to the services of test/servers/services that cannot be served. */

const LONG = { 'x-long': 'x'.repeat(100_000) };

export const bentoml = () => [
  { asked: 'a route that is not there', path: '/nope', body: {} },
  { asked: 'nothing', path: '/classify', body: '' },
  { asked: 'half an object', path: '/classify', body: '{"text":' },
  { asked: 'no JSON', path: '/classify', body: 'text' },
  { asked: 'a list', path: '/classify', body: '[]' },
  { asked: 'null', path: '/classify', body: 'null' },
  { asked: 'no arguments', path: '/classify', body: {} },
  { asked: 'an argument of another type', path: '/classify', body: { text: 5 } },
  { asked: 'an argument that is null', path: '/classify', body: { text: null } },
  { asked: 'a text in place of a list', path: '/embed', body: { texts: 'a' } },
  { asked: 'a list with a number', path: '/embed', body: { texts: ['a', 5] } },
  { asked: 'one of two arguments', path: '/rerank', body: { query: 'q' } },
  { asked: 'a matrix of texts', path: '/infer', body: { X: [['a']] } },
  { asked: 'a vector in place of a matrix', path: '/infer', body: { X: [1] } },
  { asked: 'a fraction in place of a whole number', path: '/chat', body: { prompt: 'p', max_tokens: 1.5 } },
  { asked: 'a stream without arguments', path: '/chat', body: {} },
  { asked: 'a file in JSON', path: '/transcribe', body: { audio: 'a' } },
  { asked: 'no file', path: '/transcribe', body: {} },
  { asked: 'a part that is none', path: '/transcribe', body: 'a', headers: { 'content-type': 'multipart/form-data' } },
  { asked: 'another media type', path: '/classify', body: '<a/>', headers: { 'content-type': 'application/xml' } },
  { asked: 'bytes that are not UTF-8', path: '/classify', body: Buffer.from([0x7b, 0xff, 0x7d]) },
  { asked: 'a service that fails', path: '/classify', body: { text: 'broken' } },
  { asked: 'GET of a call', method: 'GET', path: '/classify' },
  { asked: 'PUT of a call', method: 'PUT', path: '/classify', body: { text: 'a' } },
  { asked: 'a header of 100 kB', path: '/classify', body: { text: 'a' }, headers: LONG },
  {
    asked: 'a body that is not compressed as it says',
    path: '/classify',
    body: { text: 'a' },
    headers: { 'content-encoding': 'gzip' },
  },
  { asked: 'a task without arguments', path: '/classify_task/submit', body: {} },
  { asked: 'an unknown task', method: 'GET', path: '/classify_task/status?task_id=nope' },
  { asked: 'the result of an unknown task', method: 'GET', path: '/classify_task/get?task_id=nope' },
  { asked: 'to cancel an unknown task', method: 'PUT', path: '/classify_task/cancel?task_id=nope' },
  { asked: 'a task without an identifier', method: 'GET', path: '/classify_task/status' },
  { asked: 'POST of a task’s state', path: '/classify_task/status?task_id=nope', body: {} },
];

export const litserve = () => [
  { asked: 'a route that is not there', path: '/nope', body: {} },
  { asked: 'nothing', path: '/predict', body: '' },
  { asked: 'half an object', path: '/predict', body: '{"input":' },
  { asked: 'no JSON', path: '/predict', body: 'text' },
  { asked: 'a list', path: '/predict', body: '[]' },
  { asked: 'null', path: '/predict', body: 'null' },
  { asked: 'no arguments', path: '/predict', body: {} },
  { asked: 'an argument of another type', path: '/predict', body: { input: 5 } },
  { asked: 'an empty list', path: '/predict', body: { input: [] } },
  { asked: 'a text that the service refuses', path: '/predict', body: { input: 'bad' } },
  { asked: 'a text that the service cannot read', path: '/predict', body: { input: ['at x'] } },
  { asked: 'a stream without arguments', path: '/chat', body: {} },
  { asked: 'another media type', path: '/predict', body: '<a/>', headers: { 'content-type': 'application/xml' } },
  {
    asked: 'a form',
    path: '/predict',
    body: 'input=a',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  },
  { asked: 'a part that is none', path: '/predict', body: 'a', headers: { 'content-type': 'multipart/form-data' } },
  { asked: 'bytes that are not UTF-8', path: '/predict', body: Buffer.from([0x7b, 0xff, 0x7d]) },
  { asked: 'GET of a call', method: 'GET', path: '/predict' },
  { asked: 'PUT of a call', method: 'PUT', path: '/predict', body: { input: 'a' } },
  { asked: 'POST of the health', path: '/health', body: {} },
  { asked: 'a header of 100 kB', path: '/predict', body: { input: 'a' }, headers: LONG },
];

export const rayServe = () => {
  const path = '/anything';
  return [
    { asked: 'a route that is not there', path: '/nope', body: {} },
    { asked: 'nothing', path, body: '' },
    { asked: 'half an object', path, body: '{"text":' },
    { asked: 'no JSON', path, body: 'text' },
    { asked: 'a list', path, body: '[]' },
    { asked: 'a text that the application refuses', path, body: { text: 'bad' } },
    { asked: 'an argument of another type', path, body: { text: 5 } },
    { asked: 'an application that fails', path, body: { text: 'broken' } },
    { asked: 'bytes that are not UTF-8', path, body: Buffer.from([0x7b, 0xff, 0x7d]) },
    { asked: 'more calls than a deployment queues', path: '/full', body: { text: 'slow' }, times: 6 },
    { asked: 'a header of 100 kB', path, body: { text: 'a' }, headers: LONG },
  ];
};

export function kserveV1({ model }) {
  const path = `/v1/models/${model}:predict`;
  return [
    { asked: 'an unknown model', path: '/v1/models/nope:predict', body: { instances: ['a'] } },
    { asked: 'whether an unknown model is ready', method: 'GET', path: '/v1/models/nope' },
    { asked: 'an explanation by an unknown model', path: '/v1/models/nope:explain', body: { instances: ['a'] } },
    { asked: 'an explanation', path: `/v1/models/${model}:explain`, body: { instances: ['a'] } },
    { asked: 'nothing', path, body: '' },
    { asked: 'half an object', path, body: '{"instances":' },
    { asked: 'no JSON', path, body: 'text' },
    { asked: 'a list', path, body: '[]' },
    { asked: 'a number', path, body: '7' },
    { asked: 'null', path, body: 'null' },
    { asked: 'no instances', path, body: {} },
    { asked: 'an empty list of instances', path, body: { instances: [] } },
    { asked: 'instances that are a number', path, body: { instances: 7 } },
    { asked: 'instances that are a text', path, body: { instances: 'a' } },
    { asked: 'what the model refuses', path, body: { instances: ['bad'] } },
    { asked: 'a model that fails', path, body: { instances: ['broken'] } },
    { asked: 'bytes that are not UTF-8', path, body: Buffer.from([0x7b, 0xff, 0x7d]) },
    {
      asked: 'an event of the cloud without its data',
      path,
      body: {},
      headers: { 'ce-id': '1', 'ce-type': 't', 'ce-source': 's', 'ce-specversion': '9' },
    },
    {
      asked: 'an event of the cloud that is none',
      path,
      body: 'a',
      headers: { 'content-type': 'application/cloudevents+json' },
    },
    { asked: 'GET of a call', method: 'GET', path },
    { asked: 'PUT of a call', method: 'PUT', path, body: { instances: ['a'] } },
    { asked: 'another verb', path: `/v1/models/${model}:nope`, body: {} },
    { asked: 'a route that is not there', path: '/v1/nope', body: {} },
    { asked: 'OpenAI’s route', path: '/openai/v1/chat/completions', body: { model: 'nope', messages: [] } },
    { asked: 'a header of 100 kB', path, body: { instances: ['a'] }, headers: LONG },
  ];
}
