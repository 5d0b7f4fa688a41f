import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';

const HISTORIES = fileURLToPath(new URL('./histories', import.meta.url));
const BUNDLE = fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url));
const recorded = readdirSync(HISTORIES, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.json'));

/** Runs of earlier releases must go on under this one: each committed history replays without a difference. */
describe('the interpreter replays', () => {
  beforeAll(() => {
    expect(existsSync(BUNDLE), 'the build is missing: npm run build').toBe(true);
    Runtime.install({ logger: new DefaultLogger('ERROR') });
  });
  const options = { workflowBundle: { codePath: BUNDLE } };
  const read = (file: string): unknown => JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8'));

  it.each(recorded)('%s', async (file) => {
    await Worker.runReplayHistory(options, read(file));
  });

  it('and notices a history that it did not make', async () => {
    const file = recorded.find((name) => name.endsWith('queued-stages.json'));
    const text = JSON.stringify(read(file ?? '')).replaceAll('"second"', '"another"');
    await expect(Worker.runReplayHistory(options, JSON.parse(text))).rejects.toThrow();
  });
});
