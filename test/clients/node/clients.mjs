// Clients for Node against a gateway: node clients.mjs URL. Prints a line of JSON for each case.
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Role, SendMessageRequest, TaskState } from '@a2a-js/sdk';
import { ClientFactory } from '@a2a-js/sdk/client';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { Agent as MastraAgent } from '@mastra/core/agent';
import { createTool } from '@mastra/core/tools';
import { Client as McpClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { Agent, OpenAIProvider, Runner, tool } from '@openai/agents';
import { tool as aiTool, generateText, Output, stepCountIs, streamText } from 'ai';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { tryAll } from './cases.mjs';

const [, , url] = process.argv;
const baseURL = `${url}/v1`;
const apiKey = 'none';
/** A program of an installed package. */
const binOf = (name) => path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules', '.bin', name);
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const TWO = 'CALL weather {"city":"Paris"} CALL weather {"city":"Rome"}';
const city = z.object({ city: z.string() });
const a = z.object({ a: z.number() });

async function joined(texts) {
  let all = '';
  for await (const text of texts) all += typeof text === 'string' ? text : text.text;
  return all;
}

const openai = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({
  name: 'millrace',
  baseURL,
  supportsStructuredOutputs: true,
  includeUsage: true,
});
const anthropic = createAnthropic({ baseURL, apiKey });
const doors = [
  ['ai', 'chat', (name) => openai.chat(name)],
  ['ai', 'responses', (name) => openai.responses(name)],
  ['@ai-sdk/openai-compatible', 'chat', (name) => compatible(name)],
  ['ai', 'messages', (name) => anthropic(name)],
];
for (const [client, door, modelOf] of doors) {
  const model = modelOf('full');
  const weather = aiTool({ inputSchema: city, execute: ({ city: name }) => `${name} 21` });
  const more = { model, tools: { weather }, stopWhen: stepCountIs(3) };
  const streamed = (options) => {
    let failure;
    const { textStream } = streamText({ ...options, onError: ({ error }) => (failure = error) });
    return joined(textStream).then((text) => {
      if (failure) throw failure;
      return text;
    });
  };
  await tryAll(client, door, {
    text: async () => (await generateText({ model, system: 'Be short.', prompt: 'hello' })).text,
    stream: () => streamed({ model, prompt: 'hello' }),
    tools: async () => (await generateText({ ...more, prompt: TWO })).text,
    'tools, streamed': () => streamed({ ...more, prompt: TWO }),
    structured: async () =>
      (await generateText({ model, prompt: 'JSON {"a":1}', output: Output.object({ schema: a }) })).output,
    image: async () => {
      const content = [
        { type: 'text', text: 'see' },
        { type: 'image', image: Buffer.from(PIXEL, 'base64') },
      ];
      return (await generateText({ model, messages: [{ role: 'user', content }] })).text;
    },
    'second turn': async () => {
      const first = { role: 'user', content: TWO };
      const { response } = await generateText({ ...more, messages: [first] });
      const messages = [first, ...response.messages, { role: 'user', content: 'again' }];
      return (await generateText({ ...more, messages })).text;
    },
    agent: async () => (await generateText({ model: modelOf('desk'), prompt: TWO })).text,
    'agent, streamed': () => streamed({ model: modelOf('desk'), prompt: TWO }),
  });
}

for (const [door, useResponses] of [
  ['chat', false],
  ['responses', true],
]) {
  const provider = new OpenAIProvider({ baseURL, apiKey, useResponses });
  const runner = new Runner({ modelProvider: provider, tracingDisabled: true });
  const execute = ({ city: name }) => `${name} 21`;
  const weather = tool({ name: 'weather', description: 'The weather', parameters: city, execute });
  const agent = new Agent({ name: 'helper', instructions: 'You help.', model: 'full', tools: [weather] });
  const said = async (who, input) => (await runner.run(who, input)).finalOutput;
  const streamed = async (who, input) => {
    const result = await runner.run(who, input, { stream: true });
    for await (const _ of result);
    return result.finalOutput;
  };
  await tryAll('@openai/agents', door, {
    text: () => said(agent, 'hello'),
    stream: () => streamed(agent, 'hello'),
    tools: () => said(agent, TWO),
    'tools, streamed': () => streamed(agent, TWO),
    structured: () => said(new Agent({ name: 'typed', model: 'full', outputType: a }), 'JSON {"a":1}'),
    image: () => {
      const image = { type: 'input_image', image: `data:image/png;base64,${PIXEL}` };
      return said(agent, [{ role: 'user', content: [{ type: 'input_text', text: 'see' }, image] }]);
    },
    'second turn': async () => {
      const { history } = await runner.run(agent, TWO);
      return said(agent, [...history, { role: 'user', content: 'again' }]);
    },
    agent: () => said(new Agent({ name: 'desk', model: 'desk' }), TWO),
    'agent, streamed': () => streamed(new Agent({ name: 'desk', model: 'desk' }), TWO),
  });
}

{
  const execute = async ({ context }) => `${context.city} 21`;
  const weather = createTool({ id: 'weather', description: 'The weather', inputSchema: city, execute });
  const agentOf = (modelId) => {
    const model = { providerId: 'millrace', modelId, url: baseURL, apiKey };
    return new MastraAgent({ id: 'helper', name: 'helper', instructions: 'You help.', model, tools: { weather } });
  };
  const [agent, typed] = [agentOf('full'), agentOf('full')];
  const model = { providerId: 'millrace', modelId: 'desk', url: baseURL, apiKey };
  // The pipeline has its own instructions and takes no others.
  const desk = new MastraAgent({ id: 'desk', name: 'desk', instructions: '', model });
  const steps = { maxSteps: 3 };
  await tryAll('@mastra/core', 'chat', {
    text: async () => (await agent.generate('hello')).text,
    stream: async () => joined((await agent.stream('hello')).textStream),
    tools: async () => (await agent.generate(TWO, steps)).text,
    'tools, streamed': async () => joined((await agent.stream(TWO, steps)).textStream),
    structured: async () => (await typed.generate('JSON {"a":1}', { structuredOutput: { schema: a } })).object,
    image: async () => {
      const content = [
        { type: 'text', text: 'see' },
        { type: 'image', image: `data:image/png;base64,${PIXEL}`, mimeType: 'image/png' },
      ];
      return (await agent.generate([{ role: 'user', content }])).text;
    },
    'second turn': async () => {
      const first = { role: 'user', content: TWO };
      const { response } = await agent.generate([first], steps);
      return (await agent.generate([first, ...response.messages, { role: 'user', content: 'again' }], steps)).text;
    },
    agent: async () => (await desk.generate(TWO)).text,
    'agent, streamed': async () => joined((await desk.stream(TWO)).textStream),
  });
}

for (const [door, useResponsesApi] of [
  ['chat', false],
  ['responses', true],
]) {
  const modelOf = (model) =>
    new ChatOpenAI({ model, apiKey, configuration: { baseURL }, useResponsesApi, maxRetries: 0 });
  const model = modelOf('full');
  const options = { name: 'weather', description: 'The weather', schema: city };
  const weather = langchainTool(({ city: name }) => `${name} 21`, options);
  const withTools = model.bindTools([weather]);
  const two = { role: 'user', content: TWO };
  const answered = async () => {
    const message = await withTools.invoke([two]);
    const results = await Promise.all(message.tool_calls.map((each) => weather.invoke(each)));
    return [two, message, ...results];
  };
  await tryAll('@langchain/openai', door, {
    text: async () => (await model.invoke('hello')).text,
    stream: async () => joined(await model.stream('hello')),
    tools: async () => (await withTools.invoke(await answered())).text,
    'tools, streamed': async () => {
      let message;
      for await (const chunk of await withTools.stream([two])) message = message?.concat(chunk) ?? chunk;
      const results = await Promise.all(message.tool_calls.map((each) => weather.invoke(each)));
      return joined(await withTools.stream([two, message, ...results]));
    },
    structured: () => model.withStructuredOutput(a).invoke('JSON {"a":1}'),
    image: async () => {
      const image_url = { url: `data:image/png;base64,${PIXEL}` };
      const content = [
        { type: 'text', text: 'see' },
        { type: 'image_url', image_url },
      ];
      return (await model.invoke([{ role: 'user', content }])).text;
    },
    'second turn': async () => {
      const turns = await answered();
      return (await withTools.invoke([...turns, await withTools.invoke(turns), { role: 'user', content: 'again' }]))
        .text;
    },
    agent: async () => (await modelOf('desk').invoke(TWO)).text,
    'agent, streamed': async () => joined(await modelOf('desk').stream(TWO)),
  });
}

{
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
  const ended = async (id) => {
    for (;;) {
      const response = await client.responses.retrieve(id);
      if (response.status !== 'queued' && response.status !== 'in_progress') return response;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const weather = { type: 'function', name: 'weather', strict: false, parameters: z.toJSONSchema(city) };
  const asked = { role: 'user', content: TWO };
  /** The conversation after the client has carried the calls out. */
  const done = ({ output }) => [
    asked,
    ...output,
    ...output
      .filter(({ type }) => type === 'function_call')
      .map(({ call_id, arguments: given }) => ({
        type: 'function_call_output',
        call_id,
        output: `${JSON.parse(given).city} 21`,
      })),
  ];
  const streamed = (request) => client.responses.stream({ model: 'full', ...request }).finalResponse();
  await tryAll('openai', 'responses', {
    text: async () => (await client.responses.create({ model: 'full', input: 'hello' })).output_text,
    stream: async () => (await streamed({ input: 'hello' })).output_text,
    tools: async () => {
      const more = { model: 'full', tools: [weather] };
      const input = done(await client.responses.create({ ...more, input: [asked] }));
      return (await client.responses.create({ ...more, input })).output_text;
    },
    'tools, streamed': async () => {
      const input = done(await streamed({ tools: [weather], input: [asked] }));
      return (await streamed({ tools: [weather], input })).output_text;
    },
    structured: async () => {
      const text = { format: zodTextFormat(a, 'answer') };
      return (await client.responses.parse({ model: 'full', input: 'JSON {"a":1}', text })).output_parsed;
    },
    image: async () => {
      const image = { type: 'input_image', detail: 'auto', image_url: `data:image/png;base64,${PIXEL}` };
      const content = [{ type: 'input_text', text: 'see' }, image];
      return (await client.responses.create({ model: 'full', input: [{ role: 'user', content }] })).output_text;
    },
    agent: async () => (await client.responses.create({ model: 'desk', input: TWO })).output_text,
    'agent, streamed': async () => (await streamed({ model: 'desk', input: TWO })).output_text,
    'second turn': async () => {
      const { id } = await client.responses.create({ model: 'full', input: 'hello' });
      return (await client.responses.create({ model: 'full', input: 'again', previous_response_id: id })).output_text;
    },
    conversation: async () => {
      const { id } = await client.conversations.create();
      await client.responses.create({ model: 'full', input: 'hello', conversation: id });
      return (await client.responses.create({ model: 'full', input: 'again', conversation: id })).output_text;
    },
    background: async () => {
      const { id } = await client.responses.create({ model: 'desk', input: TWO, background: true });
      return (await ended(id)).output_text;
    },
    'another process': async () => {
      const { id } = await client.responses.create({ model: 'desk', input: TWO, background: true });
      const program = fileURLToPath(new URL('fetch-response.mjs', import.meta.url));
      return (await promisify(execFile)(process.execPath, [program, url, id])).stdout;
    },
    'connection lost': async () => {
      const stream = await client.responses.create({ model: 'desk', input: TWO, background: true, stream: true });
      let id = '';
      let at = -1;
      let text = '';
      for await (const event of stream) {
        at = event.sequence_number;
        if (event.type === 'response.created') id = event.response.id;
        if (event.type === 'response.output_text.delta') text += event.delta;
        if (at === 3) break;
      }
      for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: at }))
        if (event.type === 'response.output_text.delta') text += event.delta;
      return text;
    },
    approval: async () => {
      const input = 'CALL pay {"invoice":"7"}';
      const { id } = await client.responses.create({ model: 'desk', input, background: true });
      for (;;) {
        const { approvals } = await (await fetch(`${baseURL}/approvals`)).json();
        const open = approvals.find(({ run }) => id.endsWith(run));
        if (open !== undefined) {
          const body = JSON.stringify({ nonce: open.nonce, by: 'ada' });
          const headers = { 'content-type': 'application/json' };
          await fetch(`${baseURL}/runs/${open.run}/approve`, { method: 'POST', headers, body });
          return (await ended(id)).output_text;
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
  });
}

{
  const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
  const asking = (model, content) => ({ model, max_tokens: 200, messages: [{ role: 'user', content }] });
  const said = ({ content }) => content.map(({ text = '' }) => text).join('');
  const streamed = async (model, content) => said(await client.messages.stream(asking(model, content)).finalMessage());
  const tools = [{ name: 'weather', input_schema: z.toJSONSchema(city) }];
  /** Has `send` ask, carries the calls out, and has it ask again. */
  const carriedOut = async (send) => {
    const request = { ...asking('full', TWO), tools };
    const { content } = await send(request);
    const results = content
      .filter(({ type }) => type === 'tool_use')
      .map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: `${input.city} 21` }));
    const messages = [...request.messages, { role: 'assistant', content }, { role: 'user', content: results }];
    const message = await send({ ...request, messages });
    return { message, messages };
  };
  const create = (request) => client.messages.create(request);
  await tryAll('@anthropic-ai/sdk', 'messages', {
    text: async () => said(await create(asking('full', 'hello'))),
    stream: () => streamed('full', 'hello'),
    tools: async () => said((await carriedOut(create)).message),
    'tools, streamed': async () =>
      said((await carriedOut((request) => client.messages.stream(request).finalMessage())).message),
    image: async () => {
      const source = { type: 'base64', media_type: 'image/png', data: PIXEL };
      return said(
        await create(
          asking('full', [
            { type: 'text', text: 'see' },
            { type: 'image', source },
          ]),
        ),
      );
    },
    'second turn': async () => {
      const { message, messages } = await carriedOut(create);
      const { role, content } = message;
      const more = [...messages, { role, content }, { role: 'user', content: 'again' }];
      return said(await create({ ...asking('full', ''), tools, messages: more }));
    },
    agent: async () => said(await create(asking('desk', TWO))),
    'agent, streamed': () => streamed('desk', TWO),
  });
}

{
  const [full, desk] = await Promise.all(
    ['full', 'desk'].map((name) => new ClientFactory().createFromUrl(`${url}/a2a/${name}/`)),
  );
  const request = (parts, { configuration = {}, ...more } = {}) =>
    SendMessageRequest.fromJSON({
      message: { messageId: randomUUID(), role: Role.ROLE_USER, parts, ...more },
      configuration,
    });
  const told = (text) => request([{ text }]);
  const answer = ({ artifacts }) => artifacts.find(({ artifactId }) => artifactId === 'answer').parts[0].content.value;
  const said = async (client, ...given) => answer(await client.sendMessage(request(...given)));
  const growing = async (stream, onTask = () => undefined) => {
    let text = '';
    for await (const { payload } of stream) {
      if (payload.$case === 'task') onTask(payload.value.id);
      if (payload.$case !== 'artifactUpdate' || payload.value.artifact.artifactId !== 'answer') continue;
      const { append, artifact } = payload.value;
      text = (append ? text : '') + artifact.parts[0].content.value;
    }
    return text;
  };
  await tryAll('@a2a-js/sdk', 'a2a', {
    text: () => said(full, [{ text: 'hello' }]),
    stream: () => growing(full.sendMessageStream(told('hello'))),
    image: () => said(full, [{ text: 'see' }, { raw: PIXEL, mediaType: 'image/png' }]),
    'second turn': async () => {
      const { contextId } = await full.sendMessage(told('hello'));
      return await said(full, [{ text: 'again' }], { contextId });
    },
    agent: () => said(desk, [{ text: TWO }]),
    'agent, streamed': () => growing(desk.sendMessageStream(told(TWO))),
    background: async () => {
      const { id } = await desk.sendMessage(request([{ text: TWO }], { configuration: { returnImmediately: true } }));
      for (;;) {
        const task = await desk.getTask({ tenant: '', id });
        if (task.status.state === TaskState.TASK_STATE_COMPLETED) return answer(task);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    'connection lost': async () => {
      const lost = new AbortController();
      let id;
      const stream = desk.sendMessageStream(told('CALL pay {"invoice":"7"}'), { signal: lost.signal });
      const task = (given) => {
        id = given;
        lost.abort();
      };
      await growing(stream, task).catch(() => undefined);
      const decided = approve(id);
      const text = await growing(desk.resubscribeTask({ tenant: '', id }));
      await decided;
      return text;
    },
    approval: async () => {
      const task = await desk.sendMessage(told('CALL pay {"invoice":"7"}'));
      const { nonce } = task.status.message.parts.find(({ content }) => content.$case === 'data').content.value;
      const { id: taskId, contextId } = task;
      return await said(desk, [{ data: { nonce, approved: true } }], { taskId, contextId });
    },
  });

  /** Decides what the task waits for, as another client. */
  async function approve(taskId) {
    for (;;) {
      const { status, contextId } = await desk.getTask({ tenant: '', id: taskId });
      const asked = status.message?.parts.find(({ content }) => content.$case === 'data')?.content.value;
      if (status.state === TaskState.TASK_STATE_INPUT_REQUIRED)
        return await desk.sendMessage(
          request([{ data: { nonce: asked.nonce, approved: true } }], { taskId, contextId }),
        );
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

{
  /** A client that only knows programs, through the proxy to the gateway. */
  const through = async (ask) => {
    const client = new McpClient({ name: 'clients', version: '1' });
    const args = [binOf('mcp-remote'), `${url}/mcp`, '--allow-http', '--transport', 'http-only'];
    await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: 'ignore' }));
    try {
      return await ask(client);
    } finally {
      await client.close();
    }
  };
  await tryAll('mcp-remote', 'mcp', {
    agent: () =>
      through(async (client) => {
        const { structuredContent } = await client.callTool({ name: 'desk', arguments: { message: TWO } });
        return structuredContent.text;
      }),
  });
}

{
  const inspect = async (...args) => {
    const all = [binOf('mcp-inspector'), '--cli', `${url}/mcp`, '--transport', 'http', ...args];
    const { stdout } = await promisify(execFile)(process.execPath, all);
    return JSON.parse(stdout);
  };
  await tryAll('@modelcontextprotocol/inspector', 'mcp', {
    'one tool': async () => {
      const args = [
        '--method',
        'tools/call',
        '--tool-name',
        'desk',
        '--tool-arg',
        'message=What is the weather in Paris?',
      ];
      const { structuredContent } = await inspect(...args);
      return structuredContent.text;
    },
  });
}

// Some clients keep connections open.
process.exit(0);
