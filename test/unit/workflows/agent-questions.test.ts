import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Attempt } from '../../../activities/stage/stage-runner.js';
import { agent, code, gte, mcpTools, type Pipeline, pipeline } from '../../../pipelines/index.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import type {
  Decision,
  Elicited,
  GivenDecision,
  Question,
  RunContext,
  RunEvent,
  StageCall,
  StageRecord,
  Wait,
} from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret, Waits } from '../../../workflows/interpreter/index.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';
import { until } from '../../support/runs.js';
import { runScript, type Said, scripted } from '../../support/scripted-model.js';

/** Questions of an MCP server during an agent's call of its tool. */

const SEAT: Question = {
  message: 'Which seat?',
  schema: { type: 'object', properties: { seat: { type: 'integer', maximum: 6 } }, required: ['seat'] },
};
const SURE: Question = { message: 'Sure?', url: 'https://bank.example/consent' };

function desk(name: string, timeout: `${number}ms` | '1h' = '1h'): Pipeline {
  const script = ({ messages }: { messages: readonly { role: string; content: string }[] }): Said => {
    const told = messages.filter(({ role }) => role === 'tool').map(({ content }) => content);
    return told.length === 0 ? { calls: [['book', { order: 'A1' }]] } : { text: told.join(' / ') };
  };
  const use = agent({ model: scripted(name, script), tools: [mcpTools({ server: 'desk', elicitation: { timeout } })] });
  return pipeline(name, { input: z.object({}), deadline: '2h' }, ({ stage }) => {
    const { text, toolCalls } = stage('answer', use, { prompt: 'Book it.' });
    return { text, toolCalls };
  }) as unknown as Pipeline;
}

type Serve = (call: StageCall, attempt: Attempt, number: number) => JsonObject | Promise<JsonObject>;

/** A run whose server is a function: of each activity that calls its tool. */
class Running {
  readonly calls: StageCall[] = [];
  readonly listed: StageCall[] = [];
  readonly events: RunEvent[] = [];
  readonly waits = new Waits();
  rows: readonly StageRecord[] = [];
  readonly #serve: Serve;

  constructor(serve: Serve) {
    this.#serve = serve;
  }

  readonly runner = {
    run: async (input: JsonObject, call: StageCall, attempt: Attempt) => {
      const schema = { type: 'object', properties: { order: { type: 'string' } } };
      const of = { endpoint: '', device: '', attempt: attempt.attempt, cache: 'off', queueMs: 0, runMs: 0 } as const;
      if (call.kind === 'chat') return { ...(await runScript(call, input)), ...of };
      if (call.kind === 'mcp-tools') {
        this.listed.push(call);
        return { output: { tools: [{ name: 'book', description: 'Books', schema }] }, ...of };
      }
      this.calls.push(call);
      return { output: await this.#serve(call, attempt, this.calls.length), ...of };
    },
  };

  host(): InProcessHost {
    return new InProcessHost({
      ...{ runner: this.runner, run: 'r', waits: this.waits },
      onReport: (rows) => {
        this.rows = rows;
      },
      onEvent: (event) => void this.events.push(event),
    });
  }

  async output(made: Pipeline): Promise<JsonObject> {
    const context: RunContext = { ...contextOf(made), events: true };
    const ended = await interpret({}, context, this.host());
    if (!('output' in ended)) throw new Error('it goes on in a new history');
    return ended.output as JsonObject;
  }

  async wait(count = 1): Promise<readonly Wait[]> {
    await until('a person is asked', () => this.waits.open.length === count);
    return this.waits.open;
  }

  async decide(given: Omit<GivenDecision, 'nonce'>): Promise<Decision> {
    const [wait] = await this.wait();
    return this.waits.decide({ ...given, nonce: wait?.nonce ?? '' });
  }
}

const asks = (questions: Record<string, Question>, goesOn: JsonObject = { key: 'k' }, more: JsonObject = {}) =>
  ({ asks: { questions, goesOn, ...more } }) as unknown as JsonObject;
const answersOf = (call: StageCall | undefined) => (call?.with.goesOn as JsonObject | undefined)?.answers;

let wrong = 0;

describe('a call that ends with a question', () => {
  it('is a wait with the server’s name, and goes on with the answer', async () => {
    const running = new Running((_, __, number) => (number === 1 ? asks({ seat: SEAT }) : { result: 'booked' }));
    const output = running.output(desk('questions-form'));
    const [wait] = await running.wait();
    expect(wait).toMatchObject({
      stage: 'answer',
      path: expect.stringMatching(/^answer\/turn-1\/book:[0-9a-f]{12}\/question-1\.1$/),
      subject: 'The MCP server "desk" asks during its tool "book": Which seat?',
      question: { server: 'desk', tool: 'book', ...SEAT },
      otherwise: false,
    });
    expect(Date.parse(wait?.until ?? '') - Date.parse(wait?.since ?? '')).toBe(3_600_000);
    await running.decide({ approved: true, by: 'ada', content: { seat: 4 } });
    expect(await output).toMatchObject({
      text: 'booked',
      toolCalls: [{ name: 'book', end: 'done', result: 'booked' }],
    });
    const [first, second] = running.calls;
    expect(first?.with).toEqual({ tool: 'book', asks: 3_600_000, callMs: 30_000 });
    expect(second?.with.goesOn).toEqual({ key: 'k', answers: { seat: { action: 'accept', content: { seat: 4 } } } });
    expect(second?.path).toMatch(/^answer\/turn-1\/book:[0-9a-f]{12}\/answers-1:[0-9a-f]{12}$/);
    // A repeated call has effects like the first.
    expect(second?.retry.attempts).toBe(1);
    expect(running.listed[0]?.with).toEqual({ asks: 3_600_000 });
    const types = running.events.map(({ type }) => type);
    expect(types).toEqual(expect.arrayContaining(['stage.waiting', 'stage.decided']));
    expect(running.rows[0]?.decisions).toMatchObject([{ approved: true, by: 'ada', content: { seat: 4 } }]);
  });

  it.each<[object, string, RegExp]>([
    [{ approved: true }, 'content.seat', /is missing/],
    [{ approved: true, content: { seat: 9 } }, 'content.seat', /must be 6 or less/],
    [{ approved: true, content: { seat: 1, row: 2 } }, 'content.row', /is not a field/],
    [{ approved: true, content: [1] }, 'content', /must be an object/],
    [{ approved: true, content: { seat: 1 }, arguments: { order: 'A2' } }, 'arguments', /not about a call/],
    [{ approved: true, content: { seat: 1 }, scope: 'run' }, 'scope', /not about a call/],
    [{ approved: false, content: { seat: 1 } }, 'approved', /are for what is approved/],
  ])('refuses a decision that is no answer: %j', async (given, field, message) => {
    const running = new Running((_, __, number) => (number === 1 ? asks({ seat: SEAT }) : { result: 'booked' }));
    const output = running.output(desk(`questions-wrong-${++wrong}`));
    await running.wait();
    const [{ nonce = '' } = {}] = running.waits.open;
    expect(() => running.waits.check({ nonce, ...given })).toThrow(
      expect.objectContaining({
        code: 'INVALID_INPUT',
        details: { fields: [{ field, message: expect.stringMatching(message) }] },
      }),
    );
    await running.decide({ approved: false });
    await output;
  });

  it('is declined with a reason, which the model is told', async () => {
    const running = new Running((_, __, number) => (number === 1 ? asks({ seat: SEAT }) : { result: 'no seat' }));
    const output = running.output(desk('questions-declined'));
    await running.decide({ approved: false, reason: 'too dear' });
    expect((await output).text).toMatch(/A person declined the question of "desk": too dear[\s\S]*no seat/);
    expect(answersOf(running.calls[1])).toEqual({ seat: { action: 'decline' } });
  });

  it('is cancelled when nobody answers in time', async () => {
    const running = new Running((_, __, number) => (number === 1 ? asks({ seat: SEAT }) : { result: 'no seat' }));
    const { text } = await running.output(desk('questions-unanswered', '100ms'));
    expect(text).toMatch(/Nobody answered the question of "desk" in time/);
    expect(answersOf(running.calls[1])).toEqual({ seat: { action: 'cancel' } });
  });

  it('may have several, which are answered one by one, and more afterwards', async () => {
    const running = new Running((_, __, number) =>
      number === 1 ? asks({ a: SEAT, b: SURE }) : number === 2 ? asks({ c: SURE }) : { result: 'booked' },
    );
    const output = running.output(desk('questions-several'));
    const [seat, sure] = await running.wait(2);
    expect(sure?.subject).toBe(
      'The MCP server "desk" asks during its tool "book": Sure? (open https://bank.example/consent)',
    );
    const content = { field: 'content' };
    expect(() => running.waits.check({ nonce: sure?.nonce, approved: true, content: { seat: 1 } })).toThrow(
      expect.objectContaining({ details: { fields: [expect.objectContaining(content)] } }),
    );
    running.waits.decide({ nonce: sure?.nonce, approved: true });
    running.waits.decide({ nonce: seat?.nonce, approved: false });
    await until('the next question', () => running.calls.length === 2 && running.waits.open.length === 1);
    await running.decide({ approved: true });
    await output;
    expect(answersOf(running.calls[1])).toEqual({ a: { action: 'decline' }, b: { action: 'accept' } });
    expect(answersOf(running.calls[2])).toEqual({ c: { action: 'accept' } });
  });

  it('that goes on with a task may be attempted again', async () => {
    const running = new Running((_, __, number) =>
      number === 1 ? asks({ seat: SEAT }, { key: 'k', task: 't' }, { safe: true }) : { result: 'booked' },
    );
    const output = running.output(desk('questions-task'));
    await running.decide({ approved: true, content: { seat: 1 } });
    await output;
    expect(running.calls[1]?.retry.attempts).toBe(3);
  });

  it('ends when the server does not stop asking', async () => {
    const running = new Running(() => asks({ sure: SURE }));
    const output = running.output(desk('questions-endless'));
    let ended = false;
    const over = output.finally(() => {
      ended = true;
    });
    while (!ended) {
      for (const { nonce } of running.waits.open) running.waits.decide({ nonce, approved: true });
      await sleep(5);
    }
    expect((await over).toolCalls).toMatchObject([
      { end: 'failed', code: 'TOOL_FAILED', message: expect.stringContaining('asked more than 16 times') },
    ]);
    expect(running.calls).toHaveLength(17);
  });
});

describe('a question of a call that is open', () => {
  const answer = (attempt: Attempt, question: Question): Promise<Elicited> =>
    attempt.ask?.(question) ?? Promise.reject(new Error('nobody can be asked'));

  it('is a wait, and its answer goes to the call', async () => {
    const running = new Running(async (_, attempt) => ({ result: (await answer(attempt, SEAT)) as unknown as Json }));
    const output = running.output(desk('held-form'));
    const [wait] = await running.wait();
    expect(wait).toMatchObject({
      path: expect.stringMatching(/^answer\/turn-1\/book:[0-9a-f]{12}\/open-question-0\.1$/),
      question: { server: 'desk', tool: 'book', ...SEAT },
    });
    await running.decide({ approved: true, content: { seat: 2 } });
    expect((await output).toolCalls).toMatchObject([{ result: { action: 'accept', content: { seat: 2 } } }]);
    expect(running.calls).toHaveLength(1);
  });

  it('is over when the call ends', async () => {
    let nonce = '';
    const running = new Running(async (_, attempt) => {
      void answer(attempt, SEAT);
      await until('a person is asked', () => running.waits.open.length === 1);
      nonce = running.waits.open[0]?.nonce ?? '';
      return { result: 'the server has not waited' };
    });
    expect((await running.output(desk('held-left'))).text).toBe('the server has not waited');
    expect(running.waits.open).toEqual([]);
    expect(() => running.waits.check({ nonce, approved: true, content: { seat: 1 } })).toThrow(
      expect.objectContaining({ code: 'ALREADY_DECIDED' }),
    );
  });
});

/** A host whose history is full after two looks; its waits look again whether to give up, as those of a workflow do, and its timers never end. */
class GivingUpHost extends InProcessHost {
  checks = 2;
  readonly #own: Waits;
  constructor(options: ConstructorParameters<typeof InProcessHost>[0] & { readonly waits: Waits }) {
    super(options);
    this.#own = options.waits;
  }
  override full(): boolean {
    return --this.checks < 0;
  }
  override race<T>(contenders: Parameters<InProcessHost['race']>[0]): Promise<T> {
    return Promise.race(contenders.map((contender) => contender(this))) as Promise<T>;
  }
  override async decision(wait: Wait, giveUp?: () => boolean): Promise<Decision | undefined> {
    this.#own.begin(wait);
    for (;;) {
      const decision = this.#own.decisionOn(wait.nonce);
      if (decision || giveUp?.()) return decision;
      await sleep(20);
    }
  }
  override wait(): Promise<void> {
    return new Promise(() => undefined);
  }
}

describe('a question in a run that takes a new history', () => {
  const one = z.object({ n: z.number() });
  const more = code('more-of-questions', { input: one, output: one }, async ({ n }) => {
    await sleep(50);
    return { n: n + 1 };
  });

  it('is the same wait there, and nothing is called twice', async () => {
    let modelCalls = 0;
    const model = scripted('questions-new-history', ({ messages }) => {
      modelCalls += 1;
      const told = messages.find(({ role }) => role === 'tool');
      return told ? { text: told.content } : { calls: [['book', { order: 'A1' }]] };
    });
    const tools = [mcpTools({ server: 'desk', elicitation: { timeout: '1h' } })];
    const made = pipeline('questions-long', { input: z.object({}), deadline: '2h' }, ({ stage, repeat }) => {
      // A loop beside it notices that the history is full.
      const loop = repeat('loop', { n: 0 }, (state) => ({ n: stage('one', more, { n: state.n }).n }), {
        until: (state) => gte(state.n, 3),
        atMost: 9,
      });
      return { text: stage('answer', agent({ model, tools }), { prompt: 'Book.' }).text, n: loop.n };
    }) as unknown as Pipeline;
    const running = new Running((_, __, number) => (number === 1 ? asks({ a: SEAT, b: SURE }) : { result: 'booked' }));
    const loops = new CodeRunner(made);
    const runner = {
      run: (input: JsonObject, call: StageCall, attempt: Attempt) =>
        call.kind === 'code' ? loops.run(input, call, attempt) : running.runner.run(input, call, attempt),
    };
    const { waits } = running;
    const host = new GivingUpHost({ runner, run: 'r', waits });
    const stopped = interpret({}, contextOf(made), host);
    const [seat, sure] = await running.wait(2);
    waits.decide({ nonce: sure?.nonce, approved: true, reason: 'as always' });
    const first = await stopped;
    if (!('carried' in first)) throw new Error('it did not stop');
    waits.decide({ nonce: seat?.nonce, approved: true, content: { seat: 3 } });
    host.checks = 99;
    const carried = JSON.parse(JSON.stringify({ ...first.carried, decided: waits.carried })) as RunContext['carried'];
    const second = await interpret({}, { ...contextOf(made), ...(carried && { carried }) }, host);
    const text = expect.stringMatching(/^A person answered the question of "desk": as always[\s\S]*booked/);
    expect(second).toMatchObject({ output: { text, n: 3 } });
    expect(modelCalls).toBe(2);
    expect(Object.keys(waits.carried)).toHaveLength(2);
    expect(running.calls).toHaveLength(2);
    expect(answersOf(running.calls[1])).toEqual({
      a: { action: 'accept', content: { seat: 3 } },
      b: { action: 'accept' },
    });
  });

  it('does not ask again for the approval of its call', async () => {
    const model = scripted('questions-approved', ({ messages }) =>
      messages.some(({ role }) => role === 'tool') ? { text: 'Done.' } : { calls: [['book', { order: 'A1' }]] },
    );
    const timeout = '1h' as const;
    const tools = [mcpTools({ server: 'desk', approval: { timeout }, elicitation: { timeout } })];
    let open: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      open = resolve;
    });
    const last = code('ends-when-asked', { input: one, output: one }, async ({ n }) => {
      await asked;
      return { n: n + 1 };
    });
    const made = pipeline('questions-approved', { input: z.object({}), deadline: '2h' }, ({ stage, repeat }) => {
      const loop = repeat('loop', { n: 0 }, (state) => ({ n: stage('one', last, { n: state.n }).n }), {
        until: (state) => gte(state.n, 3),
        atMost: 9,
      });
      return { text: stage('answer', agent({ model, tools }), { prompt: 'Book.' }).text, n: loop.n };
    }) as unknown as Pipeline;
    const running = new Running((_, __, number) => (number === 1 ? asks({ a: SEAT }) : { result: 'booked' }));
    const loops = new CodeRunner(made);
    const runner = {
      run: (input: JsonObject, call: StageCall, attempt: Attempt) =>
        call.kind === 'code' ? loops.run(input, call, attempt) : running.runner.run(input, call, attempt),
    };
    const { waits } = running;
    const host = new GivingUpHost({ runner, run: 'r', waits });
    host.checks = 1_000;
    const stopped = interpret({}, contextOf(made), host);
    await running.wait();
    await running.decide({ approved: true });
    await until('the server asks', () => waits.open.some(({ question }) => question !== undefined));
    host.checks = 0;
    open();
    const first = await stopped;
    if (!('carried' in first)) throw new Error('it did not stop');
    await running.decide({ approved: true, content: { seat: 3 } });
    host.checks = 1_000;
    const carried = JSON.parse(JSON.stringify({ ...first.carried, decided: waits.carried })) as RunContext['carried'];
    const second = await interpret({}, { ...contextOf(made), ...(carried && { carried }) }, host);
    if (!('output' in second)) throw new Error('it stopped again');
    const decisions = second.stages.find(({ stage }) => stage === 'answer')?.decisions ?? [];
    expect(decisions.map(({ path }) => path)).toEqual([
      expect.stringMatching(/\/book:[0-9a-f]{12}$/),
      expect.stringMatching(/\/question-1\.1$/),
    ]);
    expect(running.calls).toHaveLength(2);
  });
});
