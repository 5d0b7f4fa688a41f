/** Requests of OpenAI’s API that a front of several engines, with a model `assistant`, cannot serve. */
function gateway() {
  const path = '/chat/completions';
  const messages = [{ role: 'user', content: 'Hi' }];
  const chat = (asked, more) => ({ asked, path, body: { model: 'assistant', messages, max_tokens: 1, ...more } });
  return [
    { asked: 'nothing', path, body: '' },
    { asked: 'half an object', path, body: '{"messages": [' },
    { asked: 'no JSON', path, body: 'text' },
    { asked: 'a list', path, body: '[]' },
    { asked: 'no model', path, body: { messages } },
    { asked: 'no messages', path, body: { model: 'assistant' } },
    chat('an unknown model', { model: 'nope' }),
    chat('an unknown model, streamed', { model: 'nope', stream: true }),
    chat('a model that is a number', { model: 7 }),
    chat('messages that are a text', { messages: 'Hi' }),
    chat('an empty list of messages', { messages: [] }),
    chat('a role that nobody has', { messages: [{ role: 'nobody', content: 'Hi' }] }),
    chat('content that is a number', { messages: [{ role: 'user', content: 7 }] }),
    chat('a temperature that is a text', { temperature: 'hot' }),
    chat('a temperature that is too high', { temperature: 9 }),
    chat('a limit that is a text', { max_tokens: 'many' }),
    chat('a limit below one', { max_tokens: -1 }),
    chat('a stream that is a text', { stream: 'yes' }),
    chat('no answer', { n: 0 }),
    chat('too many probabilities', { logprobs: true, top_logprobs: 99 }),
    chat('tools that are a text', { tools: 'f' }),
    chat('an unknown format', { response_format: { type: 'nope' } }),
    chat('a longer conversation than the context', { messages: [{ role: 'user', content: 'mill '.repeat(9_000) }] }),
    chat('a longer conversation than the context, streamed', {
      stream: true,
      messages: [{ role: 'user', content: 'mill '.repeat(9_000) }],
    }),
    { asked: 'a completion without a prompt', path: '/completions', body: { model: 'assistant', max_tokens: 1 } },
    { asked: 'vectors of a chat model', path: '/embeddings', body: { model: 'assistant', input: 'Hi' } },
    { asked: 'vectors of an unknown model', path: '/embeddings', body: { model: 'nope', input: 'Hi' } },
    { asked: 'a ranking by a chat model', path: '/rerank', body: { model: 'assistant', query: 'q', documents: ['a'] } },
    { asked: 'speech', path: '/audio/speech', body: { model: 'assistant', input: 'Hi', voice: 'x' } },
    { asked: 'a response of an unknown model', path: '/responses', body: { model: 'nope', input: 'Hi' } },
    { asked: 'GET of a call', method: 'GET', path },
    { asked: 'PUT of a call', method: 'PUT', path, body: { messages } },
    { asked: 'a route that is not there', path: '/nope', body: {} },
    { asked: 'another media type', path, body: '<a/>', headers: { 'content-type': 'application/xml' } },
    { ...chat('a header of 100 kB'), headers: { 'x-long': 'x'.repeat(100_000) } },
  ];
}

export const dynamo = gateway;
export const sglangRouter = gateway;

/** Of a router without a worker. */
export const sglangRouterAlone = () => [
  {
    asked: 'a call',
    path: '/chat/completions',
    body: { model: 'assistant', messages: [{ role: 'user', content: 'Hi' }] },
  },
  {
    asked: 'a streamed call',
    path: '/chat/completions',
    body: { model: 'assistant', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
  },
  { asked: 'its models', method: 'GET', path: '/models' },
];
