import { describe, expect, test, vi } from 'vitest';
import { ClientError, type ClientEvent, MillraceClient } from '../../../client/index.js';
import { serverEvents } from '../../../client/sse.js';

interface SentRequest {
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body?: string | FormData;
}

/** A client whose requests are answered in turn; an `Error` is a connection that fails. */
function answered(...answers: (Response | Error)[]) {
  const requests: SentRequest[] = [];
  const own = async (url: string, init: RequestInit) => {
    requests.push({
      url,
      headers: init.headers as Record<string, string>,
      ...(init.body && { body: init.body as string }),
    });
    const answer = answers.shift();
    if (answer === undefined) throw new Error('nothing more was expected');
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { requests, client: new MillraceClient({ baseUrl: 'http://gateway/', fetch: own as typeof fetch }) };
}

/** The form that was sent. */
const bodyOf = (request: SentRequest | undefined) => request?.body as FormData;

const json = (body: object, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), { status, headers });
const sse = (text: string) => new Response(text, { headers: { 'content-type': 'text/event-stream' } });
const event = (n: number) => `id: ${n}-0\nevent: stage.delta\ndata: {"type":"stage.delta","text":"${n}"}\n\n`;
const end = 'id: end\nevent: run\ndata: {"id":"r","status":"succeeded"}\n\n';
const down = new TypeError('fetch failed');

async function all<T>(events: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const each of events) list.push(each);
  return list;
}
const texts = (events: readonly ClientEvent[]) =>
  events.map((each) => (each.type === 'stage.delta' ? each.text : each.type));

describe('events', () => {
  test('go on behind the last one when the connection is lost, ends early or fails', async () => {
    const { client, requests } = answered(
      sse(event(1) + event(2)),
      down,
      sse(`${event(3)}id: 4-0\nevent: stage.delta\nda`),
      json({ code: 'ORCHESTRATOR_UNAVAILABLE' }, 503),
      sse('event: error\ndata: {"code":"ORCHESTRATOR_UNAVAILABLE"}\n\n'),
      sse(`${event(4)}${end}`),
    );
    expect(texts(await all(client.events('r')))).toEqual(['1', '2', '3', '4', 'run']);
    expect(requests.map(({ headers }) => headers['last-event-id'])).toEqual([
      undefined,
      '2-0',
      '2-0',
      '3-0',
      '3-0',
      '3-0',
    ]);
  });

  test('begin behind a position, and end where there is nothing more', async () => {
    const { client, requests } = answered(new Response(null, { status: 204 }));
    expect(await all(client.events('r', { after: 'end' }))).toEqual([]);
    expect(requests[0]).toMatchObject({ url: 'http://gateway/v1/runs/r/events', headers: { 'last-event-id': 'end' } });
  });

  test('of a run that is not there are an error', async () => {
    const { client } = answered(json({ code: 'RUN_NOT_FOUND', detail: 'no run' }, 404));
    await expect(all(client.events('r'))).rejects.toMatchObject({
      code: 'RUN_NOT_FOUND',
      status: 404,
      message: 'no run',
    });
  });

  test('end when nobody wants them any more', async () => {
    const over = new AbortController();
    const { client } = answered(sse(event(1)), down);
    const seen: string[] = [];
    for await (const each of client.events('r', { signal: over.signal })) {
      seen.push(each.id);
      over.abort();
    }
    expect(seen).toEqual(['1-0']);
  });
});

describe('a start', () => {
  test('that finds no gateway is tried again under the same key', async () => {
    const { client, requests } = answered(
      down,
      json({ code: 'ORCHESTRATOR_UNAVAILABLE' }, 503),
      json({ id: 'r', status: 'running' }, 202),
    );
    expect(await client.start('greet', { name: 'Ada' })).toMatchObject({ id: 'r' });
    expect(new Set(requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
    expect(requests[0]).toMatchObject({ url: 'http://gateway/v1/pipelines/greet/runs', body: '{"name":"Ada"}' });
  });

  test('whose response is cut off is tried again under the same key: the run may have started', async () => {
    const cut = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('{"id": "'));
        controller.error(new TypeError('terminated'));
      },
    });
    const { client, requests } = answered(
      new Response(cut, { status: 202 }),
      json({ id: 'r', status: 'running' }, 202),
    );
    expect(await client.start('greet', {})).toMatchObject({ id: 'r' });
    expect(new Set(requests.map(({ headers }) => headers['idempotency-key'])).size).toBe(1);
  });

  test('that is refused is not', async () => {
    const problem = {
      code: 'INVALID_INPUT',
      detail: 'name: is required',
      errors: [{ field: 'name', message: 'is required' }],
    };
    const { client } = answered(json(problem, 422));
    const error = await client.start('greet', {}).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ClientError);
    expect(error).toMatchObject({ code: 'INVALID_INPUT', status: 422, fields: problem.errors });
  });

  test('without a gateway says so in the end', async () => {
    const { client } = answered(down);
    await expect(client.start('greet', {}, { retries: 0 })).rejects.toMatchObject({
      code: 'GATEWAY_UNAVAILABLE',
      status: 0,
    });
  });

  test('sends a file in a field called input beside the part of that name', async () => {
    const { client, requests } = answered(json({ id: 'r', status: 'running' }, 202));
    await client.start('p', { input: new File(['RIFF'], 'q.wav'), language: 'en' });
    const parts = bodyOf(requests[0]).getAll('input') as File[];
    expect(parts.map(({ name, type }) => [name, type])).toEqual([
      ['q.wav', ''],
      ['blob', 'application/vnd.millrace.input+json'],
    ]);
    expect(await Promise.all(parts.map((part) => part.text()))).toEqual(['RIFF', '{"language":"en"}']);
  });

  test('sends bytes as files', async () => {
    const { client, requests } = answered(json({ id: 'r', status: 'running' }, 202));
    const bytes = Buffer.from('RIFF');
    const view = new DataView(bytes.buffer, bytes.byteOffset + 1, 2);
    await client.start('p', { speech: bytes, clips: [view, Uint8Array.from(bytes).buffer], named: { clip: view } });
    const parts = [...bodyOf(requests[0])].filter(([name]) => name !== 'input');
    const sent = parts.map(async ([name, part]) => [name, (part as File).name, await (part as File).text()]);
    expect(await Promise.all(sent)).toEqual([
      ['speech', 'speech', 'RIFF'],
      ['clips.0', 'clips.0', 'IF'],
      ['clips.1', 'clips.1', 'RIFF'],
      ['named.clip', 'named.clip', 'IF'],
    ]);
  });

  test('sends files under their paths, and the rest as one part', async () => {
    const { client, requests } = answered(json({ id: 'r', status: 'running' }, 202));
    const clip = new Blob(['RIFF']);
    await client.start('p', {
      speech: new File(['RIFF'], 'q.wav'),
      clips: [clip, { uri: 'artifact://default/0' }, undefined],
      pages: [{ scan: clip, note: '7' }],
      speaker: { voice: clip, name: 'Ada', age: 36 },
      language: 'en',
    });
    const form = requests[0]?.body as FormData;
    expect([...form].map(([name, part]) => [name, (part as File).name])).toEqual([
      ['speech', 'q.wav'],
      ['clips.0', 'clips.0'],
      ['pages.0.scan', 'pages.0.scan'],
      ['speaker.voice', 'speaker.voice'],
      ['input', 'blob'],
    ]);
    expect(JSON.parse(await (form.get('input') as File).text())).toEqual({
      clips: [],
      'clips.1': { uri: 'artifact://default/0' },
      'clips.2': null,
      pages: [{ note: '7' }],
      speaker: { name: 'Ada', age: 36 },
      language: 'en',
    });
    expect(requests[0]?.headers).not.toHaveProperty('content-type');
  });
});

describe('run', () => {
  test('is the run that has succeeded, waited for as long as it takes', async () => {
    const { client, requests } = answered(json({ id: 'r', status: 'running' }, 202), sse(event(1) + end));
    expect(await client.run('greet', {})).toEqual({ id: 'r', status: 'succeeded' });
    expect(requests[0]?.headers.prefer).toBe('wait=50');
  });

  test('throws the error of one that has failed, with the run', async () => {
    const failed = { id: 'r', status: 'failed', error: { code: 'BACKEND_ERROR', message: 'no' } };
    for (const answers of [
      [json({ code: 'BACKEND_ERROR', detail: 'no', run: failed }, 502)],
      [json({ id: 'r', status: 'running' }, 202), sse(`id: end\nevent: run\ndata: ${JSON.stringify(failed)}\n\n`)],
    ]) {
      const { client } = answered(...answers);
      await expect(client.run('greet', {})).rejects.toMatchObject({
        code: 'BACKEND_ERROR',
        message: 'no',
        run: failed,
      });
    }
  });
});

describe('a signal that aborts the wait for a run that goes on', () => {
  const running = () => json({ id: 'r', status: 'running' }, 202);

  /** A client whose signal aborts while it follows a run. */
  function leaving() {
    const over = new AbortController();
    const reason = new Error('left');
    const own = async (url: string) => {
      if (!url.endsWith('/events')) return running();
      over.abort(reason);
      throw reason;
    };
    const client = new MillraceClient({ baseUrl: 'http://gateway', fetch: own as typeof fetch });
    return { client, reason, signal: over.signal };
  }

  test('is the reason with which run, wait and result reject', async () => {
    const one = leaving();
    await expect(one.client.run('greet', {}, { signal: one.signal })).rejects.toBe(one.reason);
    const two = leaving();
    await expect(two.client.wait('r', { signal: two.signal })).rejects.toBe(two.reason);
    const three = leaving();
    const live = await three.client.live('greet', {}, { signal: three.signal });
    await expect(live.result()).rejects.toBe(three.reason);
  });

  test('also ends the request for a run whose events are over', async () => {
    const over = new AbortController();
    const signals: unknown[] = [];
    const own = async (_: unknown, init?: RequestInit) => {
      signals.push(init?.signal);
      return signals.length === 1 ? new Response(null, { status: 204 }) : running();
    };
    const client = new MillraceClient({ baseUrl: 'http://gateway', fetch: own as typeof fetch });
    await client.wait('r', { signal: over.signal });
    expect(signals).toEqual([over.signal, over.signal]);
  });
});

describe('server-sent events', () => {
  const parsed = (...chunks: string[]) => {
    const encoder = new TextEncoder();
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
        controller.close();
      },
    });
    return all(serverEvents(body));
  };

  test.each<[string, string[]]>([
    ['in one piece', ['id: 1\nevent: a\ndata: x\n\n']],
    ['byte by byte', [...'id: 1\nevent: a\ndata: x\n\n']],
    ['with CR LF, cut between them', ['id: 1\r', '\nevent: a\r\ndata: x\r', '\n\r\n']],
    ['with CR', ['id: 1\revent: a\rdata: x\r\r', 'data']],
    ['among comments', [': hello\n\n: \nid: 1\nevent: a\ndata:x\n\n']],
  ])('are read %s', async (_, chunks) => {
    expect(await parsed(...chunks)).toEqual([{ id: '1', type: 'a', data: 'x' }]);
  });

  test('are read in time that grows with their length, in however many chunks', async () => {
    const piece = 'x'.repeat(512);
    const long = Array.from({ length: 16_384 }, () => piece);
    expect(await parsed('data: ', ...long, '\n\n')).toEqual([{ id: '', type: 'message', data: long.join('') }]);
  });

  test('have lines of data, keep the last id, and count only when they are whole', async () => {
    expect(await parsed('id: 1\ndata: x\ndata: y\n\ndata: z\n\ndata: cut')).toEqual([
      { id: '1', type: 'message', data: 'x\ny' },
      { id: '1', type: 'message', data: 'z' },
    ]);
  });
});

describe('the list of runs', () => {
  const run = (id: string) => ({ id, pipeline: 'ask', status: 'running' });

  test('is asked for by page, with what is filtered by', async () => {
    const { client, requests } = answered(json({ runs: [run('a')], nextCursor: 'c' }), json({ runs: [] }));
    expect(await client.listRuns({ pipeline: 'ask', limit: 1 })).toEqual({ runs: [run('a')], nextCursor: 'c' });
    await client.listRuns();
    expect(requests.map(({ url }) => url)).toEqual([
      'http://gateway/v1/runs?pipeline=ask&limit=1',
      'http://gateway/v1/runs',
    ]);
  });

  test('is taken to its end, and waits where the gateway has no room', async () => {
    const { client, requests } = answered(
      json({ runs: [run('a')], nextCursor: 'c' }),
      json({ code: 'RATE_LIMITED', detail: 'too often' }, 429, { 'retry-after': '0' }),
      json({ runs: [], nextCursor: 'd' }),
      json({ runs: [run('b')] }),
    );
    expect(
      (await all(client.runs({ status: 'running', from: '2026-01-01T00:00:00+01:00' }))).map(({ id }) => id),
    ).toEqual(['a', 'b']);
    const first = 'http://gateway/v1/runs?status=running&from=2026-01-01T00%3A00%3A00%2B01%3A00&limit=100';
    expect(requests.map(({ url }) => url)).toEqual([
      first,
      `${first}&cursor=c`,
      `${first}&cursor=c`,
      `${first}&cursor=d`,
    ]);
  });

  test('fails as it is, where waiting does not help', async () => {
    const { client } = answered(json({ code: 'INVALID_INPUT', detail: 'cursor' }, 422));
    await expect(all(client.runs())).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});

test('approvals are listed with their filters', async () => {
  const page = { approvals: [], unknown: ['a-1'] };
  const { client, requests } = answered(json(page), json(page));
  expect(await client.listApprovals()).toEqual(page);
  await client.listApprovals({ pipeline: 'pay', limit: 5 });
  expect(requests.map(({ url }) => url)).toEqual([
    'http://gateway/v1/approvals',
    'http://gateway/v1/approvals?pipeline=pay&limit=5',
  ]);
});

describe('an artifact', () => {
  const late = json({ code: 'ORCHESTRATOR_UNAVAILABLE', detail: 'not recorded yet' }, 503, { 'retry-after': '0' });
  const speech = { href: '/v1/runs/r/artifacts/speech' };

  test('is asked for again while Temporal has not recorded the end of its run', async () => {
    const { client, requests } = answered(late.clone(), late.clone(), new Response('bytes'));
    expect(await (await client.artifact(speech)).text()).toBe('bytes');
    expect(requests.map(({ url }) => url)).toEqual(Array(3).fill('http://gateway/v1/runs/r/artifacts/speech'));
  });

  test.each<[string, RequestInit['headers']]>([
    ['an object', { Range: 'bytes=1-' }],
    ['pairs', [['range', 'bytes=1-']]],
    ['Headers', new Headers({ range: 'bytes=1-' })],
  ])('is asked for with headers of the caller, as %s, and those of the client', async (_, headers) => {
    const sent: unknown[] = [];
    const own = async (_url: unknown, init?: RequestInit) => {
      sent.push(init?.headers);
      return new Response('bytes');
    };
    const client = new MillraceClient({ baseUrl: 'http://gateway', key: 'k', fetch: own as typeof fetch });
    await client.artifact(speech, headers === undefined ? {} : { headers });
    expect(sent).toEqual([{ authorization: 'Bearer k', range: 'bytes=1-' }]);
  });

  test('is not asked for without end, nor where the run has none', async () => {
    const { client, requests } = answered(...[1, 2, 3].map(() => late.clone()));
    await expect(client.artifact(speech)).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
    expect(requests).toHaveLength(3);
    const none = answered(json({ code: 'ARTIFACT_NOT_FOUND', detail: 'none' }, 404));
    await expect(none.client.artifact(speech)).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
  });

  test.each([
    '@elsewhere/',
    '.elsewhere/',
    ':443@elsewhere/',
    '//elsewhere/',
    '/\\elsewhere/',
    'http://elsewhere/',
    '',
  ])('is not asked for at %j, which an output may say', async (href) => {
    const { client, requests } = answered(new Response('bytes'));
    await expect(client.artifact({ href })).rejects.toThrow(/not where a gateway serves/);
    expect(requests).toEqual([]);
  });
});

describe('audio of a run', () => {
  const bytes = (...parts: (string | Error)[]) =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull(controller) {
          const part = parts.shift();
          if (part === undefined) controller.close();
          else if (part instanceof Error) controller.error(part);
          else controller.enqueue(Buffer.from(part));
        },
      }),
      { status: parts[0] === 'first ' ? 200 : 206 },
    );
  const read = async (stream: ReadableStream<Uint8Array>) => Buffer.concat(await all(stream)).toString();

  test('goes on behind the last byte when the connection is lost or no gateway is there', async () => {
    const { client, requests } = answered(
      bytes('first ', 'second ', new Error('reset')),
      down,
      json({ code: 'ORCHESTRATOR_UNAVAILABLE' }, 503),
      bytes('third ', new Error('reset')),
      json({ code: 'RANGE_NOT_SATISFIABLE' }, 416),
    );
    expect(await read(client.audio('r', 'speech', { format: 'mp3' }))).toBe('first second third ');
    expect(requests.map(({ headers }) => headers.range)).toEqual([
      undefined,
      ...Array(3).fill('bytes=13-'),
      'bytes=19-',
    ]);
    expect(requests[0]?.url).toBe('http://gateway/v1/runs/r/artifacts/speech?format=mp3');
  });

  test('fails with the run, and where a proxy forgets the range', async () => {
    const failed = answered(bytes('first ', new Error('reset')), json({ code: 'ARTIFACT_NOT_FOUND' }, 404));
    await expect(read(failed.client.audio('r', 'speech'))).rejects.toMatchObject({ code: 'ARTIFACT_NOT_FOUND' });
    const other = answered(bytes('first ', new Error('reset')), bytes('first '));
    await expect(read(other.client.audio('r', 'speech'))).rejects.toThrow('cannot be resumed');
  });

  test('is not asked for again when its reader has cancelled while no gateway is there', async () => {
    vi.useFakeTimers();
    try {
      let requests = 0;
      const own = async () => {
        requests += 1;
        throw down;
      };
      const audio = new MillraceClient({ baseUrl: 'http://gateway', fetch: own }).audio('r', 'speech').getReader();
      const first = audio.read();
      await vi.advanceTimersByTimeAsync(1_000);
      expect(requests).toBeGreaterThan(0);
      const asked = requests;
      await audio.cancel();
      expect((await first).done).toBe(true);
      await vi.advanceTimersByTimeAsync(600_000);
      expect(requests).toBe(asked);
    } finally {
      vi.useRealTimers();
    }
  });

  test('lets go of a response that comes after its reader has cancelled', async () => {
    let arrive: (response: Response) => void = () => undefined;
    let sent: AbortSignal | null | undefined;
    const own = async (_: unknown, init?: RequestInit) => {
      sent = init?.signal;
      return await new Promise<Response>((resolve) => {
        arrive = resolve;
      });
    };
    const audio = new MillraceClient({ baseUrl: 'http://gateway', fetch: own }).audio('r', 'speech').getReader();
    const first = audio.read();
    await vi.waitFor(() => expect(sent).toBeDefined(), 15_000);
    await audio.cancel();
    expect((await first).done).toBe(true);
    expect(sent?.aborted).toBe(true);
    const cancelled = new Promise<void>((resolve) => {
      arrive(new Response(new ReadableStream({ cancel: () => resolve() })));
    });
    await cancelled;
  });

  test('ends with the signal’s reason', async () => {
    const leave = new AbortController();
    const { client } = answered(bytes('first ', new Error('reset')), down);
    const audio = client.audio('r', 'speech', { signal: leave.signal }).getReader();
    expect(Buffer.from((await audio.read()).value ?? []).toString()).toBe('first ');
    const next = audio.read();
    leave.abort(new Error('left'));
    await expect(next).rejects.toThrow('left');
  });

  test('of a run that is followed: the only audio of its output, with its events and its result', async () => {
    const output = { properties: { reply: { type: 'string' }, speech: { media: 'audio' } } };
    const { client, requests } = answered(
      json({ id: 'r', status: 'running' }, 202),
      sse(event(1) + end),
      json({ pipelines: [{ name: 'p', output }] }),
      bytes('first '),
      sse(end),
    );
    const run = await client.live('p', { question: 'Why?' });
    expect(texts(await all(run))).toEqual(['1', 'run']);
    expect(await read(run.audio())).toBe('first ');
    expect(await run.result()).toMatchObject({ status: 'succeeded' });
    expect(requests.map(({ url }) => url.replace('http://gateway/v1', ''))).toEqual([
      '/pipelines/p/runs',
      '/runs/r/events',
      '/pipelines',
      '/runs/r/artifacts/speech',
      '/runs/r/events',
    ]);
    const several = answered(json({ id: 'r' }, 202), json({ pipelines: [] }));
    await expect(read((await several.client.live('p', {})).audio())).rejects.toThrow('name the field');
  });
});
