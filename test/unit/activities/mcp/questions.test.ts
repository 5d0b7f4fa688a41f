import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { GoesOn } from '../../../../activities/mcp/goes-on.js';
import { parseMcpServers } from '../../../../activities/mcp/index.js';
import { type Asking, McpServers } from '../../../../activities/mcp/servers.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { AskedQuestions, Elicited, Question } from '../../../../pipelines/run/index.js';
import { askingOverHttp, askingOverStdio, Notes } from '../../../support/mcp/asking-server.js';
import { until } from '../../../support/runs.js';

const notes = new Notes();
/** A server of each kind for all tests: to start one takes most of a test's time. */
const remote = new Map<'modern' | 'old', ReturnType<typeof askingOverHttp>>();
const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  notes.clear();
});
afterAll(async () => {
  for (const server of remote.values()) (await server).close();
});

function serversOf(config: object): McpServers {
  const servers = new McpServers(parseMcpServers({ desk: config }, 'the test'));
  closing.push(() => servers.close());
  return servers;
}
async function over(era: 'modern' | 'old', by: 'stdio' | 'http'): Promise<McpServers> {
  if (by === 'stdio') return serversOf(askingOverStdio(era, notes));
  const server = remote.get(era) ?? askingOverHttp(era, notes);
  remote.set(era, server);
  return serversOf((await server).config);
}

interface Made extends Partial<Asking> {
  readonly given?: JsonObject;
  readonly signal?: AbortSignal;
  readonly resumeFrom?: Json;
  readonly checkpoint?: (kept: Json) => void;
}
const call = (servers: McpServers, tool: string, made: Made = {}) => {
  const { given = { order: 'A1' }, signal = new AbortController().signal, resumeFrom, checkpoint, ...asking } = made;
  return servers.callAsking('desk', tool, given, {
    ...{ signal, idempotencyKey: 'run/answer/turn-1/book', asking: { tenant: 'one', ...asking } },
    ...(resumeFrom !== undefined && { resumeFrom }),
    ...(checkpoint && { checkpoint }),
  });
};
const accept = (content: JsonObject): Elicited => ({ action: 'accept', content });
/** What the next part of a call gets. */
const goesOn = (asks: AskedQuestions, answers: Record<string, Elicited>): GoesOn =>
  ({ ...asks.goesOn, answers }) as unknown as GoesOn;
async function asked(made: ReturnType<typeof call>): Promise<AskedQuestions> {
  const ended = await made;
  if (!('asks' in ended)) throw new Error(`it has a result: ${JSON.stringify(ended)}`);
  return ended.asks;
}

const FORM = {
  type: 'object',
  properties: {
    seat: { type: 'integer', title: 'Seat', minimum: 1, maximum: 6 },
    meal: { type: 'string', enum: ['fish', 'rice'] },
    // A pattern of the server is not run, nor kept.
    mail: { type: 'string', format: 'email' },
  },
  required: ['seat'],
};

describe.each(['stdio', 'http'] as const)('a server that asks while the call is open, over %s', (by) => {
  it('is given the answer', async () => {
    const servers = await over('old', by);
    const questions: Question[] = [];
    const ask = async (question: Question) => {
      questions.push(question);
      return accept({ seat: 4 });
    };
    expect(await call(servers, 'book', { ask })).toEqual({ result: 'A1 is booked at 4' });
    expect(questions).toEqual([{ message: 'Which seat?', schema: FORM }]);
    expect(notes.all()).toEqual(['call book A1', 'booked A1 at 4']);
  });

  it.each(['decline', 'cancel'] as const)('is told that there is none: %s', async (action) => {
    const servers = await over('old', by);
    expect(await call(servers, 'book', { ask: async () => ({ action }) })).toEqual({
      result: `A1 is not booked: ${action}`,
    });
  });

  it('asks during its own call alone: calls at the same time are on connections of their own', async () => {
    const servers = await over('old', by);
    const one = (order: string, seat: number) =>
      call(servers, 'book', {
        given: { order },
        ask: async () => {
          await until('both have asked', () => notes.all('call').length >= 2);
          return accept({ seat });
        },
      });
    expect(await Promise.all([one('A1', 1), one('A2', 2)])).toEqual([
      { result: 'A1 is booked at 1' },
      { result: 'A2 is booked at 2' },
    ]);
    // The connection that is kept takes the next call's questions.
    expect(await one('A3', 3)).toEqual({ result: 'A3 is booked at 3' });
  });

  it('is refused a question that a person cannot be asked', async () => {
    const servers = await over('old', by);
    const ask = async () => accept({});
    await expect(call(servers, 'odd', { ask })).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringContaining('more than 32 fields'),
    });
  });

  it('has its call limited, without the time that a person takes', async () => {
    const servers = await over('old', by);
    const slowly = async () => {
      await new Promise((resolve) => setTimeout(resolve, 2_500));
      return accept({ seat: 4 });
    };
    // Connected before, so that its start takes none of the time.
    await servers.list('desk', new AbortController().signal, undefined, { tenant: 'one' });
    expect(await call(servers, 'book', { callMs: 2_000, ask: slowly })).toEqual({ result: 'A1 is booked at 4' });
    await expect(call(servers, 'silent', { callMs: 300 })).rejects.toMatchObject({ code: 'STAGE_TIMEOUT' });
  });

  it('can refuse a call until a person has been somewhere: it is called again then, and not if nobody has', async () => {
    const servers = await over('old', by);
    const asks = await asked(call(servers, 'visit'));
    expect(asks.questions).toEqual({ 1: { message: 'Consent there', url: 'https://bank.example/consent' } });
    const declined = goesOn(asks, { 1: { action: 'decline' } });
    await expect(call(servers, 'visit', { goesOn: declined })).rejects.toMatchObject({ code: 'TOOL_FAILED' });
    expect(await call(servers, 'visit', { goesOn: goesOn(asks, { 1: { action: 'accept' } }) })).toEqual({
      result: 'visited',
    });
  });

  it('is told that nobody can be asked, by a call that may not be', async () => {
    const servers = await over('old', by);
    const made = servers.call('desk', 'book', {}, { signal: new AbortController().signal, idempotencyKey: 'k' });
    await expect(made).rejects.toMatchObject({ code: 'TOOL_FAILED', message: expect.stringMatching(/elicitation/i) });
  });
});

it('has eight questions at once, and further ones refused', async () => {
  const servers = await over('old', 'stdio');
  let asked = 0;
  const ask = async () => {
    asked += 1;
    await until('it has asked', () => asked >= 8);
    // The server has sent them together.
    await new Promise((resolve) => setTimeout(resolve, 500));
    return accept({ seat: 4 });
  };
  const answers = [...Array<string>(8).fill('accept'), ...Array<string>(4).fill('refused')];
  expect(await call(servers, 'eager', { ask })).toEqual({ result: answers.join(' ') });
});

it('keeps no call of another tenant waiting, however many questions of one tenant are open', async () => {
  const servers = await over('old', 'http');
  const left = new AbortController();
  const { signal } = left;
  let open = 0;
  const ask = () =>
    new Promise<Elicited>((_, reject) => {
      open += 1;
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  let withoutSlot = 0;
  const leave = () => {
    withoutSlot += 1;
    return true;
  };
  const slot = { leave, take: async () => undefined };
  const held = Array.from({ length: 17 }, (_, i) =>
    call(servers, 'book', { given: { order: `A${i}` }, signal, ask, slot }).catch((error: unknown) => error),
  );
  await until('sixteen have asked', () => open === 16);
  // The seventeenth waits for a connection, without the slot of its attempt.
  expect(withoutSlot).toBe(1);
  // One that cannot give its slot up does not wait: the tenant has too many that do.
  const keeping = { leave: () => false, take: async () => undefined };
  await expect(call(servers, 'book', { signal, ask, slot: keeping })).rejects.toMatchObject({
    code: 'OVERLOADED',
    details: { unsent: true, retryAfterMs: 5_000 },
  });
  const other = { tenant: 'two', given: { order: 'B1' }, ask: async () => accept({ seat: 2 }), slot: keeping };
  expect(await call(servers, 'book', other)).toEqual({ result: 'B1 is booked at 2' });
  left.abort(new Error('given up'));
  await Promise.all(held);
  expect(open).toBe(16);
});

it('has its connection closed where its question is open when the call ends', async () => {
  const servers = await over('old', 'stdio');
  const ask = () => new Promise<Elicited>(() => undefined);
  const [first, second] = [await call(servers, 'hasty', { ask }), await call(servers, 'hasty', { ask })];
  expect(first).toEqual({ result: expect.stringMatching(/^done by \d+$/) });
  // Another process of the server has answered.
  expect(second).not.toEqual(first);
});

describe.each(['stdio', 'http'] as const)('a call that ends with questions, over %s', (by) => {
  it('is made again with the answers, the server’s state and the key of the first part', async () => {
    const servers = await over('modern', by);
    const asks = await asked(call(servers, 'book'));
    expect(asks.questions).toEqual({ seat: { message: 'Which seat?', schema: FORM } });
    expect(asks.safe).toBeUndefined();
    // Another worker may make the next part.
    const other = by === 'http' ? servers : serversOf(askingOverStdio('modern', notes));
    const part = call(other, 'book', { goesOn: goesOn(asks, { seat: accept({ seat: 5 }) }) });
    expect(await part).toEqual({ result: 'A1 is booked at 5' });
    const key = 'run/answer/turn-1/book';
    expect(notes.all()).toEqual([`call book A1 ${key}`, `call book A1 ${key}`, 'state state of A1', 'booked A1 at 5']);
  });

  it('may ask several things at once', async () => {
    const servers = await over('modern', by);
    const asks = await asked(call(servers, 'both'));
    expect(Object.keys(asks.questions)).toEqual(['seat', 'sure']);
    const answers = { seat: { action: 'decline' }, sure: accept({}) } as const;
    expect(await call(servers, 'both', { goesOn: goesOn(asks, answers) })).toEqual({ result: 'decline and accept' });
  });

  it('may send the person to an address', async () => {
    const servers = await over('modern', by);
    const asks = await asked(call(servers, 'visit'));
    expect(asks.questions).toEqual({ place: { message: 'Consent there', url: 'https://bank.example/consent' } });
    expect(await call(servers, 'visit', { goesOn: goesOn(asks, { place: { action: 'accept' } }) })).toEqual({
      result: 'the visit: accept',
    });
  });

  it('fails where a person cannot be asked that, or nobody can be', async () => {
    const servers = await over('modern', by);
    await expect(call(servers, 'odd')).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringContaining('more than 32 fields'),
    });
    const alone = servers.call('desk', 'book', {}, { signal: new AbortController().signal, idempotencyKey: 'k' });
    await expect(alone).rejects.toMatchObject({ code: 'TOOL_FAILED', message: expect.stringContaining('mcpTools') });
  });

  it('is made again at once where the server only wants that', async () => {
    expect(await call(await over('modern', by), 'later')).toEqual({ result: 'after 3' });
  });
});

describe('a task that asks', () => {
  it('is answered by the next part of its call, which calls nothing', async () => {
    const servers = await over('modern', 'http');
    const kept: Json[] = [];
    const asks = await asked(call(servers, 'print', { checkpoint: (each) => kept.push(each) }));
    expect(asks).toMatchObject({ questions: { seat: { message: 'Which seat?' } }, safe: true });
    expect(kept).toEqual([{ task: 'task-1' }]);
    expect(await call(servers, 'print', { goesOn: goesOn(asks, { seat: accept({ seat: 2 }) }) })).toEqual({
      result: 'A1 is booked at 2',
    });
    expect(notes.all()).toEqual(['call print A1 run/answer/turn-1/book', 'update task-1', 'booked A1 at 2']);
  });

  it('is asked while the call is open if it ends with a process of the worker', async () => {
    const servers = await over('modern', 'stdio');
    expect(await call(servers, 'print', { ask: async () => accept({ seat: 3 }) })).toEqual({
      result: 'A1 is booked at 3',
    });
    expect(notes.all('update')).toEqual(['update task-1']);
  });

  it('is cancelled when its call is given up', async () => {
    const servers = await over('modern', 'stdio');
    const left = new AbortController();
    const { signal } = left;
    const ask = () =>
      new Promise<Elicited>((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        left.abort(new Error('given up'));
      });
    await expect(call(servers, 'print', { signal, ask })).rejects.toThrow('given up');
    await until('its task is cancelled', () => notes.all('cancel').length === 1);
    expect(notes.all('booked')).toEqual([]);
  });
});
