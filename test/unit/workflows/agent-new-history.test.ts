import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  agent,
  code,
  gte,
  guardrail,
  MillraceError,
  type Pipeline,
  pipeline,
  streamOf,
  tool,
} from '../../../pipelines/index.js';
import type { Json } from '../../../pipelines/json.js';
import type { Decision, RunContext, Wait } from '../../../pipelines/run/index.js';
import { InProcessHost } from '../../../workers/hosts/in-process-host.js';
import { interpret, Waits } from '../../../workflows/interpreter/index.js';
import { decideIn } from '../../support/deciding.js';
import { CodeRunner, contextOf } from '../../support/in-process.js';
import { scripted } from '../../support/scripted-model.js';

/** A host whose history is full after some looks. */
class FullHost extends InProcessHost {
  checks = 0;
  override full(): boolean {
    return --this.checks < 0;
  }
  override race<T>(contenders: Parameters<InProcessHost['race']>[0]): Promise<T> {
    return Promise.race(contenders.map((contender) => contender(this))) as Promise<T>;
  }
}

/** One whose waits for a signal look again whether to give up, as those of a workflow do; its timers never end. */
class GivingUpHost extends FullHost {
  readonly #own: Waits;
  constructor(options: ConstructorParameters<typeof InProcessHost>[0] & { readonly waits: Waits }) {
    super(options);
    this.#own = options.waits;
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

const one = z.object({ n: z.number() });
const more = code('more', { input: one, output: one }, async ({ n }) => {
  await sleep(50);
  return { n: n + 1 };
});
const next = tool({ name: 'next', description: 'Counts', input: z.object({ n: z.number() }), run: ({ n }) => n + 1 });
const messageCounts: number[] = [];
const counter = scripted('counter', ({ messages }) => {
  messageCounts.push(messages.length);
  const n = Number(messages.at(-1)?.content ?? 0);
  return n >= 5 ? { text: `${n}` } : { calls: [['next', { n: Number.isNaN(n) ? 0 : n }]] };
});
const lost = scripted('lost', () => {
  throw new MillraceError('BACKEND_UNAVAILABLE', 'gone');
});
const counting = (name: string, model: string, fallback: readonly string[] = []) =>
  pipeline(name, { input: z.object({}), deadline: '10m' }, ({ stage }) => {
    const use = (of: string) => agent({ model: of, tools: [next] });
    const options = { retry: { attempts: 1 }, fallback: fallback.map(use) } as const;
    const { text, turns, toolCalls } = stage('answer', use(model), { prompt: 'Count.' }, options);
    return { text, turns, toolCalls };
  }) as unknown as Pipeline;

/** Runs to the end in as many histories as it takes, each of `checks` checks; how many it were. */
async function inHistories(made: Pipeline, checks: number, host: FullHost) {
  let context: RunContext = contextOf(made);
  for (let histories = 1; ; histories++) {
    host.checks = checks;
    const ended = await interpret({}, context, host);
    if (!('carried' in ended)) return { histories, output: ended.output };
    // As it is in the input of the next history.
    const carried = JSON.parse(JSON.stringify({ ...ended.carried, decided: {} })) as RunContext['carried'];
    context = { ...contextOf(made), ...(carried && { carried }) };
  }
}

describe('an agent that goes on in a new history', () => {
  it('asks nothing twice', async () => {
    messageCounts.length = 0;
    const made = counting('counting', counter);
    const runner = new CodeRunner(made);
    const { histories, output } = await inHistories(made, 2, new FullHost({ runner, run: 'r' }));
    expect(histories).toBe(3);
    expect(output).toMatchObject({ text: '5', turns: 6 });
    expect((output.toolCalls as Json[]).length).toBe(5);
    expect(messageCounts).toEqual([1, 3, 5, 7, 9, 11]);
    expect(runner.events.filter((event) => event.endsWith('starts'))).toHaveLength(5);
  });

  it('is read on: what reads its words stops with it, and each is said once', async () => {
    const model = scripted('counting-aloud', ({ messages }) => {
      const n = Number(messages.at(-1)?.content) || 0;
      return n >= 5 ? { text: `It is ${n}.` } : { text: `After ${n}.`, calls: [['next', { n }]] };
    });
    const hear = code(
      'hear',
      { input: z.object({ said: streamOf(z.string()) }), output: z.object({ heard: z.array(z.string()) }) },
      async ({ said }) => {
        const heard: string[] = [];
        for await (const sentence of said) heard.push(sentence);
        return { heard };
      },
    );
    const made = pipeline('counting-aloud', { input: z.object({}), deadline: '10m' }, ({ stage }) => {
      const answer = stage('answer', agent({ model, tools: [next] }), { prompt: 'Count.' });
      return { said: answer.said.text, heard: stage('hear', hear, { said: answer.said.sentences }).heard };
    }) as unknown as Pipeline;
    const heard = ['After 0.', 'After 1.', 'After 2.', 'After 3.', 'After 4.', 'It is 5.'];
    for (const checks of [99, 2]) {
      const runner = new CodeRunner(made);
      const { histories, output } = await inHistories(made, checks, new FullHost({ runner, run: 'r' }));
      expect(histories).toBe(checks === 99 ? 1 : 3);
      expect(output).toEqual({ said: heard.join('\n\n'), heard });
      expect(runner.events.filter((event) => event.includes('next') && event.endsWith('starts'))).toHaveLength(5);
    }
  });

  it('does not go back to what it has fallen back from', async () => {
    messageCounts.length = 0;
    const made = counting('counting-after-loss', lost, [counter]);
    const { output } = await inHistories(made, 2, new FullHost({ runner: new CodeRunner(made), run: 'r' }));
    expect(output).toMatchObject({ text: '5', turns: 6 });
    expect(messageCounts).toEqual([1, 3, 5, 7, 9, 11]);
  });

  it('goes on with the conversation as it was shortened', async () => {
    const requests: string[] = [];
    let summaries = 0;
    const fill = tool({
      name: 'fill',
      description: 'Fills',
      input: z.object({ n: z.number() }),
      run: ({ n }) => `${n} ${'x'.repeat(1_000)}`,
    });
    const model = scripted('filler', ({ messages, with: options }) => {
      if (messages.at(-1)?.content.includes('Sum up')) {
        summaries += 1;
        return { text: 'Filled.' };
      }
      requests.push(JSON.stringify([messages, options]));
      const n = Number(/"n":(\d+)/.exec(JSON.stringify(messages.at(-2)?.toolCalls ?? ''))?.[1] ?? 0);
      return n >= 12 ? { text: 'Done.' } : { calls: [['fill', { n: n + 1 }]] };
    });
    const made = pipeline('filling', { input: z.object({}), deadline: '10m' }, ({ stage }) => {
      const use = agent({ model, tools: [fill], maxTurns: 20, context: { tokens: 2_500 } });
      return { text: stage('answer', use, { prompt: 'Fill.' }).text };
    }) as unknown as Pipeline;
    const ofHistories = async (checks: number) => {
      requests.length = 0;
      summaries = 0;
      const runner = new CodeRunner(made);
      const { output } = await inHistories(made, checks, new FullHost({ runner, run: 'r' }));
      expect(output).toEqual({ text: 'Done.' });
      expect(runner.events.filter((event) => event.endsWith('starts'))).toHaveLength(12);
      return { requests: [...requests], summaries };
    };
    const whole = await ofHistories(99);
    expect(whole.summaries).toBeGreaterThan(0);
    expect(await ofHistories(2)).toEqual(whole);
  });

  it('keeps what has ended of a turn in which a person is waited for', async () => {
    const pay = tool({
      name: 'pay',
      description: 'Pays',
      input: z.object({}),
      approval: { timeout: '5m' },
      run: () => 'paid',
    });
    let modelCalls = 0;
    const model = scripted('payer', ({ messages }) => {
      modelCalls += 1;
      return messages.length > 1
        ? { text: 'Done.' }
        : {
            calls: [
              ['next', { n: 1 }],
              ['pay', {}],
            ],
          };
    });
    const made = pipeline('paying', { input: z.object({}), deadline: '10m' }, ({ stage, repeat }) => {
      // A loop beside it notices that the history is full.
      const loop = repeat('loop', { n: 0 }, (state) => ({ n: stage('one', more, { n: state.n }).n }), {
        until: (state) => gte(state.n, 3),
        atMost: 9,
      });
      return { text: stage('answer', agent({ model, tools: [next, pay] }), { prompt: 'Pay.' }).text, n: loop.n };
    }) as unknown as Pipeline;
    const runner = new CodeRunner(made);
    const waits = new Waits();
    const host = new GivingUpHost({ runner, run: 'r', waits });
    host.checks = 2;
    const first = await interpret({}, contextOf(made), host);
    if (!('carried' in first)) throw new Error('it did not stop');
    expect(runner.events.filter((event) => event.includes('next') && event.endsWith('ends'))).toHaveLength(1);
    const nonces = waits.open.map(({ nonce }) => nonce);
    await decideIn(waits, 'answer/turn-1/pay', { approved: true });
    host.checks = 99;
    const carried = JSON.parse(JSON.stringify({ ...first.carried, decided: waits.carried })) as RunContext['carried'];
    const second = await interpret({}, { ...contextOf(made), ...(carried && { carried }) }, host);
    expect(second).toMatchObject({ output: { text: 'Done.', n: 3 } });
    expect(modelCalls).toBe(2);
    // The wait is the same in both histories.
    expect(Object.keys(waits.carried)).toEqual(nonces);
    expect(runner.events.filter((event) => event.includes('next') && event.endsWith('starts'))).toHaveLength(1);
  });

  it('checks nothing twice while a person decides what a guardrail has asked', async () => {
    const seen = { checks: 0, modelCalls: 0 };
    const odd = guardrail({
      name: 'odd',
      on: 'input',
      check: () => {
        seen.checks += 1;
        return { verdict: 'ask', reason: 'odd' };
      },
    });
    const model = scripted('asked', () => {
      seen.modelCalls += 1;
      return { text: 'Done.' };
    });
    const made = pipeline('asking', { input: z.object({}), deadline: '10m' }, ({ stage, repeat }) => {
      const loop = repeat('loop', { n: 0 }, (state) => ({ n: stage('one', more, { n: state.n }).n }), {
        until: (state) => gte(state.n, 3),
        atMost: 9,
      });
      return { text: stage('answer', agent({ model, guardrails: [odd] }), { prompt: 'Pay.' }).text, n: loop.n };
    }) as unknown as Pipeline;
    const waits = new Waits();
    const host = new GivingUpHost({ runner: new CodeRunner(made), run: 'r', waits });
    host.checks = 2;
    const first = await interpret({}, contextOf(made), host);
    if (!('carried' in first)) throw new Error('it did not stop');
    const nonces = waits.open.map(({ nonce }) => nonce);
    await decideIn(waits, 'answer/turn-1/guard_odd', { approved: true });
    host.checks = 99;
    const carried = JSON.parse(JSON.stringify({ ...first.carried, decided: waits.carried })) as RunContext['carried'];
    const second = await interpret({}, { ...contextOf(made), ...(carried && { carried }) }, host);
    expect(second).toMatchObject({ output: { text: 'Done.', n: 3 } });
    expect(seen).toEqual({ checks: 1, modelCalls: 1 });
    expect(Object.keys(waits.carried)).toEqual(nonces);
  });
});

it('a call is no other record of its turn, whatever the name of its tool', async () => {
  const reply = tool({ name: 'reply', description: 'Replies', input: z.object({}), run: () => 'sent' });
  const model = scripted('replying', ({ messages }) =>
    messages.some(({ role }) => role === 'tool')
      ? { text: 'Done.' }
      : {
          calls: [
            ['reply', {}],
            ['guard:polite', {}],
          ],
        },
  );
  const made = pipeline('replying', { input: z.object({}), deadline: '10m' }, ({ stage }) => {
    const { text, toolCalls } = stage('answer', agent({ model, tools: [reply] }), { prompt: 'Reply.' });
    return { text, toolCalls };
  }) as unknown as Pipeline;
  const { output } = await inHistories(made, 99, new FullHost({ runner: new CodeRunner(made), run: 'r' }));
  expect(output).toMatchObject({
    text: 'Done.',
    toolCalls: [
      { name: 'reply', end: 'done', result: 'sent' },
      { name: 'guard:polite', end: 'wrong', code: 'INVALID_TOOL_CALL' },
    ],
  });
});
