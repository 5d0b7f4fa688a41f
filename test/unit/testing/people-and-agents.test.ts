import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type AgentOptions, agent, approve, codeTool, mcpTools, pipeline, tool } from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { failure, type TestCall, testPipeline, toolCalls, used } from '../../../testing/index.js';

const question = z.object({ text: z.string() });

describe('people', () => {
  const signed = pipeline('signed', { input: question, deadline: '3d' }, ({ input, stage }) => {
    const decided = stage('sign', approve({ timeout: '1d', otherwise: false }), { subject: input.text });
    return { approved: decided.approved, by: decided.by };
  });

  it('decide as the test says, after a time', async () => {
    const run = await testPipeline(
      signed,
      { text: 'a refund' },
      {
        decisions: { sign: { approved: true, by: 'ann', after: '2h' } },
      },
    );
    expect(run.output).toEqual({ approved: true, by: 'ann' });
    expect(run.durationMs).toBe(7_200_000);
    expect(run.events.map(({ type }) => type)).toEqual(['stage.waiting', 'stage.decided']);
  });

  it('decide by what they are asked', async () => {
    const run = await testPipeline(
      signed,
      { text: 'a refund' },
      {
        decisions: { sign: ({ subject }) => ({ approved: subject === 'a refund' }) },
      },
    );
    expect(run.output).toEqual({ approved: true, by: 'person' });
  });

  it('do not decide: the timeout applies', async () => {
    const run = await testPipeline(signed, { text: 'a refund' }, { decisions: { sign: 'nobody' } });
    expect(run.output).toEqual({ approved: false, by: 'timeout' });
    expect(run.durationMs).toBe(86_400_000);
  });

  it('are missing in the test', async () => {
    await expect(testPipeline(signed, { text: 'a refund' })).rejects.toThrow(
      'the stage "sign" waits for a person (a refund) and has no decision; add decisions: { \'sign\': { approved: true } }',
    );
  });
});

describe('agents', () => {
  const weather = tool({
    name: 'get_weather',
    description: 'The weather in a city',
    input: z.object({ city: z.string() }),
    run: ({ city }) => ({ city, celsius: 21 }),
  });
  const refund = tool({
    name: 'refund',
    description: 'Pays money back',
    input: z.object({ euros: z.number() }),
    run: () => 'paid',
    approval: { timeout: '1h' },
  });
  const desk = pipeline('desk', { input: question, deadline: '2h' }, ({ input, stage }) => {
    const answer = stage('answer', agent({ model: 'm', tools: [weather, refund], budget: { tokens: 100 } }), {
      prompt: input.text,
    });
    return { text: answer.text, turns: answer.turns, stoppedBy: answer.stoppedBy };
  });

  it('call the real tools that the scripted model calls', async () => {
    const run = await testPipeline(
      desk,
      { text: 'Lisbon?' },
      {
        stages: { answer: [toolCalls(['get_weather', { city: 'Lisbon' }]), { text: 'It is sunny.' }] },
      },
    );
    expect(run.output).toEqual({ text: 'It is sunny.', turns: 2, stoppedBy: 'answer' });
    expect(run.calls.map(({ tool: name, kind, input }) => [name, kind, input])).toEqual([
      [undefined, 'chat', { history: [{ role: 'user', content: 'Lisbon?' }] }],
      ['get_weather', 'code', { city: 'Lisbon' }],
      [undefined, 'chat', expect.objectContaining({ history: expect.any(Array) as unknown })],
    ]);
    const history = run.calls[2]?.input.history as unknown as readonly { role: string; content: string }[];
    expect(JSON.parse(history.at(-1)?.content ?? '')).toEqual({ city: 'Lisbon', celsius: 21 });
  });

  it('get the results of scripted tools, and decisions on their calls', async () => {
    const run = await testPipeline(
      desk,
      { text: 'money back' },
      {
        stages: {
          'answer/turn-1': toolCalls(['get_weather', { city: 'Rome' }], ['refund', { euros: 5 }]),
          'answer/turn-2': ({ history }) => ({ text: JSON.stringify(history) }),
        },
        tools: { get_weather: 'rain' },
        decisions: { refund: ({ call }) => ({ approved: Number(call?.arguments?.euros) < 3 }) },
      },
    );
    expect(run.output.text).toContain('rain');
    expect(run.output.text).toContain('A person rejected the call.');
  });

  const twice = {
    'answer/turn-1': toolCalls(['refund', { euros: 5 }]),
    'answer/turn-2': toolCalls(['refund', { euros: 2 }]),
    'answer/turn-3': ({ history }: JsonObject) => ({ text: JSON.stringify(history) }),
  };

  it('get calls back with other arguments and a reason, and approvals that cover further calls', async () => {
    let asked = 0;
    const run = await testPipeline(
      desk,
      { text: 'money back' },
      {
        stages: twice,
        decisions: {
          refund: () => {
            asked += 1;
            return { approved: true, arguments: { euros: 3 }, reason: 'no more than three', scope: 'run' };
          },
        },
      },
    );
    expect(run.calls.filter(({ tool: name }) => name === 'refund').map(({ input }) => input)).toEqual([
      { euros: 3 },
      { euros: 2 },
    ]);
    expect(run.output.text).toContain('no more than three');
    expect(asked).toBe(1);
  });

  it('get no decision that a run would refuse', async () => {
    const run = testPipeline(
      desk,
      { text: 'money back' },
      { stages: twice, decisions: { refund: { approved: false, scope: 'run' } } },
    );
    await expect(run).rejects.toThrow(/the decision on "answer\/turn-1\/refund.*for what is approved/);
  });

  it('are charged for what the script says was used', async () => {
    const run = await testPipeline(
      desk,
      { text: 'on and on' },
      {
        stages: {
          answer: [
            used({ inputTokens: 90, outputTokens: 20 }, toolCalls(['get_weather', { city: 'Rome' }])),
            { text: 'enough' },
          ],
        },
      },
    );
    expect(run.output).toMatchObject({ text: 'enough', stoppedBy: 'tokens' });
  });

  it('begin a conversation, and list the tools of servers that the test gives', async () => {
    const chatty = pipeline('chatty', { input: question }, ({ input, stage }) => ({
      text: stage('talk', agent({ model: 'm', tools: [mcpTools({ server: 'notes' })], session: {} }), {
        prompt: input.text,
        session: 'ada',
      }).text,
    }));
    const turns = { talk: [toolCalls(['add', { text: 'milk' }]), { text: 'noted' }] };
    await expect(testPipeline(chatty, { text: 'x' }, { stages: turns })).rejects.toThrow(
      "add stages: { 'talk/tools/notes': … }",
    );
    const add = { name: 'add', description: 'Adds a note', schema: { type: 'object' } };
    const run = await testPipeline(
      chatty,
      { text: 'x' },
      {
        stages: { ...turns, 'talk/tools/notes': { tools: [add] } },
        tools: { add: 'ok' },
      },
    );
    expect(run.output).toEqual({ text: 'noted' });
    expect(run.calls.map(({ kind }) => kind)).toEqual(['mcp-tools', 'session', 'chat', 'mcp', 'chat', 'session']);
  });

  it('run no code of the model: the test says what it gives', async () => {
    const computing = pipeline('computing', { input: question }, ({ input, stage }) => ({
      text: stage('sum', agent({ model: 'm', tools: [codeTool({ sandbox: 'scripts' })] }), { prompt: input.text }).text,
    }));
    const turns = { sum: [toolCalls(['run_code', { code: '1 + 1' }]), { text: 'two' }] };
    await expect(testPipeline(computing, { text: 'x' }, { stages: turns })).rejects.toThrow(
      'the tool "run_code" of the agent "sum" (sandbox) has no script; add tools: { run_code: … }',
    );
    const run = await testPipeline(computing, { text: 'x' }, { stages: turns, tools: { run_code: { result: 2 } } });
    expect(run.output).toEqual({ text: 'two' });
    expect(run.calls).toMatchObject([{}, { kind: 'sandbox', model: 'scripts', input: { code: '1 + 1' } }, {}]);
  });

  it.each(['TOOL_SERVER_UNAVAILABLE', 'TOOLS_REFUSED', 'TOOL_FAILED'] as const)(
    'go on without a server whose list fails with %s, and are told; unless the author says otherwise',
    async (code) => {
      const clerk = (onFailure: 'tell' | 'fail') =>
        pipeline('clerk', { input: question }, ({ input, stage }) => {
          const server = mcpTools({ server: 'notes', onFailure });
          return {
            text: stage('talk', agent({ model: 'm', tools: [server, mcpTools({ server: 'ok' })] }), {
              prompt: input.text,
            }).text,
          };
        });
      const add = { name: 'add', description: 'Adds a note', schema: { type: 'object' } };
      const stages = {
        'talk/tools/notes': failure(code),
        'talk/tools/ok': { tools: [add] },
        talk: { text: 'I cannot.' },
      };
      const run = await testPipeline(clerk('tell'), { text: 'x' }, { stages });
      expect(run.output).toEqual({ text: 'I cannot.' });
      const asked = run.calls.find(({ kind }) => kind === 'chat')?.with;
      expect(asked).toMatchObject({
        system: expect.stringContaining(`"notes" are not available now (${code}).`),
        tools: [{ name: 'add' }],
      });
      const failed = await testPipeline(clerk('fail'), { text: 'x' }, { stages });
      expect(failed.error).toMatchObject({ code, stage: 'talk' });
    },
  );

  describe('that hand over', () => {
    const named = (name: string) => tool({ name, description: name, input: z.object({}), run: () => `${name} done` });
    const [look, pay] = [named('look'), named('pay')];
    const team = (options: Partial<AgentOptions> = {}) =>
      pipeline('team', { input: question }, ({ input, stage }) => {
        const billing = {
          name: 'billing',
          description: 'Invoices',
          instructions: 'You are billing.',
          tools: [pay, look],
          to: ['main'],
        };
        const main = agent({
          model: 'm',
          instructions: 'You are first.',
          tools: [look],
          handoffs: [billing],
          ...options,
        });
        const answer = stage('talk', main, { prompt: input.text });
        return { text: answer.text, by: answer.agent, calls: answer.toolCalls };
      });
    const seen = (call: TestCall) => ({
      system: call.with.system,
      tools: (call.with.tools as { name: string }[] | undefined)?.map(({ name }) => name),
    });

    it('give the other one the conversation, its instructions and its tools', async () => {
      const talk = [
        toolCalls(['look', {}], ['transfer_to_billing', { reason: 'an invoice' }]),
        toolCalls(['pay', {}]),
        { text: 'Paid.' },
      ];
      const run = await testPipeline(team(), { text: 'x' }, { stages: { talk } });
      expect(run.output).toMatchObject({ text: 'Paid.', by: 'billing' });
      const chats = run.calls.filter(({ kind }) => kind === 'chat');
      expect(chats.map(seen)).toEqual([
        { system: 'You are first.', tools: ['look', 'transfer_to_billing'] },
        { system: 'You are billing.', tools: ['look', 'pay', 'transfer_to_main'] },
        { system: 'You are billing.', tools: ['look', 'pay', 'transfer_to_main'] },
      ]);
      const history = chats[2]?.input.history as { role: string; content: string }[];
      expect(history.filter(({ role }) => role === 'tool').map(({ content }) => content)).toEqual([
        'look done',
        'The conversation is now with billing.',
        'pay done',
      ]);
      // It is a call like others for those who watch, and no activity.
      expect(run.events.flatMap((event) => (event.type === 'tool.ended' ? [[event.tool, event.end]] : []))).toEqual(
        expect.arrayContaining([['transfer_to_billing', 'done']]),
      );
      expect(run.calls.map(({ kind }) => kind).sort()).toEqual(['chat', 'chat', 'chat', 'code', 'code']);
    });

    it('may get it back, and cannot call tools of the others', async () => {
      const talk = [
        toolCalls(['pay', {}]),
        toolCalls(['transfer_to_billing', {}]),
        toolCalls(['transfer_to_main', {}]),
        { text: 'So.' },
      ];
      const run = await testPipeline(team(), { text: 'x' }, { stages: { talk } });
      expect(run.output).toMatchObject({
        text: 'So.',
        calls: [{ name: 'pay', end: 'wrong' }, { end: 'done' }, { end: 'done' }],
      });
      expect(run.output.by).toBeUndefined();
      expect(seen(run.calls.filter(({ kind }) => kind === 'chat')[3] as TestCall).system).toBe('You are first.');
    });

    it('go back and forth no longer than the limit of turns', async () => {
      const talk = (_: JsonObject, { with: { tools } }: { with: JsonObject }) => {
        const transfer = (tools as { name: string }[] | undefined)?.find(({ name }) => name.startsWith('transfer_to_'));
        return transfer ? toolCalls([transfer.name, {}]) : { text: 'Enough.' };
      };
      const run = await testPipeline(team({ maxTurns: 5 }), { text: 'x' }, { stages: { talk: talk as never } });
      expect(run.output).toMatchObject({ text: 'Enough.' });
      expect(run.calls).toHaveLength(5);
    });

    it('and one without this team that takes the failed one’s place answers in its own name', async () => {
      const alone = pipeline('alone', { input: question }, ({ input, stage }) => {
        const billing = { name: 'billing', description: 'Invoices', to: ['main'] };
        const options = { fallback: [agent({ model: 'other', tools: [look] })], retry: { attempts: 1 } };
        const use = agent({ model: 'm', tools: [look], handoffs: [billing] });
        const answer = stage('talk', use, { prompt: input.text }, options);
        return { text: answer.text, by: answer.agent, calls: answer.toolCalls };
      });
      const talk = (_: JsonObject, { model }: { model: string }, n: number) =>
        model === 'other'
          ? { text: 'Here.' }
          : n === 0
            ? toolCalls(['transfer_to_billing', {}])
            : failure('BACKEND_REJECTED');
      let asked = 0;
      const script = ((input: JsonObject, call: { model: string }) => talk(input, call, asked++)) as never;
      const run = await testPipeline(alone, { text: 'x' }, { stages: { talk: script } });
      expect(run.output).toMatchObject({ text: 'Here.', calls: [{ name: 'transfer_to_billing', end: 'done' }] });
      expect(run.output.by).toBeUndefined();
    });

    it.each([
      [[{ name: 'main', description: 'x' }], 'handoffs[0].name'],
      [[{ name: 'Big', description: 'x' }], 'handoffs[0].name'],
      [
        [
          { name: 'a', description: 'x' },
          { name: 'a', description: 'x' },
        ],
        'handoffs[1].name',
      ],
      [[{ name: 'a', description: ' ' }], 'handoffs[0].description'],
      [[{ name: 'a', description: 'x', to: ['b'] }], 'handoffs[0].to'],
      [[{ name: 'a', description: 'x', tools: [named('transfer_to_a')] }], 'transfer_to_a'],
    ])('are refused where the definition is wrong: %j', (handoffs, where) => {
      expect(() => team({ handoffs })).toThrow(where);
    });
  });

  it('name a tool without a script or a function', async () => {
    const { stageTool, retrieve } = await import('../../../pipelines/index.js');
    const search = stageTool({
      name: 'search',
      description: 'Passages',
      use: retrieve({ index: 'books', embedder: 'minilm' }),
    });
    const reader = pipeline('reader', { input: question }, ({ input, stage }) => ({
      text: stage('read', agent({ model: 'm', tools: [search] }), { prompt: input.text }).text,
    }));
    const scripts = { stages: { read: [toolCalls(['search', { query: 'x' }]), { text: 'done' }] } };
    await expect(testPipeline(reader, { text: 'x' }, scripts)).rejects.toThrow(
      'the tool "search" of the agent "read" (retrieve) has no script; add tools: { search: … }',
    );
    const run = await testPipeline(reader, { text: 'x' }, { ...scripts, tools: { search: { passages: [] } } });
    expect(run.output).toEqual({ text: 'done' });
  });
});
