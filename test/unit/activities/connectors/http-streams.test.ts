import { describe, expect, it } from 'vitest';
import { describedHttp, posts } from './described-http.js';

const { server, http, parsed, call } = describedHttp();

describe('streams', () => {
  const sse = {
    ...posts({}),
    response: {
      stream: { as: 'sse', delta: ['/body/t', '/body/u'], end: { at: '/body/end', is: true } },
      output: { text: '$/text', finish: 'stop' },
    },
  };
  const ndjson = {
    ...sse,
    response: { ...sse.response, stream: { ...sse.response.stream, as: 'ndjson', mode: 'whole' } },
  };
  const plain = { ...posts({}), response: { stream: { as: 'text' }, output: { text: '$/text', finish: 'stop' } } };
  const streaming = async (options: object, parts: readonly (string | Buffer)[], type = 'text/event-stream') => {
    server.answer = async (response) => {
      response.writeHead(200, { 'content-type': type });
      for (const part of parts) await new Promise((resolve) => response.write(part, resolve));
      response.end();
    };
    const chunks: (string | number)[] = [];
    const { output } = await call(options, {
      kind: 'chat',
      input: { prompt: 'p', history: [] },
      context: { emit: (chunk) => void chunks.push(chunk) },
    });
    return { text: output.text, chunks: chunks.filter((chunk) => chunk !== '') };
  };

  it('server-sent events, however they are cut', async () => {
    const whole =
      ': hi\r\nevent: x\r\ndata: {"t":"é",\r\ndata: "x":1}\r\n\r\ndata:{"u":"b"}\n\nid: 1\rdata: {"t":"c","end":true}\r\r';
    const bytes = Buffer.from(whole);
    const cuts = [[bytes], [...bytes].map((byte) => Buffer.from([byte]))];
    for (const parts of cuts) expect((await streaming(sse, parts)).text).toBe('ébc');
  });

  it('lines of JSON with the whole text so far', async () => {
    expect(
      await streaming(ndjson, ['{"t":"a"}\n{"t":"ab"}\n', '\n{"t":"ab","end":true}'], 'application/x-ndjson'),
    ).toEqual({ text: 'ab', chunks: ['a', 'b'] });
  });

  it.each([
    [
      ['Hello \ufffd', 'Hello 👋', 'Hello 👋 there'],
      ['Hello ', '👋', ' there'],
    ],
    [['Hallo', 'Hello', 'Hello there'], ['Hallo']],
    [
      ['Hello', 'Hello \ufffd', ''],
      ['Hello', ' ', '\ufffd'],
    ],
  ])('lines of JSON whose text changes its end: the last one counts (%j)', async (texts, chunks) => {
    const lines = [...texts.map((t) => ({ t })), { end: true }].map((line) => `${JSON.stringify(line)}\n`);
    const text = texts.findLast((each) => each !== '');
    expect(await streaming(ndjson, lines, 'application/x-ndjson')).toEqual({ text, chunks });
  });

  it('text as it arrives, and a last event that is no JSON', async () => {
    expect(
      (await streaming(plain, [Buffer.from('é').subarray(0, 1), Buffer.from('é').subarray(1), 'b'], 'text/plain')).text,
    ).toBe('éb');
    await expect(streaming(plain, [], 'text/plain')).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    const done = ['data: {"t":"a"}\n\ndata: [DONE]\n\ndata: {"t":"b"}\n\n'];
    const { end: _, ...unended } = sse.response.stream;
    expect((await streaming({ ...sse, response: { ...sse.response, stream: unended } }, done)).text).toBe('a');
    await expect(streaming(sse, done)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringContaining('broke off after 1 characters'),
    });
  });

  it.each(['vertex', 'pai-eas'])(
    'of %s that fails in the middle is no answer, though [DONE] follows',
    async (preset) => {
      const said = { choices: [{ delta: { content: 'The answer is' }, finish_reason: null }] };
      const failed = { error: { message: 'EngineCore died', type: 'InternalServerError', param: null, code: 500 } };
      const values = preset === 'vertex' ? { project: 'p', location: 'l' } : {};
      const events = [JSON.stringify(said), JSON.stringify(failed), '[DONE]'].map((data) => `data: ${data}\n\n`);
      await expect(streaming({ preset, values }, events)).rejects.toMatchObject({
        code: 'BACKEND_ERROR',
        message: expect.stringContaining('EngineCore died'),
      });
    },
  );

  it.each([
    ['abort', 'BACKEND_UNAVAILABLE'],
    ['insufficient_system_resource', 'BACKEND_UNAVAILABLE'],
    ['content_filter', 'BACKEND_REJECTED'],
    ['content_filter: RECITATION', 'BACKEND_REJECTED'],
    ['function_call_filter: MALFORMED_FUNCTION_CALL', 'INVALID_OUTPUT'],
  ])('of chat completions behind a cloud that end with %s are %s', async (finish, code) => {
    const said = { choices: [{ delta: { content: 'The answer is' }, finish_reason: null }] };
    const ended = { choices: [{ delta: {}, finish_reason: finish }] };
    const events = [JSON.stringify(said), JSON.stringify(ended), '[DONE]'].map((data) => `data: ${data}\n\n`);
    for (const options of [
      { preset: 'azureml' },
      { preset: 'vertex', values: { project: 'p', location: 'l' } },
      { preset: 'pai-eas' },
    ]) {
      await expect(streaming(options, events)).rejects.toMatchObject({
        code,
        message: expect.stringContaining(finish),
      });
    }
  });

  it.each<[string, object, readonly (string | Buffer)[], string]>([
    ['within an event', sse, ['data: {"t":"a"}\n\ndata: {"t":"b'], 'text/event-stream'],
    ['behind the name of an event', sse, ['data: {"t":"a"}\n\nevent: x\n'], 'text/event-stream'],
    ['after a comment', sse, [': still here\n\n'], 'text/event-stream'],
    [
      'within a character of a line',
      ndjson,
      ['{"t":"a"}\n', Buffer.from('{"t":"é').subarray(0, -1)],
      'application/json',
    ],
    ['within a character of a text', plain, ['a', Buffer.from('é').subarray(0, 1)], 'text/plain'],
  ])('that end %s have broken off', async (_, options, parts, type) => {
    await expect(streaming(options, parts, type)).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
      message: expect.stringMatching(/broke off after [01] characters/),
    });
  });

  it('a last event may end with the connection', async () => {
    expect((await streaming(sse, ['data: {"t":"a","end":true}'])).text).toBe('a');
    expect((await streaming(ndjson, ['{"t":"a","end":true}'], 'application/x-ndjson')).text).toBe('a');
  });

  it.each([
    ['a stream of events', sse],
    ['one without a last event', { ...sse, response: { ...sse.response, stream: { as: 'sse', delta: '/body/t' } } }],
    ['a stream of text', plain],
  ])('a page in place of %s is no answer', async (_, options) => {
    const page = ['<!DOCTYPE html>\n<html><title>Sign in</title></html>'];
    await expect(streaming(options, page, 'text/html; charset=utf-8')).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('the answer is text/html; charset=utf-8, not a stream'),
    });
    if (options === plain) expect((await streaming(plain, ['<b>bold</b>'], 'text/html')).text).toBe('<b>bold</b>');
  });

  it('without any event is no answer', async () => {
    const open = { ...sse, response: { ...sse.response, stream: { as: 'sse', delta: '/body/t' } } };
    await expect(streaming(open, [': nothing\n\n'])).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    expect((await streaming(open, ['data: [DONE]\n\n'])).text).toBe('');
  });

  it('leaves the connection to the next call, though more follows the event that ends the answer', async () => {
    const sockets = new Set<unknown>();
    let calls = 0;
    let finish = () => {};
    server.answer = (response) => {
      calls++;
      sockets.add(response.socket);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"t":"a","end":true}\n\n');
      finish = () => void response.end('data: {"usage":1}\n\ndata: [DONE]\n\n');
    };
    const again = async () => {
      await call(sse, { kind: 'chat', input: { prompt: 'p', history: [] } });
      finish();
      return calls - sockets.size;
    };
    await expect.poll(again, { timeout: 10_000 }).toBeGreaterThan(0);
  });

  it('closes the connection of an answer whose server goes on after its end', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    server.answer = (response) => {
      closed = new Promise((resolve) => response.once('close', resolve));
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"t":"a","end":true}\n\n');
    };
    const { output } = await call(sse, { kind: 'chat', input: { prompt: 'p', history: [] } });
    expect(output.text).toBe('a');
    await closed;
  });

  it('a server that does not stream', async () => {
    expect((await streaming(sse, ['{"t":"whole","end":true}'], 'application/json')).text).toBe('whole');
  });

  it.each(['application/jsonlines', 'application/x-ndjson', 'application/x-jsonlines; charset=utf-8'])(
    'lines of %s in place of events',
    async (type) => {
      const lines = ['{"t":"a"}\n{"t":', '"b"}\n', '\n{"t":"c","end":true}\n'];
      expect(await streaming(sse, lines, type)).toEqual({ text: 'abc', chunks: ['a', 'b', 'c'] });
      await expect(streaming(sse, lines.slice(0, 2), type)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    },
  );

  it('events whose type is that of lines', async () => {
    const events = ['\n: hi\n\ndata: {"t":"a"}\n\nda', 'ta: {"t":"b","end":true}\n\n'];
    expect(await streaming(sse, events, 'application/x-ndjson')).toEqual({ text: 'ab', chunks: ['a', 'b'] });
  });

  it.each<[string, string, string]>([
    ['breaks off', 'data: {"t":"a"}\n\n', 'BACKEND_UNAVAILABLE'],
    ['is no JSON', 'data: {"t":\n\n', 'INVALID_OUTPUT'],
    ['has a line without end', `data: ${'x'.repeat(5 * 1_024 * 1_024)}`, 'INVALID_OUTPUT'],
    ['has an event without end', `${'data: x'.repeat(100_000)}\n`.repeat(9), 'INVALID_OUTPUT'],
  ])('a stream that %s', async (_, body, code) => {
    await expect(streaming(sse, [body])).rejects.toMatchObject({ code });
  });

  it('needs the capability, which only pools that stream have', () => {
    expect(http.capabilitiesOf?.(parsed('chat', sse)).has('stream')).toBe(true);
    expect(http.capabilitiesOf?.(parsed('chat', { ...posts({}), response: { output: '$/body' } })).has('stream')).toBe(
      false,
    );
  });
});
