import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MillraceClient, type RunDocument } from '../../client/index.js';
import { caught } from '../support/caught.js';
import { encoded } from '../support/ffmpeg.js';
import { asModule, type Served, serve, typesOf } from '../support/python-pipelines.js';
import { PythonWorker, pythonSdk, runPython } from '../support/python-sdk.js';
import { address, CallLog, connect, until } from '../support/runs.js';
import { wavFile } from '../support/wav-samples.js';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FIXTURES = path.join(ROOT, 'test/fixtures/python-sdk');
const QUEUE = 'python-work';

const sdk = await pythonSdk();

if (typeof sdk === 'string') {
  it('Python stages', ({ skip }) => skip(sdk));
} else {
  mkdirSync(path.join(ROOT, '.millrace'), { recursive: true });
  const folders: string[] = [];
  const newFolder = () => {
    folders.push(mkdtempSync(path.join(ROOT, '.millrace', 'python-')));
    return folders.at(-1) as string;
  };
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  describe('the guide', () => {
    const folder = newFolder();
    const guide = readFileSync(path.join(ROOT, 'docs/guides/python-stages.md'), 'utf8');
    const block = (name: string): string => {
      const [, source] = new RegExp(`\`\`\`\\w+\\n(?:#|//) ${name}\\n([\\s\\S]*?)\`\`\``).exec(guide) ?? [];
      if (source === undefined) throw new Error(`the guide has no block ${name}`);
      return source;
    };
    let served: Served;
    let worker: PythonWorker;
    beforeAll(async () => {
      const whole = (name: string) => `${block(name)}\n${block(`${name}, continued`)}`;
      writeFileSync(path.join(folder, 'ask.py'), block('ask.py'));
      writeFileSync(path.join(folder, 'speech_stages.py'), whole('speech_stages.py'));
      writeFileSync(path.join(folder, 'speech-stages.mjs'), await typesOf(sdk, folder, 'speech_stages', 'python'));
      writeFileSync(path.join(folder, 'pipelines.mjs'), asModule(whole('pipelines.ts')));
      [served, worker] = await Promise.all([
        serve(path.join(folder, 'pipelines.mjs'), 'python-guide'),
        PythonWorker.start(sdk, folder, 'speech_stages', 'python'),
      ]);
    });
    afterAll(async () => {
      await worker?.kill('SIGTERM');
      await served?.stop();
    });

    it('filters audio and embeds a text in Python, asked by the Python client', async () => {
      const question = path.join(folder, 'question.wav');
      writeFileSync(question, wavFile({ sampleRate: 16_000, channels: 2, seconds: 1, amplitude: 0.5 }));
      const { code, stdout, stderr } = await runPython(sdk, ['ask.py', served.url, question], { cwd: folder });
      expect(code, stderr).toBe(0);
      // A sine has the loudness of its amplitude divided by the root of two.
      expect(stdout.split('\n')).toEqual([expect.stringMatching(/^succeeded 0\.35\d? 64 b'RIFF'$/), 'run', '']);
    });

    it('shows usage, conversions and the Python worker in the table of stages', async () => {
      const client = new MillraceClient({ baseUrl: served.url });
      const speech = new Blob([wavFile({ sampleRate: 8_000, channels: 2, seconds: 0.5 })]);
      const { id, output, stages } = await client.run('cleaned', { speech, title: 'On old mills' });
      expect(output).toMatchObject({
        speech: { mime: 'audio/wav', durationMs: 500, sampleRate: 8_000, channels: 1 },
        topic: expect.any(Array),
      });
      expect(Math.hypot(...(output.topic as unknown as number[]))).toBeCloseTo(1);
      expect(stages).toMatchObject([
        { stage: 'denoise', kind: 'activity', device: 'python', conversions: ['8000 Hz stereo → 8000 Hz mono'] },
        { stage: 'embed', kind: 'activity', usage: { inputTokens: 3 } },
      ]);
      const bytesOf = async () => (await fetch(`${served.url}/v1/runs/${id}/artifacts/speech`)).arrayBuffer();
      await expect.poll(async () => (await bytesOf()).byteLength).toBe(44 + 2 * 4_000);
    });

    it('yields chapters, which another stage reads', async () => {
      const client = new MillraceClient({ baseUrl: served.url });
      const { output } = await client.run('book', { text: 'One\nA mill.\n\nTwo\nA mill race is long.\n\nThree\nEnd.' });
      expect(output).toEqual({
        chapters: [
          { title: 'One', words: 2 },
          { title: 'Two', words: 5 },
          { title: 'Three', words: 1 },
        ],
        longest: 'Two',
      });
    });

    it('says that it reads WAV only', async () => {
      const client = new MillraceClient({ baseUrl: served.url });
      const speech = new Blob([new Uint8Array(encoded(wavFile({ seconds: 1 }), 'mp3'))]);
      await expect(client.run('cleaned', { speech, title: 'x' })).rejects.toMatchObject({
        code: 'CONVERSION_UNAVAILABLE',
        message: expect.stringContaining('is audio/mpeg; Python stages read WAV'),
      });
    });
  });

  describe('stages of a Python worker', () => {
    const folder = newFolder();
    let served: Served;
    let worker: PythonWorker;
    let client: MillraceClient;
    let temporal: Client;
    const startWorker = () => PythonWorker.start(sdk, FIXTURES, 'work_stages', QUEUE);
    beforeAll(async () => {
      for (const name of ['pipelines', 'work-stages'])
        writeFileSync(
          path.join(folder, `${name}.mjs`),
          asModule(readFileSync(path.join(FIXTURES, `${name}.ts`), 'utf8')),
        );
      const pipelines = path.join(folder, 'pipelines.mjs');
      [served, worker] = await Promise.all([serve(pipelines, 'python-pipelines'), startWorker()]);
      client = new MillraceClient({ baseUrl: served.url });
      temporal = await connect();
    });
    afterAll(async () => {
      await worker?.kill('SIGTERM');
      await served?.stop();
      await temporal?.connection.close();
    });

    const both = (log: CallLog, line: string) => log.count(`one ${line}`) > 0 && log.count(`two ${line}`) > 0;
    /** What Temporal knows that the stage at work has saved. */
    const savedOf = async (id: string): Promise<number> => {
      const [pending] = (await temporal.workflow.getHandle(id).describe()).raw.pendingActivities ?? [];
      const text = Buffer.from(pending?.heartbeatDetails?.payloads?.[0]?.data ?? Buffer.from('{}')).toString();
      return (JSON.parse(text) as { progress?: { next: number } }).progress?.next ?? 0;
    };
    const ended = async (pipeline: string, input: object): Promise<RunDocument> =>
      await client.wait((await client.start(pipeline, input)).id);

    it('have the types that are committed', async () => {
      const made = await typesOf(sdk, FIXTURES, 'work_stages', QUEUE);
      expect(made.replace("'millrace'", "'../../../pipelines/index.js'")).toBe(
        readFileSync(path.join(FIXTURES, 'work-stages.ts'), 'utf8'),
      );
    });

    it('killed in the middle go on from what they saved, and no completed stage is repeated', async () => {
      const { log, id, saved } = await caught('the middle', async () => {
        const log = new CallLog();
        const { id } = await client.start('python-jobs', { log: log.file, steps: 20 });
        await until('the middle is at work', () => log.count('middle 10') > 0);
        await worker.kill();
        const begun = log.lines().filter((line) => line.startsWith('middle ')).length;
        const saved = await savedOf(id);
        worker = await startWorker();
        // What was saved reaches Temporal within a second, five steps; the killed step runs again.
        if (saved >= 4 && begun - saved <= 7) return { log, id, saved };
        await client.cancel(id).catch(() => undefined);
        return undefined;
      });
      const run = await client.wait(id);
      expect(run).toMatchObject({ status: 'succeeded' });
      const { began } = run.output as { began: number[] };
      expect([began[0], began[2]]).toEqual([0, 0]);
      expect(began[1]).toBeGreaterThanOrEqual(saved);
      for (const name of ['before 0', 'before 1', 'middle 0', 'middle 3', 'last 0'])
        expect(log.count(name), name).toBe(1);
      for (let step = 0; step < 20; step++) expect(log.count(`middle ${step}`), `middle ${step}`).toBeGreaterThan(0);
      expect(log.lines().length).toBeLessThanOrEqual(2 + 20 + 1 + 7);
    });

    it('hear of a cancelled run', async () => {
      const log = new CallLog();
      const { id } = await client.start('python-both', { log: log.file, steps: 200 });
      await until('both have begun', () => both(log, '0'));
      await client.cancel(id);
      expect(await client.wait(id)).toMatchObject({ status: 'cancelled' });
      await until('both have heard', () => both(log, 'cancelled'));
    });

    it('end in their time when the worker is stopped', async () => {
      const log = new CallLog();
      const { id } = await client.start('python-both', { log: log.file, steps: 5 });
      await until('both have begun', () => both(log, '0'));
      expect(await worker.kill('SIGTERM')).toBe(0);
      await expect.poll(() => worker.log).toContain('stopping: calls in progress have 10 s to end');
      expect(await client.wait(id)).toMatchObject({ status: 'succeeded', output: { one: 0, two: 0 } });
      expect(log.count('one 0')).toBe(1);
      worker = await startWorker();
    });

    it('wait for a worker of their version, or of one that takes its place', async () => {
      const startOf = (telling: string) =>
        PythonWorker.start(sdk, FIXTURES, 'work_stages', QUEUE, { TELLING: telling });
      await worker.kill('SIGTERM');
      const next = await startOf('2');
      const { id } = await client.start('python-told', {});
      // The next version serves what has no version, and leaves this run alone.
      expect(await ended('python-answered', { what: 'fine', log: new CallLog().file })).toMatchObject({
        status: 'succeeded',
      });
      expect(await client.get(id)).toMatchObject({ status: 'running' });
      worker = await startWorker();
      expect(await client.wait(id)).toMatchObject({ status: 'succeeded', output: { version: '1' } });
      await Promise.all([worker.kill('SIGTERM'), next.kill('SIGTERM')]);
      const compatible = await startOf('3 2 1');
      expect(await ended('python-told', {})).toMatchObject({ status: 'succeeded', output: { version: '3' } });
      await compatible.kill('SIGTERM');
      worker = await startWorker();
    });

    it.each([
      ['text', 2, 'INVALID_OUTPUT'],
      ['nothing', 2, 'INVALID_OUTPUT'],
      ['nan', 2, 'INVALID_OUTPUT'],
      ['raise', 2, 'ACTIVITY_FAILED'],
      ['BACKEND_REJECTED', 1, 'BACKEND_REJECTED'],
      ['BACKEND_OVERLOADED', 2, 'BACKEND_OVERLOADED'],
      ['NO_SUCH_VOICE', 2, 'ACTIVITY_FAILED'],
    ])('that end with %s are called %d times, and the code is %s', async (what, calls, code) => {
      const log = new CallLog();
      const run = await ended('python-answered', { what, log: log.file });
      expect(run).toMatchObject({ status: 'failed', error: { code, stage: 'answer' } });
      expect(log.count('call')).toBe(calls);
      if (what === 'text') expect(run.error).toMatchObject({ fields: [{ field: 'n' }] });
      if (what === 'raise') expect(run.error?.message).toContain("ValueError: this is the author's");
      if (what === 'NO_SUCH_VOICE') expect(run.error?.message).toContain('NO_SUCH_VOICE: said so');
    });

    it('are not served in a namespace that does not exist, and that is said', async () => {
      const args = ['-m', 'millrace', 'worker', 'work_stages', '--namespace', 'nowhere'];
      const more = { TEMPORAL_ADDRESS: address('TEMPORAL_ADDRESS'), MILLRACE_HOME: path.join(folder, 'home') };
      const { code, stderr } = await runPython(sdk, args, { cwd: FIXTURES, more });
      expect(code, stderr).toBe(2);
      const where = `Temporal at ${more.TEMPORAL_ADDRESS} has no namespace "nowhere"`;
      expect(stderr.trim().split('\n').at(-1)).toBe(`millrace: ${where}; create it, or set TEMPORAL_NAMESPACE`);
    });

    it('leave usage and events as others do', async () => {
      const log = new CallLog();
      const { id } = await client.start('python-answered', { what: 'fine', log: log.file });
      const types: string[] = [];
      for await (const { type } of client.events(id)) types.push(type);
      expect(types).toEqual(['stage.started', 'stage.finished', 'run']);
      expect(await client.get(id)).toMatchObject({
        output: { n: 1 },
        stages: [{ stage: 'answer', usage: { inputTokens: 3, outputTokens: 4 } }],
      });
    });

    it('the Python client follows, decides, cancels, resumes and lists', async () => {
      const { code, stdout, stderr } = await runPython(sdk, ['drive.py', served.url, randomUUID()], { cwd: FIXTURES });
      expect(code, stderr).toBe(0);
      expect(JSON.parse(stdout)).toEqual({
        pipelines: ['python-answered', 'python-asked', 'python-both', 'python-formed', 'python-jobs', 'python-told'],
        again: true,
        reused: ['IDEMPOTENCY_KEY_REUSED', 422, expect.any(Array)],
        rival: ['RUN_NOT_FOUND', 404, expect.any(Array)],
        waiting: ['mill'],
        output: { text: 'MILL', approved: true },
        events: ['run', 'stage.decided', 'stage.delta', 'stage.finished', 'stage.started', 'stage.waiting'],
        'decided twice': ['RUN_ENDED', 409, []],
        form: ['meal', 'seat'],
        'wrong content': ['INVALID_INPUT', 422, ['content.seat']],
        content: { approved: true, content: { seat: 4, meal: 'rice' } },
        'after the end': [],
        cancelled: 'cancelled',
        failed: ['INVALID_INPUT', 422, ['text']],
        timeout: true,
        resumed: true,
        listed: true,
      });
    });
  });
}
