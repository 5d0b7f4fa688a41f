import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { turnsOf } from '../../../../gateway/openai/responses-turns.js';
import { isSealed, LONGEST_SEALED, ReasoningSeals } from '../../../../gateway/openai/sealed-reasoning.js';
import { chatModel } from '../../../../pipelines/catalog/index.js';
import type { Pipeline } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { toldEvents } from '../../../support/told-events.js';

describe('sealed reasoning', () => {
  const secret = randomBytes(32);
  const seals = new ReasoningSeals(async () => secret);

  it('is opened at every gateway of the secret, for its tenant, as it was', async () => {
    const sealed = (await seals.of('acme')).seal('So it is: ✓');
    expect(isSealed(sealed)).toBe(true);
    expect((await new ReasoningSeals(async () => secret).of('acme')).open(sealed)).toBe('So it is: ✓');
    // The events of a response are the same whenever they are read.
    expect((await seals.of('acme')).seal('So it is: ✓')).toBe(sealed);
  });

  it('is not opened for another tenant, by another secret, changed, or cut', async () => {
    const { seal, open } = await seals.of('acme');
    // As long as the last character of its base64 has no spare bits.
    const sealed = seal('So it is so');
    expect((await seals.of('other')).open(sealed)).toBeUndefined();
    expect((await new ReasoningSeals().of('acme')).open(sealed)).toBeUndefined();
    for (let at = 4; at < sealed.length; at += 7) {
      const other = sealed[at] === 'A' ? 'B' : 'A';
      expect(open(`${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`)).toBeUndefined();
    }
    for (const cut of ['mr1.', 'mr1.AAAA', sealed.slice(0, -8), 'gAAAAABo']) expect(open(cut)).toBeUndefined();
  });

  it('is the end of what is longer than a run keeps, and is short enough to be sent back', async () => {
    const { seal, open } = await seals.of('acme');
    const end = '思'.repeat(65_536);
    const sealed = seal(`${'x'.repeat(300_000)}${end}`);
    expect(sealed.length).toBeLessThanOrEqual(LONGEST_SEALED);
    expect(open(sealed)).toBe(end);
    expect(seal(end)).toBe(sealed);
  });
});

describe('items of reasoning', () => {
  const thought = (text: string) => ({
    type: 'reasoning' as const,
    content: [{ type: 'reasoning_text' as const, text }],
  });
  const said = { type: 'message' as const, role: 'assistant' as const, content: 'So.' };
  const reasoningOf = (texts: readonly string[]) =>
    turnsOf([...texts.map(thought), said], String).map(({ message }) => message.reasoning);

  it('before one message are its reasoning, those without a text are not', () => {
    expect(reasoningOf(['One.', '', 'Two.'])).toEqual(['One.\n\nTwo.']);
    expect(reasoningOf(['', ''])).toEqual([undefined]);
  });

  it('are joined once, however many there are', () => {
    const many = Array.from({ length: 20_000 }, () => 'a thought '.repeat(40));
    expect(reasoningOf(many)[0]).toHaveLength(20_000 * 402 - 2);
  }, 5_000);
});

describe('a response of a model that thinks', () => {
  let gateway: TestGateway;
  let events: RunEvent[];
  const inputs: JsonObject[] = [];
  beforeEach(async () => {
    inputs.length = 0;
    events = [];
    gateway = await testGateway(
      {},
      {
        pipelines: [chatModel] as unknown as Pipeline[],
        placementOf: () => ({}),
        events: toldEvents(() => events),
      },
    );
    gateway.temporal.onStart = (run) => {
      inputs.push(run.options.args[0] as JsonObject);
      run.end({ output: { text: 'Four.', reasoning: 'Two and two.', finish: 'stop' }, stages: [] });
    };
  });
  afterEach(() => gateway.close());

  interface Item extends JsonObject {
    readonly id: string;
    readonly type: string;
  }
  const send = async (method: 'GET' | 'POST', path: string, payload?: object) => {
    const response = await gateway.app.inject({ method, url: `/v1/${path}`, ...(payload && { payload }) });
    return { status: response.statusCode, text: response.body };
  };
  async function respond(body: object): Promise<{ id: string; output: readonly Item[] }> {
    const { status, text } = await send('POST', 'responses', { model: 'chat', input: 'What is two and two?', ...body });
    expect(status, text).toBe(200);
    return JSON.parse(text);
  }
  const include = ['reasoning.encrypted_content'];
  const history = () => inputs.at(-1)?.history;

  it('has it as an item before the message, also when it is read later', async () => {
    const { id, output } = await respond({});
    const run = id.slice('resp_'.length);
    const thought = {
      id: `rs_${run}_0`,
      type: 'reasoning',
      status: 'completed',
      summary: [],
      content: [{ type: 'reasoning_text', text: 'Two and two.' }],
    };
    expect(output[0]).toEqual(thought);
    expect(output.map(({ type }) => type)).toEqual(['reasoning', 'message']);
    expect(JSON.parse((await send('GET', `responses/${id}`)).text)).toMatchObject({ output: [thought, {}] });
  });

  it('takes it back before the turn that it led to: from the response before, by reference, as text and sealed', async () => {
    const { id, output } = await respond({ include });
    const [thought, message] = output;
    expect(thought?.encrypted_content).toMatch(/^mr1\./);
    const next = { role: 'user', content: 'And three?' };
    const asked = { role: 'user', content: 'What is two and two?' };
    const said = { role: 'assistant', content: 'Four.', reasoning: 'Two and two.' };
    const read = JSON.parse((await send('GET', `responses/${id}`)).text);
    expect(read.output[0].encrypted_content).toBe(thought?.encrypted_content);

    await respond({ previous_response_id: id, input: [next] });
    expect(history()).toEqual([asked, said]);
    const references = [thought, message].map((each) => ({ type: 'item_reference', id: each?.id }));
    await respond({ input: [asked, ...references, next] });
    expect(history()).toEqual([asked, said]);
    const { encrypted_content: _, ...plain } = thought as Item;
    await respond({ input: [asked, plain, message, next] });
    expect(history()).toEqual([asked, said]);
    const sealed = { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: thought?.encrypted_content };
    await respond({ store: false, input: [asked, sealed, message, next] });
    expect(history()).toEqual([asked, said]);
  });

  it('belongs to the calls that followed it', async () => {
    const thought = { type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: 'I look.' }] };
    const calls = ['c1', 'c2'].map((call_id) => ({ type: 'function_call', call_id, name: 'look', arguments: '{}' }));
    const outputs = ['c1', 'c2'].map((call_id) => ({ type: 'function_call_output', call_id, output: 'seen' }));
    await respond({ input: [{ role: 'user', content: 'Look.' }, thought, ...calls, ...outputs] });
    expect(history()).toMatchObject([
      { role: 'user' },
      { role: 'assistant', content: '', reasoning: 'I look.', toolCalls: [{ id: 'c1' }, { id: 'c2' }] },
      { role: 'tool' },
      { role: 'tool' },
    ]);
  });

  it('is refused what was not sealed here, and passes over what another server has encrypted', async () => {
    const { output } = await respond({ include });
    const forged = `${String(output[0]?.encrypted_content).slice(0, -4)}AAAA`;
    const of = (encrypted_content: string) => ({
      input: [
        { role: 'user', content: 'Why?' },
        { type: 'reasoning', summary: [], encrypted_content },
        { role: 'assistant', content: 'So.' },
        { role: 'user', content: 'Why?' },
      ],
    });
    const { status, text } = await send('POST', 'responses', { model: 'chat', ...of(forged) });
    expect(status).toBe(400);
    expect(JSON.parse(text)).toMatchObject({ error: { param: 'input[1].encrypted_content' } });
    await respond(of('gAAAAABo'));
    expect(history()).toEqual([
      { role: 'user', content: 'Why?' },
      { role: 'assistant', content: 'So.' },
    ]);
  });

  it('streams it once, sealed where that is asked for', async () => {
    const of = { stage: 'answer', path: 'answer', attempt: 1 };
    events = [
      { type: 'stage.started', ...of, kind: 'chat', model: 'assistant' },
      { type: 'stage.reasoning', ...of, text: 'Two ' },
      { type: 'stage.reasoning', ...of, text: 'and two.' },
      { type: 'stage.delta', ...of, text: 'Four.' },
      { type: 'stage.finished', ...of, cache: 'off', runMs: 1 },
    ];
    const { text } = await send('POST', 'responses', { model: 'chat', input: 'Why?', stream: true, include });
    const told = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? ''));
    expect(told.filter(({ type }) => type === 'response.reasoning_text.delta')).toHaveLength(2);
    const done = told.filter(({ type, item }) => type === 'response.output_item.done' && item.type === 'reasoning');
    expect(done).toHaveLength(1);
    expect(done[0].item.encrypted_content).toMatch(/^mr1\./);
    expect(told.at(-1).response.output).toMatchObject([
      { type: 'reasoning', content: [{ text: 'Two and two.' }], encrypted_content: done[0].item.encrypted_content },
      { type: 'message' },
    ]);
  });

  describe('whose first attempt fails before its text', () => {
    const of = { stage: 'answer', path: 'answer' };
    const isDone = ({ type, item }: { type: string; item: Item }) =>
      type === 'response.output_item.done' && item.type === 'reasoning';
    beforeEach(() => {
      events = [
        { type: 'stage.started', ...of, attempt: 1, kind: 'chat', model: 'assistant' },
        { type: 'stage.reasoning', ...of, attempt: 1, text: 'Three ' },
        { type: 'stage.failed', ...of, attempt: 1, code: 'BACKEND_UNAVAILABLE', message: 'gone' },
        { type: 'stage.started', ...of, attempt: 2, kind: 'chat', model: 'assistant' },
        { type: 'stage.reasoning', ...of, attempt: 2, text: 'Two and two.' },
        { type: 'stage.delta', ...of, attempt: 2, text: 'Four.' },
        { type: 'stage.finished', ...of, attempt: 2, cache: 'off', runMs: 1 },
      ];
    });

    it('ends its item as incomplete, and has that of the second attempt in its place', async () => {
      const { text } = await send('POST', 'responses', { model: 'chat', input: 'Why?', stream: true });
      const told = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? ''));
      const items: Item[] = told.filter(isDone).map(({ item }) => item);
      expect(items).toMatchObject([
        { status: 'incomplete', content: [{ text: 'Three ' }] },
        { status: 'completed', content: [{ text: 'Two and two.' }] },
      ]);
      expect(items[0]?.id).toBe(items[1]?.id);
      expect(told.at(-1).response.output).toMatchObject([items[1], { type: 'message' }]);
    });

    it('has a blank line before that of the second attempt in a completion', async () => {
      const messages = [{ role: 'user', content: 'Why?' }];
      const { text } = await send('POST', 'chat/completions', { model: 'chat', messages, stream: true });
      const told = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data ?? ''));
      const thoughts = told.flatMap(({ choices }) => choices[0]?.delta.reasoning_content ?? []);
      expect(thoughts).toEqual(['Three ', '\n\nTwo and two.']);
    });
  });

  it('streams it as an item where nobody was told of it', async () => {
    const { text } = await send('POST', 'responses', { model: 'chat', input: 'Why?', stream: true });
    expect(text).toContain('response.reasoning_text.done');
    expect(text.match(/"type":"response.output_item.done"/g)).toHaveLength(2);
  });

  it('is given by chat completions as the servers of such models give it', async () => {
    const messages = [{ role: 'user', content: 'Why?' }];
    const { text } = await send('POST', 'chat/completions', { model: 'chat', messages });
    expect(JSON.parse(text).choices[0].message).toMatchObject({ content: 'Four.', reasoning_content: 'Two and two.' });
  });
});
