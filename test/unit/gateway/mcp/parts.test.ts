import { describe, expect, it } from 'vitest';
import { Calls } from '../../../../gateway/mcp/calls.js';
import { contentOf } from '../../../../gateway/mcp/content.js';
import { NumberedMessages, type Told } from '../../../../gateway/mcp/numbered-messages.js';
import { eventId, placeOf } from '../../../../gateway/mcp/place.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { CancelledByCaller } from '../../../../runs/leaving.js';
import type { ArtifactStore } from '../../../../stores/artifacts/index.js';

describe('a run’s output as content', () => {
  const read: string[] = [];
  const artifacts = {
    async *read(_tenant: string, uri: string) {
      read.push(uri);
      yield Buffer.from('ab');
      yield Buffer.from('c');
    },
  } as unknown as ArtifactStore;
  const media = (digit: string, mime: string, bytes: number, tenant = 'acme') => {
    const sha256 = digit.repeat(64);
    return { uri: `artifact://${tenant}/${sha256}`, sha256, mime, bytes, href: `/v1/runs/r/artifacts/${digit}` };
  };
  const contents = (output: object) =>
    contentOf({ ...output }, { artifacts, tenant: 'acme', base: 'https://mill.test' });

  it('is its JSON, then small media by value and large ones by link, wherever they stand', async () => {
    const output = {
      text: 'hi',
      clips: [media('a', 'audio/wav', 3), media('b', 'audio/wav', 2_000_000)],
      deep: { picture: media('c', 'image/png', 3) },
    };
    const [text, ...others] = await contents(output);
    expect(text).toEqual({ type: 'text', text: JSON.stringify(output) });
    expect(others).toEqual([
      { type: 'audio', data: 'YWJj', mimeType: 'audio/wav' },
      {
        type: 'resource_link',
        uri: 'https://mill.test/v1/runs/r/artifacts/b',
        name: 'clips.1',
        mimeType: 'audio/wav',
        size: 2_000_000,
      },
      { type: 'image', data: 'YWJj', mimeType: 'image/png' },
    ]);
  });

  it('has short texts as resources within it, and links what is long, no text or not UTF-8', async () => {
    const [, ...parts] = await contents({
      notes: media('1', 'text/markdown', 3),
      table: media('2', 'application/json', 3),
      schema: media('3', 'application/schema+json', 3),
      book: media('4', 'text/plain', 70_000),
      paper: media('5', 'application/pdf', 3),
    });
    const embedded = (digit: string, mimeType: string) => ({
      type: 'resource',
      resource: { uri: `artifact://acme/${digit.repeat(64)}`, mimeType, text: 'abc' },
    });
    expect(parts).toMatchObject([
      embedded('1', 'text/markdown'),
      embedded('2', 'application/json'),
      embedded('3', 'application/schema+json'),
      { type: 'resource_link', name: 'book' },
      { type: 'resource_link', name: 'paper' },
    ]);
    const damaged = {
      async *read() {
        yield Uint8Array.of(0xff);
      },
    } as unknown as ArtifactStore;
    const source = { artifacts: damaged, tenant: 'acme', base: 'https://mill.test' };
    expect(await contentOf({ notes: media('6', 'text/plain', 1) }, source)).toMatchObject([
      { type: 'text' },
      { type: 'resource_link', name: 'notes' },
    ]);
  });

  it('links what is too much in all', async () => {
    const clips = Array.from({ length: 6 }, (_, i) => media(String(i), 'audio/wav', 1_000_000));
    const types = (await contents({ clips })).map(({ type }) => type);
    expect(types).toEqual(['text', 'audio', 'audio', 'audio', 'audio', 'resource_link', 'resource_link']);
  });

  it('links what has more bytes than it says, and what is gone', async () => {
    const clips = [media('e', 'audio/wav', 2), media('f', 'audio/wav', -3)];
    expect((await contents({ clips })).map(({ type }) => type)).toEqual(['text', 'resource_link', 'resource_link']);
    const expired = {
      read() {
        throw new MillraceError('ARTIFACT_NOT_FOUND', 'it has expired');
      },
    } as unknown as ArtifactStore;
    const source = { artifacts: expired, tenant: 'acme', base: 'https://mill.test' };
    expect(await contentOf({ clip: media('a', 'audio/wav', 3) }, source)).toMatchObject([
      { type: 'text' },
      { type: 'resource_link', uri: 'https://mill.test/v1/runs/r/artifacts/a' },
    ]);
  });

  it('reads nothing of another tenant’s', async () => {
    read.length = 0;
    expect(await contents({ stolen: media('d', 'audio/wav', 3, 'other') })).toHaveLength(1);
    expect(read).toEqual([]);
  });
});

describe('calls under way', () => {
  const never = new AbortController().signal;
  const key = { tenant: 'acme', owner: 'key:a1', session: 's', id: 1 } as const;

  it('are cancelled by tenant, owner, session and id, and by nothing else', () => {
    const calls = new Calls();
    const call = calls.open(key, never);
    for (const other of [
      { ...key, tenant: 'x' },
      { ...key, owner: 'key:b2' },
      { ...key, session: 't' },
      { ...key, id: '1' },
      { ...key, id: 2 },
    ])
      calls.cancel(other);
    calls.cancel({ ...key, session: undefined });
    expect(call.cancelled.aborted).toBe(false);
    calls.cancel(key);
    expect(call.cancelled.aborted).toBe(true);
  });

  it('end with their connection; without a session by nothing else', () => {
    const calls = new Calls();
    const dropped = new AbortController();
    const call = calls.open({ ...key, session: undefined }, dropped.signal);
    calls.cancel({ ...key, session: undefined });
    expect(call.cancelled.aborted).toBe(false);
    dropped.abort();
    expect(call.cancelled.aborted).toBe(true);
  });

  it('end as those of a client that leaves if it says that they have timed out', () => {
    const calls = new Calls();
    const reasonOf = (reason?: string) => {
      const { cancelled, end } = calls.open(key, never);
      calls.cancel(key, reason);
      end();
      return cancelled.reason as unknown;
    };
    expect(reasonOf('no longer wanted')).toBeInstanceOf(CancelledByCaller);
    expect(reasonOf()).toBeInstanceOf(CancelledByCaller);
    expect(reasonOf('McpError: Request timed out')).not.toBeInstanceOf(CancelledByCaller);
  });

  it('can no longer be cancelled when they are over', () => {
    const calls = new Calls();
    const first = calls.open(key, never);
    const second = calls.open(key, never);
    first.end();
    calls.cancel(key);
    expect([first.cancelled.aborted, second.cancelled.aborted]).toEqual([false, true]);
    second.end();
    calls.cancel(key);
  });
});

describe('the progress messages of a call', () => {
  const chat = { path: 'a', kind: 'chat', attempt: 1, at: '' } as const;
  const events = [
    ['1-0', { type: 'stage.started', ...chat }],
    ['2-0', { type: 'stage.delta', path: 'a', text: 'It is' }],
    ['3-0', { type: 'stage.delta', path: 'a', text: ' five. Or six. Or' }],
    ['4-0', { type: 'stage.delta', path: 'a', text: ' seven' }],
    ['5-0', { type: 'stage.finished', path: 'a' }],
  ] as unknown as readonly (readonly [at: string, event: RunEvent])[];
  const all = ['a started', 'a: It is five.', 'a: Or six.', 'a: Or seven', 'a finished'];
  const read = (told: Told) => {
    const messages = new NumberedMessages(told);
    return events.flatMap(([at, event]) => [...messages.of(event, at)]);
  };

  it('are also of waits, and of the calls of an agent with arguments and ends', () => {
    const path = 'answer/turn-1/refund:9f86d081884c';
    const told = [
      { type: 'stage.waiting', path: 'review', subject: 'A\u202e1' },
      { type: 'stage.decided', path: 'review', approved: false },
      { type: 'tool.called', path, tool: 'refund', arguments: { order: 'A1' } },
      { type: 'tool.ended', path, tool: 'refund', end: 'done', result: { paid: true } },
      { type: 'tool.ended', path, tool: 'refund', end: 'failed', message: 'no such order' },
      { type: 'stage.failed', path: 'answer', code: 'MODEL_UNAVAILABLE' },
    ] as unknown as readonly RunEvent[];
    const messages = new NumberedMessages({ progress: 0 });
    expect(told.flatMap((event, i) => [...messages.of(event, `${i + 1}-0`)].map(({ message }) => message))).toEqual([
      'review waits for a person: A\\u{202e}1',
      'review was rejected',
      'answer/turn-1 calls refund({"order":"A1"})',
      'answer/turn-1 refund done: {"paid":true}',
      'answer/turn-1 refund failed: no such order',
      'answer failed: MODEL_UNAVAILABLE',
    ]);
  });

  it('go on behind each place with those that follow, also within an event and within a sentence', () => {
    const whole = read({ progress: 1 });
    expect(whole.map(({ message, told }) => [told.progress, message])).toEqual(all.map((each, i) => [i + 2, each]));
    for (const [i, { told }] of whole.entries()) {
      const place = placeOf(eventId({ request: 1, run: 'r', ...told }));
      expect(read(place)).toEqual(whole.slice(i + 1));
    }
  });

  it.each(['\u0001', '語', 'x'])('are read from the longest ids that a client may give: of %j', (character) => {
    const longest = character.repeat(256);
    const place = { request: longest, token: longest, run: 'r'.repeat(128), after: '1764336000000-0', progress: 1 };
    expect(placeOf(eventId(place))).toEqual(place);
  });
});
