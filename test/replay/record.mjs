// Records one history of each feature of the interpreter for the replay tests. Run it when a feature is added, never to
// make a failing replay pass: an old history that no longer replays is a broken promise to runs in flight.
//   node test/replay/record.mjs <name of a new folder in test/replay/histories>
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { place } from '../../dist/placement/place.js';
import { readSettings } from '../../dist/workers/settings.js';
import { down, up } from '../../dist/workers/stack/index.js';
import * as fixtures from '../fixtures/pipelines.mjs';

const [release] = process.argv.slice(2);
if (release === undefined) throw new Error('name the folder for the histories, such as 0.1.0');
const settings = readSettings({
  MILLRACE_HOME: '.millrace/record',
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: '7580',
  MILLRACE_PIPELINES: 'test/fixtures/pipelines.mjs',
});
const folder = path.join('test/replay/histories', release);
const log = () => path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'calls.log');

const FEATURES = {
  'queued-stages': [fixtures.threeSteps, () => ({ log: log(), ms: 1 })],
  'inline-stages': [fixtures.threeInlineSteps, () => ({ log: log(), ms: 1 })],
  'retried-stage': [fixtures.flakyRun, () => ({ log: log(), failures: 2, code: 'BACKEND_UNAVAILABLE' })],
  'failed-stage': [fixtures.flakyRun, () => ({ log: log(), failures: 9, code: 'BACKEND_REJECTED' })],
  'parallel-stages': [fixtures.fanOut, () => ({ log: log(), ms: 20 })],
  approval: [
    fixtures.gated,
    () => ({ log: log() }),
    (run) => run.signal('approve/sign-off', { approved: true, by: 'ada' }),
  ],
  deadline: [fixtures.tooLate, () => ({ log: log(), ms: 60_000 })],
  cancelled: [fixtures.gated, () => ({ log: log() }), (run) => run.cancel()],
  'cached-answer': [fixtures.askCached, () => ({ question: 'What is the capital of France?' })],
};

/** Without what belongs to the machine that recorded it. */
function portable(history) {
  const strip = (key, value) => (key === 'stackTrace' ? '' : key === 'identity' ? 'recorder' : value);
  return `${JSON.stringify(JSON.parse(historyToJSON(history)), strip, 1)}\n`;
}

try {
  const { temporal } = await up({ settings, parts: ['temporal', 'redis', 'triton', 'llm', 'worker'] });
  const client = new Client({ connection: await Connection.connect({ address: temporal }) });
  mkdirSync(folder, { recursive: true });
  for (const [feature, [{ name, plan }, input, act]] of Object.entries(FEATURES)) {
    const placement = place(
      plan,
      (model) => ({ connector: model === 'assistant' ? 'openai' : 'triton', devices: ['cpu0'] }),
      'millrace',
    );
    const run = await client.workflow.start(name, {
      taskQueue: 'millrace',
      workflowId: `${feature}-${Date.now()}`,
      args: [input(), { plan, placement, tenant: 'default' }],
    });
    if (act) {
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await act(run);
    }
    await run.result().catch(() => undefined);
    writeFileSync(path.join(folder, `${feature}.json`), portable(await run.fetchHistory()));
    process.stdout.write(`${feature}\n`);
  }
  await client.connection.close();
} finally {
  await down(settings);
}
