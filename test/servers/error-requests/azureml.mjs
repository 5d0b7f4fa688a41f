/** Requests to test/servers/services/azureml_score.py that Azure Machine Learning's inference server cannot serve. */
export function azureml() {
  const path = '/score';
  const LONG = { 'x-long': 'x'.repeat(100_000) };
  return [
    { asked: 'a route that is not there', path: '/nope', body: {} },
    { asked: 'nothing', path, body: '' },
    { asked: 'half an object', path, body: '{"text":' },
    { asked: 'no JSON', path, body: 'text' },
    { asked: 'a list', path, body: '[]' },
    { asked: 'no arguments', path, body: {} },
    { asked: 'bytes that are not UTF-8', path, body: Buffer.from([0x7b, 0xff, 0x7d]) },
    { asked: 'another character set', path, body: '{}', headers: { 'content-type': 'application/json; charset=nope' } },
    { asked: 'what the script refuses', path, body: { text: 'bad' } },
    { asked: 'more than the script takes at once', path, body: { text: 'full' } },
    { asked: 'a script that answers 503', path, body: { text: 'away' } },
    { asked: 'a script that fails', path, body: { text: 'broken' } },
    { asked: 'a script that takes too long', path, body: { text: 'endless' } },
    { asked: 'PUT of a call', method: 'PUT', path, body: { text: 'a' } },
    { asked: 'DELETE of a call', method: 'DELETE', path },
    { asked: 'GET of a call', method: 'GET', path },
    { asked: 'POST of the health', path: '/', body: {} },
    { asked: 'a long identifier', path, body: { text: 'a' }, headers: { 'x-request-id': 'x'.repeat(101) } },
    {
      asked: 'a long identifier of the client',
      path,
      body: { text: 'a' },
      headers: { 'x-ms-client-request-id': 'x'.repeat(101) },
    },
    { asked: 'a header of 100 kB', path, body: { text: 'a' }, headers: LONG },
  ];
}
