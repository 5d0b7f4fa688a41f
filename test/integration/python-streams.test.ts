import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceClient, type RunDocument } from '../../client/index.js';
import { caught } from '../support/caught.js';
import { asModule, type Served, serve, typesOf } from '../support/python-pipelines.js';
import { PythonWorker, pythonSdk } from '../support/python-sdk.js';
import { CallLog, until } from '../support/runs.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FIXTURES = path.join(ROOT, 'test/fixtures/python-sdk');
const QUEUE = 'python-streams';

const sdk = await pythonSdk();

const numbers = (n: number) => Array.from({ length: n }, (_, i) => i);

if (typeof sdk === 'string') {
  it('Python stages that yield', ({ skip }) => skip(sdk));
} else {
  describe('a Python stage that yields', () => {
    mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
    const folder = mkdtempSync(path.join(ROOT, '.millrace', 'python-streams-'));
    let served: Served;
    let worker: PythonWorker;
    let client: MillraceClient;
    const startWorker = (more: Readonly<Record<string, string>> = {}) =>
      PythonWorker.start(sdk, FIXTURES, 'stream_stages', QUEUE, more);
    beforeAll(async () => {
      for (const name of ['stream-pipelines', 'stream-stages'])
        writeFileSync(
          path.join(folder, `${name}.mjs`),
          asModule(readFileSync(path.join(FIXTURES, `${name}.ts`), 'utf8')),
        );
      const pipelines = path.join(folder, 'stream-pipelines.mjs');
      [served, worker] = await Promise.all([serve(pipelines, 'python-stream-pipelines'), startWorker()]);
      client = new MillraceClient({ baseUrl: served.url });
    });
    afterAll(async () => {
      await worker?.kill('SIGTERM');
      await served?.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    /** Starts a run, whose stage takes 150 ms for an entry. */
    const started = async (pipeline: string, n: number) => {
      const log = new CallLog();
      const { id } = await client.start(pipeline, { log: log.file, n, pause: 0.15 });
      return { log, id };
    };
    const ended = async (pipeline: string, n: number): Promise<RunDocument> =>
      await client.wait((await started(pipeline, n)).id);
    /** Lines of a log that begin so. */
    const countOf = (log: CallLog, begin: string) => log.lines().filter((line) => line.startsWith(begin)).length;

    it('has the types that are committed', async () => {
      const made = await typesOf(sdk, FIXTURES, 'stream_stages', QUEUE);
      expect(made.replace("'millrace'", "'../../../pipelines/index.js'")).toBe(
        readFileSync(path.join(FIXTURES, 'stream-stages.ts'), 'utf8'),
      );
    });

    it('is read while it runs, and its list is the output', async () => {
      const n = 15;
      const { log, id } = await caught('an entry that is read before the last one is made', async () => {
        const run = await started('python-counted', n);
        await until('an entry is read', () => run.log.count('heard 0') > 0);
        return run.log.count(`made ${n - 1}`) === 0 ? run : undefined;
      });
      const { status, output, stages } = await client.wait(id);
      expect(status).toBe('succeeded');
      const all = numbers(n);
      expect(output).toEqual({ items: all, heard: all, doubled: all.map((number) => 2 * number) });
      expect(stages).toMatchObject([{ stage: 'count', kind: 'activity', device: QUEUE }, {}, {}, {}]);
      expect(countOf(log, 'made')).toBe(n);
    });

    it.each([
      ['python-counted', 'goes on behind what is committed', (number: number) => number],
      [
        'python-spelled',
        'begins anew, and what it repeats is dropped',
        (number: number) => ({ text: `word ${number}` }),
      ],
    ])('killed in mid-stream loses no entry and gives none twice: %s %s', async (pipeline, _, entryOf) => {
      const n = 30;
      const { log, id } = await caught('the middle', async () => {
        const run = await started(pipeline, n);
        await until('the middle is read', () => run.log.count('heard 5') > 0);
        await worker.kill();
        const early = run.log.count(`made ${n - 1}`) === 0;
        worker = await startWorker();
        return early ? run : undefined;
      });
      const { status, output } = await client.wait(id);
      expect(status).toBe('succeeded');
      const all = numbers(n).map((number): unknown => entryOf(number));
      expect(output).toMatchObject({ items: all, heard: all });
      // What was committed is made once by the function that goes on, and again by the one that begins anew.
      const made = countOf(log, 'made');
      if (pipeline === 'python-counted') expect(made).toBeLessThan(n + n / 2);
      else expect(made).toBeGreaterThan(n + 5);
    });

    it.each(['python-counted', 'python-spelled'])('hears of a cancelled run: %s', async (pipeline) => {
      const { log, id } = await started(pipeline, 400);
      await until('an entry is read', () => log.count('heard 0') > 0);
      await client.cancel(id);
      expect(await client.wait(id)).toMatchObject({ status: 'cancelled' });
      await until('the function has heard', () => log.count('cancelled') > 0);
      const made = countOf(log, 'made');
      await new Promise((resolve) => setTimeout(resolve, 500));
      expect(countOf(log, 'made')).toBe(made);
    });

    it('reads a stream while it is made, as a function in TypeScript does, though its worker is killed', async () => {
      const n = 30;
      const { log, id } = await caught('the middle', async () => {
        const run = await started('python-tripled', n);
        await until('the middle is read', () => run.log.count('heard 5') > 0);
        await worker.kill();
        const early = run.log.count(`made ${n - 1}`) === 0;
        worker = await startWorker();
        return early ? run : undefined;
      });
      const { status, output, stages } = await client.wait(id);
      expect(status).toBe('succeeded');
      const all = numbers(n).map((number) => 3 * number);
      const sum = { read: n, total: all.reduce((total, number) => total + number, 0) };
      expect(output).toEqual({ items: all, same: all, heard: all, sum });
      expect(stages?.map(({ instead }) => instead)).toEqual(stages?.map(() => undefined));
      // What it has yielded for is not read again.
      expect(countOf(log, 'tripled')).toBeLessThan(n + n / 2);
    });

    it('that gives something else in another attempt is cut, or ends with what is read', async () => {
      expect(await ended('python-rolled', 3)).toMatchObject({
        status: 'failed',
        error: { code: 'STREAM_CUT', stage: 'roll', message: expect.stringContaining('after 3 entries') },
      });
      const all = numbers(3).map((number) => `attempt 1, ${number}`);
      expect(await ended('python-ended', 3)).toMatchObject({
        status: 'succeeded',
        output: { items: all, heard: all },
      });
    });

    it('whose worker does not reach the state store is read when it has ended', async () => {
      await worker.kill('SIGTERM');
      worker = await startWorker({ REDIS_URL: 'redis://127.0.0.1:1' });
      const run = await ended('python-counted', 4);
      expect(run).toMatchObject({ status: 'succeeded', output: { items: numbers(4), heard: numbers(4) } });
      expect(worker.log).toContain('the state store cannot be reached, so what it yields is read when it has ended');
      await worker.kill('SIGTERM');
      worker = await startWorker();
    });
  });
}
