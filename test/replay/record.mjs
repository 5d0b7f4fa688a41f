// Records one history of each feature of the interpreter for the replay tests. Run it when a feature is added, never to
// make a failing replay pass: an old history that no longer replays is a broken promise to runs in flight.
//   node test/replay/record.mjs <name of a folder in test/replay/histories> [feature ...]
// Without features all are recorded. MILLRACE_TEST_SERVERS=<first port> takes the servers of a stack that is up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { down, up } from '../../dist/deploy/local/stack/index.js';
import { place } from '../../dist/placement/place.js';
import { readSettings } from '../../dist/workers/settings.js';
import * as agents from '../fixtures/agents.mjs';
import * as foreign from '../fixtures/foreign.mjs';
import * as fixtures from '../fixtures/pipelines.mjs';
import { scriptedLlm } from './scripted-llm.mjs';

const [release, ...only] = process.argv.slice(2);
if (release === undefined) throw new Error('name the folder for the histories, such as 0.1.0');
const BASE = {
  MILLRACE_HOME: '.millrace/record',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: '7580',
  MILLRACE_PIPELINES: 'test/fixtures/pipelines.mjs',
  ...serversAt(Number(process.env.MILLRACE_TEST_SERVERS ?? 0)),
};
const settings = readSettings(BASE);
const folder = path.join('test/replay/histories', release);
/** Its worker has no Redis. */
const WITHOUT_REDIS = 'without-redis';
/** Its worker has the pipelines with agents, whose model is scripted, and an MCP server. */
const AGENTS = { queue: `recorded-agents-${process.pid}` };
/** Its worker has the pipelines with stages of another worker, which runs beside it. */
const FOREIGN = { queue: `recorded-foreign-${process.pid}` };
/** Its worker is killed during the only attempt of a call, which has another queue. */
const DOOMED = { queue: `recorded-doomed-${process.pid}` };
const log = () => path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'calls.log');

/** A run that a fast host runs: its workflow starts with a delay. */
const GUARDED = { context: { guarded: 'recorded', answerTo: 'nobody' }, options: { startDelay: 3_000 } };

const FOUR = ['first', 'second', 'third', 'fourth'];
/** What a fast host tells of `fourInlineSteps`. */
const FOUR_STEPS_DONE = {
  done: { below: Object.fromEntries(FOUR.map((name) => [name, { value: { name } }])) },
  rows: FOUR.map((stage) => ({
    ...{ stage, kind: 'code', connector: 'code', model: stage, device: 'worker', status: 'done' },
    ...{ endpoint: 'worker', attempt: 1, cache: 'off', queueMs: 0, runMs: 1 },
  })),
};

/** Each stage has one attempt, and the queue of another worker. */
function onceOn({ plan }, { queue }) {
  const elsewhere = [{ queue: settings.MILLRACE_TASK_QUEUE, device: 'next' }];
  const row = { connector: 'code', device: 'first', queue, elsewhere, patienceMs: 500 };
  const once = ({ policy, ...stage }) => ({ ...stage, policy: { ...policy, retry: { ...policy.retry, attempts: 1 } } });
  const placement = Object.fromEntries(plan.stages.map(({ id }) => [id, row]));
  return { plan: { ...plan, stages: plan.stages.map(once) }, placement };
}

/** Stages with a version of their code that no worker has, with `timeout.queueMs` where it is given. */
function withoutCode(given, calls) {
  const gone = (stage) => {
    const timeout = { ...stage.policy.timeout, ...calls[stage.id] };
    return { ...stage, codeVersion: 'gone', policy: { ...stage.policy, timeout } };
  };
  const stages = given.plan.stages.map((stage) => (stage.id in calls ? gone(stage) : stage));
  const plan = { ...given.plan, stages };
  return { plan, placement: place(plan, () => undefined, settings.MILLRACE_TASK_QUEUE) };
}

/** Its waits are told to a delivery that was stopped. */
const TOLD = { waitsTo: 'webhook/recorded' };
const WAIT = {
  ...{ nonce: 'recorded', stage: 'sign-off', path: 'sign-off', subject: 'one step', otherwise: false },
  ...{ since: '2026-11-26T20:00:00.000Z', until: '2026-11-26T21:00:00.000Z' },
};

const FEATURES = {
  'queued-stages': [fixtures.threeSteps, () => ({ log: log(), ms: 1 })],
  'inline-stages': [fixtures.threeInlineSteps, () => ({ log: log(), ms: 1 })],
  'retried-stage': [fixtures.flakyRun, () => ({ log: log(), failures: 2, code: 'BACKEND_UNAVAILABLE' })],
  'failed-stage': [fixtures.flakyRun, () => ({ log: log(), failures: 9, code: 'BACKEND_REJECTED' })],
  'parallel-stages': [fixtures.fanOut, () => ({ log: log(), ms: 20 })],
  approval: [fixtures.gated, () => ({ log: log() }), (run) => decided(run)],
  'approval-told': [fixtures.gated, () => ({ log: log() }), (run) => decided(run), { context: TOLD }],
  'delivery-of-waits': [
    fixtures.gated,
    () => ({ log: log() }),
    async (delivery, _wake, run) => {
      await delivery.signal('waiting', WAIT);
      await decided(run);
      await run.result();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      // Attempts take three days.
      await delivery.terminate();
    },
    { delivered: [{ endpoint: 'nobody' }] },
  ],
  'delivery-to-subscribers': [
    fixtures.gated,
    () => ({ log: log() }),
    async (delivery, _wake, run) => {
      await delivery.signal('waiting', WAIT);
      await decided(run);
    },
    { delivered: [{ subscriptions: true }] },
  ],
  'lost-stream': [fixtures.mutedNarrator, () => ({ question: 'Why?' }), undefined, { queue: WITHOUT_REDIS }],
  'lost-attempt': [
    fixtures.threeSteps,
    () => ({ log: log(), ms: 3_000 }),
    () => doomed.kill('SIGKILL'),
    { context: onceOn(fixtures.threeSteps, DOOMED) },
  ],
  deadline: [fixtures.tooLate, () => ({ log: log(), ms: 60_000 })],
  cancelled: [fixtures.gated, () => ({ log: log() }), (run) => run.cancel()],
  'cached-answer': [fixtures.askCached, () => ({ question: 'What is the capital of France?' })],
  when: [fixtures.branching, () => ({ n: 3 })],
  'each-on-queues': [fixtures.relayEachQueued, () => ({ log: log(), n: 4, ms: 20 })],
  each: [fixtures.overItems, () => ({ items: [1, 2, 3] })],
  'many-short-calls': [fixtures.manyShortCalls, () => ({ count: 0, items: Array(900).fill(0) })],
  'diverged-item': [fixtures.divergedItem, () => ({ items: [1, 2] })],
  repeat: [fixtures.untilThree, () => ({ n: 0 })],
  race: [fixtures.racedQueued, () => ({ n: 1 })],
  'race-of-segments': [fixtures.racedMixed, () => ({ n: 1 })],
  'sub-pipelines': [fixtures.nested, () => ({ n: 1 })],
  'large-children': [fixtures.largeChildren, () => ({ text: 'x'.repeat(800_000) })],
  'large-state': [fixtures.largeState, () => ({ n: 0, text: 'x'.repeat(1_025_000) })],
  'optional-fallback-degrade': [fixtures.forgiving, () => ({ n: 1 })],
  'untaken-calls': [
    fixtures.untaken,
    () => ({ n: 1 }),
    undefined,
    { context: withoutCode(fixtures.untaken, { helped: {}, late: { queueMs: 2_000 } }) },
  ],
  segment: [fixtures.fourInlineSteps, () => ({ log: log(), ms: 1 })],
  'segment-that-fails': [fixtures.failingSegment, () => ({ n: 1 })],
  'segment-without-redis': [
    fixtures.fourInlineSteps,
    () => ({ log: log(), ms: 1 }),
    undefined,
    { queue: WITHOUT_REDIS },
  ],
  // By a release from before `interrupted-loops-go-on` it begins at its start in each history.
  'interrupted-loop': [
    fixtures.heavyInlineLoop,
    () => ({ n: 0 }),
    (_run, _wake, latest) => endedBehindFirstHistory(latest),
    { queue: WITHOUT_REDIS, most: 2 },
  ],
  'guardian-that-is-told': [
    fixtures.fourInlineSteps,
    () => ({ log: log(), ms: 1 }),
    (_run, wake) => wake('@outcome', FOUR_STEPS_DONE),
    GUARDED,
  ],
  'guardian-that-takes-over': [fixtures.fourInlineSteps, () => ({ log: log(), ms: 1 }), undefined, GUARDED],
  'outputs-and-priority': [
    fixtures.twoOutputs,
    () => ({ n: 1 }),
    undefined,
    { context: { outputs: ['second'], priority: 'batch' } },
  ],
  'new-history': [fixtures.heavyLoop, () => ({ n: 0 })],
  agent: [agents.manyTools, () => ({ task: 'all' }), undefined, AGENTS],
  'agent-without-tools': [agents.desertedAgent, () => ({ task: 'sum' }), undefined, AGENTS],
  'agent-approval': [agents.refundDesk, () => ({ task: 'refund' }), (run) => decided(run), AGENTS],
  'agent-approval-by-default': [agents.hastyDesk, () => ({ task: 'refund' }), undefined, AGENTS],
  'agent-session-approval': [
    agents.rememberingDesk,
    () => ({ task: 'refund', session: 'recorded-desk' }),
    (run) => decided(run),
    AGENTS,
  ],
  'agent-question': [agents.bookingDesk, () => ({ task: 'book' }), (run) => decided(run, { seat: 4 }), AGENTS],
  'agent-open-question': [agents.openBookingDesk, () => ({ task: 'book' }), (run) => decided(run, { seat: 4 }), AGENTS],
  'agent-session': [agents.rememberingAgent, () => ({ task: 'sum', session: 'recorded' }), undefined, AGENTS],
  'agent-session-summary': [agents.rememberingAgent, () => ({ task: 'sum', session: 'recorded' }), undefined, AGENTS],
  'foreign-stages': [foreign.both, () => ({ name: 'Ada', a: 1, b: 41 }), undefined, FOREIGN],
  'foreign-failure': [
    foreign.fails,
    () => ({ log: log(), type: 'ValueError', message: 'bad', nonRetryable: true }),
    undefined,
    FOREIGN,
  ],
  'foreign-alternative': [foreign.instead, () => ({ a: 2, b: 3 }), undefined, FOREIGN],
  'foreign-cancelled': [foreign.slow, () => ({ log: log(), steps: 600 }), (run) => run.cancel(), FOREIGN],
  'foreign-start': [foreign.shouting, () => ({ text: 'mill' }), undefined, { ...FOREIGN, alone: true }],
  'foreign-start-refused': [foreign.shouting, () => ({ txt: 'mill' }), undefined, { ...FOREIGN, alone: true }],
  'agent-shortened': [agents.forgetfulAgent, () => ({ task: 'heap' }), undefined, AGENTS],
  'agent-shortened-with-rules': [agents.ruledAgent, () => ({ task: 'rules' }), undefined, AGENTS],
  'agent-new-history': [agents.longAgent, () => ({ task: 'long' }), undefined, AGENTS],
};

/** Terminates a run that is in its second history, which has the result of a stage, or in a later one if the second was short. */
async function endedBehindFirstHistory(latest) {
  for (;;) {
    const { events } = await latest.fetchHistory();
    const { continuedExecutionRunId } = events[0].workflowExecutionStartedEventAttributes;
    const hasResult = events.some(({ activityTaskCompletedEventAttributes: completed }) => completed);
    if (continuedExecutionRunId && hasResult) return latest.terminate().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Approves what the run waits for, as soon as it does; with the content of an answer, where it is a question. */
async function decided(run, content) {
  for (;;) {
    const [wait] = await run.query('waiting');
    if (wait) {
      const given = { nonce: wait.nonce, approved: true, by: 'ada', ...(content && { content }) };
      return run.executeUpdate('decide', { args: [given] });
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Starts a delivery that starts the run `of`. No attempt at a target succeeds, and nobody has subscribed. */
function deliveryOf(pipeline, { version }, of, targets) {
  const { workflowId: id, args, taskQueue } = of;
  const run = { id, pipeline, version, args, memo: {}, timeoutMs: 60_000, summary: 'recorded' };
  return {
    taskQueue,
    workflowId: `webhook/${id}`,
    args: [{ tenant: 'default', targets, queue: `${settings.MILLRACE_TASK_QUEUE}.webhooks`, of: { run } }],
  };
}

/** The servers of a stack that is up; none for 0. */
function serversAt(first) {
  if (first === 0) return {};
  const at = (offset) => `127.0.0.1:${first + offset}`;
  return {
    TEMPORAL_ADDRESS: at(2),
    REDIS_URL: `redis://${at(4)}`,
    REDIS_INDEX_URL: `redis://${at(10)}`,
    REDIS_CACHE_URL: `redis://${at(11)}`,
    TRITON_URL: at(6),
    LLM_BASE_URL: `http://${at(8)}/v1`,
    // Not that of the stack's own worker.
    MILLRACE_TASK_QUEUE: `recorded-${process.pid}`,
  };
}

/** Longer histories are kept compressed, in characters. */
const COMPRESSED_FROM = 200_000;

const POOLS = {
  assistant: ['openai', 'chat'],
  scripted: ['openai', 'chat'],
  minilm: ['triton', 'embed'],
  tts: ['triton', 'synthesize'],
};
const poolOf = (model) => {
  const [connector, kind] = POOLS[model] ?? [];
  if (kind === undefined) return undefined;
  return { connector, kind, devices: ['cpu0'], capabilities: new Set(['stream', 'tools', 'structured-output']) };
};

/** Without what belongs to the machine that recorded it. */
function portable(history) {
  const strip = (key, value) => (key === 'stackTrace' ? '' : key === 'identity' ? 'recorder' : value);
  return `${JSON.stringify(JSON.parse(historyToJSON(history)), strip, 1)}\n`;
}

/** A worker beside the stack's own, on a queue of its own. */
async function workerOn(queue, port, more) {
  const env = {
    ...process.env,
    ...BASE,
    MILLRACE_TASK_QUEUE: queue,
    MILLRACE_WORKER_METRICS_PORT: String(port),
    ...more,
  };
  const child = spawn(process.execPath, ['dist/cli/main.js', 'worker'], { env, stdio: 'ignore' });
  while (child.exitCode === null && !(await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined))?.ok)
    await new Promise((resolve) => setTimeout(resolve, 100));
  return child;
}

/** A worker of plain Temporal. */
async function foreignWorker(address, queue) {
  const args = ['test/fixtures/foreign-worker.mjs', address, queue];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

/** Files of the settings of the worker with agents. */
function agentSettings(url) {
  const home = mkdtempSync(path.join(tmpdir(), 'millrace-'));
  const file = (name, value) => {
    writeFileSync(path.join(home, name), JSON.stringify(value));
    return path.join(home, name);
  };
  const pool = { connector: 'openai', kind: 'chat', model: 'scripted', endpoints: [{ url, device: 'cpu0' }] };
  const server = { command: process.execPath, args: ['test/fixtures/mcp-server.mjs'] };
  const asking = (era) => ({
    command: process.execPath,
    args: ['test/fixtures/mcp-asking-server.mjs', era, 'stdio', path.join(home, 'notes.log')],
  });
  return {
    MILLRACE_PIPELINES: 'test/fixtures/agents.mjs',
    MILLRACE_MODELS: file('models.json', { scripted: pool }),
    MILLRACE_MCP_SERVERS: file('mcp.json', {
      files: server,
      desk: asking('modern'),
      'old-desk': asking('old'),
      gone: { command: process.execPath, args: ['-e', 'process.exit(1)'] },
    }),
  };
}

/** The histories of one run: more than one where it was continued. */
async function historiesOf(client, { workflowId, firstExecutionRunId }) {
  const histories = [];
  let runId = firstExecutionRunId;
  while (runId) {
    histories.push(await client.workflow.getHandle(workflowId, runId).fetchHistory());
    runId = histories.at(-1).events.at(-1).workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return histories;
}

const children = [];
let doomed;
const llm = await scriptedLlm();
try {
  const { temporal } = await up({
    settings,
    parts: ['temporal', 'redis', 'redis-index', 'redis-cache', 'triton', 'llm', 'worker'],
  });
  // A page of the long history is above gRPC's default of 4 MiB.
  const channelArgs = { 'grpc.max_receive_message_length': 64 * 1024 * 1024 };
  const client = new Client({ connection: await Connection.connect({ address: temporal, channelArgs }) });
  mkdirSync(folder, { recursive: true });
  // Whatever redis the others have, it has none.
  const env = { TEMPORAL_ADDRESS: temporal };
  children.push(await workerOn(WITHOUT_REDIS, 7599, { ...env, REDIS_URL: 'redis://127.0.0.1:1' }));
  children.push(await workerOn(AGENTS.queue, 7598, { ...env, ...agentSettings(llm.url) }));
  children.push(await workerOn(FOREIGN.queue, 7597, { ...env, MILLRACE_PIPELINES: 'test/fixtures/foreign.mjs' }));
  children.push(await foreignWorker(temporal, 'foreign'));
  doomed = await workerOn(DOOMED.queue, 7596, env);
  children.push(doomed);
  for (const [feature, [{ name, plan }, input, act, more = {}]] of Object.entries(FEATURES)) {
    if (only.length > 0 && !only.includes(feature)) continue;
    // Alone: started without a context, as other clients start runs. Most: histories that are kept.
    const { queue = settings.MILLRACE_TASK_QUEUE, context = {}, alone = false, delivered, most } = more;
    const wanted = {
      taskQueue: queue,
      workflowId: `${feature}-${Date.now()}`,
      args: [
        input(),
        ...(alone ? [] : [{ plan, placement: place(plan, poolOf, queue), tenant: 'default', ...context }]),
      ],
    };
    const run = delivered
      ? await client.workflow.start('webhookDelivery', deliveryOf(name, plan, wanted, delivered))
      : await client.workflow.start(name, { ...wanted, ...more.options });
    if (act) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await act(
        run,
        (signal, ...signalArgs) => client.workflow.signalWithStart(name, { ...wanted, signal, signalArgs }),
        client.workflow.getHandle(wanted.workflowId),
      );
    }
    const end = await run.result().then(
      () => 'done',
      (error) => error.cause?.type ?? error.cause?.message ?? error.message,
    );
    const histories = (await historiesOf(client, run)).slice(0, most);
    for (const [i, history] of histories.entries()) {
      const text = portable(history);
      const file = path.join(folder, `${feature}${i === 0 ? '' : `-${i + 1}`}.json`);
      if (text.length > COMPRESSED_FROM) writeFileSync(`${file}.gz`, gzipSync(text, { level: 9 }));
      else writeFileSync(file, text);
    }
    process.stdout.write(`${feature}: ${end}\n`);
  }
  await client.connection.close();
} finally {
  for (const child of children) child.kill();
  llm.close();
  await down(settings);
}
