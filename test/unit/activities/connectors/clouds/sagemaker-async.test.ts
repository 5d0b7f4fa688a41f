import { afterAll, describe, expect, it } from 'vitest';
import type { CallContext } from '../../../../../activities/connectors/connector.js';
import { HandedOver } from '../../../../../activities/connectors/handed-over.js';
import { httpConnector } from '../../../../../activities/connectors/http/index.js';
import { optionsOf } from '../../../../../activities/connectors/pool-options.js';
import type { Json, JsonObject } from '../../../../../pipelines/json.js';
import { connectorContract } from '../../../../contract/connector-contract.js';
import { freePort } from '../../../../support/free-port.js';
import { asking, silence } from '../../../../support/preset-calls.js';
import { presetConnector } from '../../../../support/preset-connector.js';
import { PNG, SageMakerJobs, s3Failure } from '../../../../support/sagemaker-jobs.js';
import { type Asked, asyncJobs, key, soon } from './async-jobs.js';
import { AWS_KEYS, contractCalls } from './sagemaker-fixture.js';

describe('sagemaker-async (a fixture that checks the signatures of both services)', async () => {
  const aws = await new SageMakerJobs().start();
  afterAll(() => aws.stop());
  connectorContract({
    connector: presetConnector('sagemaker-async', aws.options),
    endpoint: aws.url,
    key,
    deadEndpoint: `http://127.0.0.1:${await freePort()}`,
    // A canary would be a job that nobody waits for.
    unknownModel: null,
    refused: {
      // Files are tested below: the contract has no store for them.
      generate: {
        call: { model: 'model', with: { makes: 'image' }, input: { prompt: 'bad' } },
        code: 'BACKEND_REJECTED',
        canary: false,
      },
    },
    ...contractCalls,
  });
});

describe('sagemaker-async beyond the contract (a fixture)', async () => {
  const { aws, kept, written, artifacts, painting, submission, call } = await asyncJobs();

  it('writes the input, names it, and fetches the file that comes of it', async () => {
    const endsAt = performance.now() + 10_000_000;
    const { output } = await call({ ...painting, context: { artifacts, endsAt } });
    expect(output).toMatchObject({ image: { mime: 'image/png', bytes: PNG.length } });
    expect(written).toEqual([PNG]);
    const [input = ''] = aws.keys('in/');
    const [, id] = /^in\/acme\/([0-9a-f-]{36})$/.exec(input) ?? [];
    expect(aws.objects.get(input)).toEqual({
      bytes: Buffer.from('{"inputs":"a mill","parameters":{}}'),
      type: 'application/json',
    });
    expect(aws.lines).toEqual([
      `PUT /jobs/${input}`,
      'POST /endpoints/model/async-invocations',
      `GET /jobs/out/${id}.out`,
    ]);
    const { headers } = submission();
    expect(headers).toMatchObject({
      'x-amzn-sagemaker-inputlocation': `s3://jobs/${input}`,
      'x-amzn-sagemaker-content-type': 'application/json',
      'x-amzn-sagemaker-accept': 'image/png',
      'x-amzn-sagemaker-inference-id': id,
      'x-amzn-sagemaker-invocationtimeoutseconds': '3600',
      'content-length': '0',
    });
    expect(Number(headers['x-amzn-sagemaker-requestttlseconds'])).toBeLessThanOrEqual(10_000);
    const tokens = aws.requests.map(({ headers: each }) => each['x-amz-security-token']);
    expect(new Set(tokens)).toEqual(new Set([AWS_KEYS.sessionToken]));
  });

  it('lets a request wait and work no longer than the attempt has, within the bounds of the API', async () => {
    const times = async (context: Partial<CallContext>) => {
      aws.clear();
      await call({ context });
      const { headers } = submission();
      return ['requestttl', 'invocationtimeout'].map((name) => headers[`x-amzn-sagemaker-${name}seconds`]);
    };
    expect(await times({})).toEqual([undefined, undefined]);
    expect(await times({ endsAt: performance.now() + 29_000 })).toEqual(['60', expect.stringMatching(/^2\d$/)]);
    expect(await times({ endsAt: performance.now() + 90_000_000 })).toEqual(['21600', '3600']);
  });

  it('asks until a late output is there; that it is not there yet is no failure', async () => {
    aws.held = true;
    const answer = call();
    await expect.poll(() => aws.lines.filter((line) => line.includes('/out/')).length, soon).toBeGreaterThan(2);
    aws.finish();
    expect((await answer).output).toMatchObject({ label: 'yes', score: 0.75 });
    expect(aws.submitted).toHaveLength(1);
    const { input, inferenceId } = submission();
    const first = { endpoint: aws.url, input: `s3://jobs/${input}`, asked: expect.any(String) };
    const job = {
      output: `s3://jobs/out/${inferenceId}.out`,
      failure: `s3://jobs/failed/${inferenceId}-error.out`,
    };
    expect(kept).toEqual([first, { ...first, job }]);
  });

  describe('a repeated attempt', () => {
    /** What an attempt leaves whose worker stops while the job works. */
    const stopped = async (asked: Asked = {}): Promise<Json> => {
      aws.held = true;
      const leaving = new AbortController();
      const attempt = call({ ...asked, context: { ...asked.context, signal: leaving.signal } });
      await expect.poll(() => aws.lines.some((line) => line.includes('/out/')), soon).toBe(true);
      leaving.abort(new HandedOver());
      await expect(attempt).rejects.toBeInstanceOf(HandedOver);
      return kept.at(-1) as Json;
    };

    it('goes on with its job, whose input is still there', async () => {
      const resumeFrom = await stopped({ objects: { deleteInputs: true } });
      expect(aws.keys('in/acme/')).toHaveLength(1);
      aws.finish();
      const { output } = await call({ objects: { deleteInputs: true }, context: { resumeFrom } });
      expect(output).toMatchObject({ label: 'yes' });
      expect(aws.submitted).toHaveLength(1);
      expect(aws.lines.filter((line) => line.startsWith('PUT'))).toHaveLength(1);
      expect(aws.keys('in/')).toEqual([]);
    });

    it('submits anew, under another name, where its job has failed', async () => {
      const resumeFrom = await stopped();
      aws.finish('Received server error (500) from primary with message "out of memory"');
      aws.held = false;
      expect((await call({ context: { resumeFrom } })).output).toMatchObject({ label: 'yes' });
      const [first, second] = aws.submitted;
      expect(aws.submitted).toHaveLength(2);
      expect(second?.inferenceId).not.toBe(first?.inferenceId);
      expect(second?.input).not.toBe(first?.input);
    });

    it('goes on with the job of the same input alone: an attempt may make several calls', async () => {
      const resumeFrom = await stopped();
      aws.finish();
      aws.held = false;
      await call({ input: { text: 'another text' }, context: { resumeFrom } });
      const [first, second] = aws.submitted;
      expect(second?.input).not.toBe(first?.input);
      await call({ context: { resumeFrom } });
      expect(aws.submitted).toHaveLength(2);
    });

    it('submits anew where its job has come to nothing in twice the time that its attempt had', async () => {
      const resumeFrom = (await stopped({ context: { endsAt: performance.now() + 600_000 } })) as JsonObject;
      const job = resumeFrom.job as JsonObject;
      expect(Number(job.until) - Date.now()).toBeGreaterThan(600_000);
      expect(Number(job.until) - Date.now()).toBeLessThanOrEqual(1_260_000);
      aws.held = false;
      const late = { ...resumeFrom, job: { ...job, until: Date.now() - 1 } };
      expect((await call({ context: { resumeFrom: late } })).output).toMatchObject({ label: 'yes' });
      expect(aws.submitted).toHaveLength(2);
      expect(aws.submitted[1]?.input).not.toBe(aws.submitted[0]?.input);
    });

    it('submits the same input under the same name, where no answer to its submission came', async () => {
      await stopped();
      const [resumeFrom] = kept;
      aws.held = false;
      await call({ context: { resumeFrom: resumeFrom as Json } });
      const [first, second] = aws.submitted;
      expect([second?.input, second?.inferenceId]).toEqual([first?.input, first?.inferenceId]);
      expect(aws.keys('in/')).toHaveLength(1);
    });

    it('has nothing of another tenant’s, another endpoint’s, or of places that the pool does not name', async () => {
      const resumeFrom = (await stopped()) as JsonObject;
      aws.finish({ bytes: Buffer.from('[{"label":"no","score":1}]'), type: 'application/json' });
      aws.held = false;
      for (const [each, tenant] of [
        [resumeFrom, 'zeta'],
        [{ ...resumeFrom, endpoint: 'http://127.0.0.1:1' }, 'acme'],
        [{ ...resumeFrom, job: { output: 's3://elsewhere/out/1.out' } }, 'acme'],
        [{ ...resumeFrom, input: 's3://jobs/in/acme/../zeta/1' }, 'acme'],
      ] as const) {
        const before = aws.submitted.length;
        const { output } = await call({ context: { resumeFrom: each, tenant } });
        expect(output).toMatchObject({ label: 'yes' });
        expect(aws.submitted).toHaveLength(before + 1);
        expect(aws.submitted.at(-1)?.input).toMatch(new RegExp(`^in/${tenant}/[0-9a-f-]{36}$`));
      }
    });
  });

  it('writes every input under its tenant and a name of its own, and calls outside runs under none', async () => {
    const tenants = ['acme', 'acme', 'zeta', undefined];
    for (const tenant of tenants) await call({ context: { tenant } as Partial<CallContext> });
    const inputs = aws.submitted.map(({ input }) => input);
    expect(new Set(inputs).size).toBe(4);
    expect(inputs.map((input) => input.split('/')[1])).toEqual(['acme', 'acme', 'zeta', '_']);
  });

  describe('with deleteInputs', () => {
    const objects = { deleteInputs: true };

    it('deletes the input when its job has ended, with an output or a failure, and when it is refused', async () => {
      await call({ objects });
      expect(aws.keys('in/')).toEqual([]);
      await expect(call({ objects, input: { text: 'bad' } })).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
      expect(aws.keys('in/')).toEqual([]);
      await expect(call({ objects, model: 'other' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
      expect(aws.keys('in/')).toEqual([]);
      expect(aws.keys('out/')).toHaveLength(1);
    });

    it.each([
      ['its job works', '/out/'],
      ['its submission is not answered', '/async-invocations'],
    ])('deletes the input of a call that is cancelled while %s, without waiting for it', async (_, part) => {
      aws.held = true;
      aws.refuses = ({ path }) => (path.endsWith(part) ? { never: true } : undefined);
      const leaving = new AbortController();
      const reason = new Error('enough');
      const answer = call({ objects, context: { signal: leaving.signal } });
      await expect.poll(() => aws.lines.some((line) => line.includes(part)), soon).toBe(true);
      expect(aws.keys('in/')).toHaveLength(1);
      leaving.abort(reason);
      await expect(answer).rejects.toBe(reason);
      await expect.poll(() => aws.keys('in/'), soon).toEqual([]);
    });

    it('writes nothing with keys that may not delete', async () => {
      aws.refuses = ({ method }) => (method === 'DELETE' ? s3Failure(403, 'AccessDenied', 'Access Denied') : undefined);
      await expect(call({ objects })).rejects.toMatchObject({ code: 'BACKEND_UNAUTHORIZED' });
      expect([aws.keys('in/'), aws.submitted]).toEqual([[], []]);
    });

    it('an input that cannot be deleted any more fails no call', async () => {
      aws.refuses = ({ method }) =>
        method === 'DELETE' && aws.submitted.length > 0 ? s3Failure(500, 'InternalError', 'again') : undefined;
      expect((await call({ objects })).output).toMatchObject({ label: 'yes' });
      expect(aws.keys('in/')).toHaveLength(1);
    });
  });

  it('asks for a completion as one answer, without the options of a stream', async () => {
    const reply = await call({ kind: 'chat', with: {}, input: { prompt: 'p', history: [] } });
    expect(reply.usage).toEqual({ inputTokens: 7, outputTokens: 4 });
    const [input = ''] = aws.keys('in/');
    const sent = JSON.parse(aws.objects.get(input)?.bytes.toString() ?? '');
    expect(sent).toMatchObject({ stream: false });
    expect(sent).not.toHaveProperty('stream_options');
  });

  it('an unknown endpoint is MODEL_NOT_FOUND', async () => {
    await expect(call({ model: 'other' })).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
  });

  it('texts beyond a batch are several jobs, told apart by a repeated attempt', async () => {
    const texts = Array.from({ length: 65 }, (_, i) => String(i));
    const asked = { kind: 'embed', with: {}, input: { texts } };
    await call(asked);
    expect(aws.submitted).toHaveLength(2);
    const resumeFrom = kept.at(-1) as Json;
    await call({ ...asked, context: { resumeFrom } });
    // The second batch's job was there already.
    expect(aws.submitted).toHaveLength(3);
  });

  it('names the buckets of Amazon S3 in hosts, but for names with dots', async () => {
    const urls = async (objects: JsonObject, region = 'eu-central-1') => {
      const seen: string[] = [];
      const own = httpConnector({
        transport: async (url) => {
          seen.push(url);
          throw new Error('seen');
        },
      });
      const options = { preset: 'sagemaker-async', values: { region }, objects };
      const backend = own.connect(aws.url, key, optionsOf(own, { kind: 'classify', options }, 'options'));
      const nothing = () => undefined;
      const context = { signal: AbortSignal.timeout(110_000), audio: silence, checkpoint: nothing, emit: nothing };
      await backend.invoke(asking('text'), { ...context, tenant: 'acme' }).catch(nothing);
      return seen.map((url) => url.replace(/[0-9a-f-]{36}$/, 'ID'));
    };
    expect(await urls({ inputs: 's3://jobs/a+b' })).toEqual([
      'https://jobs.s3.eu-central-1.amazonaws.com/a%2Bb/acme/ID',
    ]);
    expect(await urls({ inputs: 's3://jobs.of.acme/' }, 'us-east-1')).toEqual([
      'https://s3.us-east-1.amazonaws.com/jobs.of.acme/acme/ID',
    ]);
    expect(await urls({ inputs: 's3://jobs' }, 'cn-north-1')).toEqual([
      'https://jobs.s3.cn-north-1.amazonaws.com.cn/acme/ID',
    ]);
  });
});
