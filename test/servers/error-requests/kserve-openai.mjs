/** Requests to the OpenAI route of test/servers/services/kserve_openai.py that it cannot serve. */
export function kserveOpenAi() {
  const path = '/chat/completions';
  const messages = [{ role: 'user', content: 'Hi' }];
  const chat = (asked, more) => ({ asked, path, body: { model: 'chat', messages, ...more } });
  const says = (asked, content, more) => chat(asked, { messages: [{ role: 'user', content }], ...more });
  return [
    { asked: 'nothing', path, body: '' },
    { asked: 'half an object', path, body: '{"messages": [' },
    { asked: 'no JSON', path, body: 'text' },
    { asked: 'a list', path, body: '[]' },
    { asked: 'bytes that are not UTF-8', path, body: Buffer.from([0x7b, 0xff, 0x7d]) },
    { asked: 'another media type', path, body: '<a/>', headers: { 'content-type': 'application/xml' } },
    { asked: 'no model', path, body: { messages } },
    { asked: 'no messages', path, body: { model: 'chat' } },
    chat('an unknown model', { model: 'nope' }),
    chat('an unknown model, streamed', { model: 'nope', stream: true }),
    chat('a model of another protocol', { model: 'running' }),
    chat('a chat with an encoder', { model: 'encoder' }),
    chat('messages that are a text', { messages: 'Hi' }),
    chat('a temperature that is a text', { temperature: 'hot' }),
    chat('a limit that is a text', { max_tokens: 'many' }),
    chat('a stream that is a text', { stream: 'perhaps' }),
    chat('options of a stream that there is not', { stream_options: { include_usage: true } }),
    chat('probabilities without a request for them', { top_logprobs: 5 }),
    chat('a choice of tools without tools', { tool_choice: 'required' }),
    chat('tools that are a text', { tools: 'f' }),
    chat('an unknown format', { response_format: { type: 'nope' } }),
    says('what the model refuses', 'bad'),
    says('a model that fails', 'broken'),
    says('more than the model takes at once', 'full'),
    says('more than the model takes at once, streamed', 'full', { stream: true }),
    { asked: 'a completion', path: '/completions', body: { model: 'chat', prompt: 'Hi' } },
    { asked: 'a completion without a prompt', path: '/completions', body: { model: 'chat' } },
    { asked: 'a completion with an encoder', path: '/completions', body: { model: 'encoder', prompt: 'Hi' } },
    { asked: 'vectors of a chat model', path: '/embeddings', body: { model: 'chat', input: 'Hi' } },
    { asked: 'vectors of an unknown model', path: '/embeddings', body: { model: 'nope', input: 'Hi' } },
    { asked: 'vectors of nothing', path: '/embeddings', body: { model: 'encoder' } },
    {
      asked: 'vectors of an unknown format',
      path: '/embeddings',
      body: { model: 'encoder', input: 'Hi', encoding_format: 'x' },
    },
    { asked: 'a ranking by a chat model', path: '/rerank', body: { model: 'chat', query: 'q', documents: ['a'] } },
    { asked: 'a ranking without a query', path: '/rerank', body: { model: 'encoder', documents: ['a'] } },
    {
      asked: 'a ranking of fewer than none',
      path: '/rerank',
      body: { model: 'encoder', query: 'q', documents: ['a'], top_n: -1 },
    },
    { asked: 'speech', path: '/audio/speech', body: { model: 'chat', input: 'Hi' } },
    { asked: 'whether an unknown model is ready', method: 'GET', path: '/models/nope' },
    { asked: 'GET of a call', method: 'GET', path },
    { asked: 'PUT of a call', method: 'PUT', path, body: { messages } },
    { asked: 'a route that is not there', path: '/nope', body: {} },
    { ...chat('a header of 100 kB'), headers: { 'x-long': 'x'.repeat(100_000) } },
  ];
}
