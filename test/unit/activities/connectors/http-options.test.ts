import { describe, expect, it } from 'vitest';
import { describedHttp, json, posts } from './described-http.js';

const { server, parsed, call, last, sentJson } = describedHttp();

describe('options that do not fit are named when they are read', () => {
  it.each<[object, string, RegExp]>([
    [{}, 'options.request', /needs a preset, or request and response/],
    [{ preset: 'torchservee' }, 'options.preset', /did you mean "torchserve"/],
    [{ preset: 'tgi' }, 'options.request', /tgi has no request of a acme\/any stage/],
    [posts({ a: '$/inptu/a' }), 'options.request.json.a', /has nothing at \/inptu: there is \/model/],
    [posts({ $form: '/input/a' }), 'options.request.json.$form', /is no operator/],
    [posts({ $from: '/input/a', optinal: true }), 'options.request.json.optinal', /may not stand beside \$from/],
    [posts({ $each: '/input/a' }), 'options.request.json.as', /is required/],
    [posts({ $from: 'input/a' }), 'options.request.json.$from', /must be a JSON pointer/],
    [
      posts({ $each: '/input/l', as: { $base64: '/item' } }),
      'options.request.json.as.$base64',
      /cannot be of an item: a file is named by its place/,
    ],
    [posts('$/body/a'), 'options.request.json', /has nothing at \/body/],
    [{ request: { path: '/x', json: 1, form: {} } }, 'options.request', /json and form: a request has one body/],
    [{ request: { path: '/x', method: 'GET', json: 1 } }, 'options.request', /a GET has no body/],
    [{ request: { json: 1 } }, 'options.request', /needs a path/],
    [{ request: { path: '/x', headers: { Host: 'a' } } }, 'options.request.headers.Host', /connection sets/],
    [{ ...posts(1), errors: [{ code: 'INTERNAL' }] }, 'options.errors.0.code', /BACKEND_UNAVAILABLE/],
    [
      { ...posts(1), errors: [{ code: 'BACKEND_ERROR', when: { at: '/x', is: 1 } }] },
      'options.errors.0.when.at',
      /has nothing at \/x/,
    ],
    [{ ...posts(1), response: { output: '$/bdy' } }, 'options.response.output', /nothing at \/bdy/],
    [
      { ...posts(1), response: { stream: { as: 'text', mode: 'whole' } } },
      'options.response.stream.mode',
      /is for sse and ndjson/,
    ],
    [{ ...posts(1), respnse: {} }, 'options', /did you mean "response"/],
  ])('%j', (options, field, message) => {
    try {
      parsed('acme/any', options);
      expect.unreachable();
    } catch (error) {
      const { code, details } = error as { code: string; details: { fields: { field: string; message: string }[] } };
      expect(code).toBe('INVALID_SETTING');
      expect(details.fields).toContainEqual({ field, message: expect.stringMatching(message) });
    }
  });

  it('names a preset’s value that it does not have', () => {
    expect(() => parsed('classify', { preset: 'torchserve', values: { verison: 2 } })).toThrow(
      /verison: torchserve has no such value \(it has: version\).*"version"/,
    );
  });

  it('lets a pool replace members of its preset, and keeps the others', async () => {
    server.gives(200, '{"label":"yes"}', json);
    const options = {
      preset: 'kserve-v1',
      request: { json: { text: '$/input/text' } },
      response: { output: { label: '$/body/label' } },
    };
    const { output } = await call(options, { kind: 'classify', with: { labels: ['yes', 'no'] }, input: { text: 't' } });
    expect([last()?.url, sentJson()]).toEqual(['/v1/models/m%2F1:predict', { text: 't' }]);
    expect(output).toEqual({ label: 'yes', score: 1, scores: { yes: 1, no: 0 } });
  });
});
