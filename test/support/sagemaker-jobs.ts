import { AWS_KEYS, signatureFault } from '../unit/activities/connectors/clouds/sagemaker-fixture.js';
import { type Asked, type Fixture, fixture, type Told } from '../unit/activities/connectors/servers/fixture-server.js';

/** A picture of one pixel. */
export const PNG = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

/** An object of the bucket `jobs`. */
interface Stored {
  readonly bytes: Buffer;
  readonly type: string;
}

/** A request that the asynchronous endpoint has taken. */
export interface Submission {
  /** Key of its input. */
  readonly input: string;
  readonly inferenceId: string;
  readonly headers: Asked['headers'];
}

/** What a container makes of an input: its answer, the failure's text, or nothing yet. */
type Made = Stored | string | undefined;

const validation = (Message: string): Told => ({
  status: 400,
  headers: { 'x-amzn-errortype': 'ValidationError' },
  json: { Message },
});

/** An error of S3, as https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html shows it. */
export const s3Failure = (status: number, code: string, message: string, headers: Told['headers'] = {}): Told => ({
  status,
  headers: { 'content-type': 'application/xml', ...headers },
  text: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`,
});

/** What S3 calls what SageMaker calls otherwise. */
const REFUSALS: Readonly<Record<string, string>> = {
  MissingAuthenticationTokenException: 'AccessDenied',
  UnrecognizedClientException: 'InvalidAccessKeyId',
  IncompleteSignatureException: 'AccessDenied',
  InvalidSignatureException: 'SignatureDoesNotMatch',
};

/**
 * The front of an asynchronous endpoint `model` and the bucket `jobs`, as far as their references describe them, in
 * place of AWS, which does not run in the tests: a fixture. Both check signatures. Outputs are below `out/`, failures
 * below `failed/`, both by the request's identifier.
 */
export class SageMakerJobs {
  readonly objects = new Map<string, Stored>();
  readonly submitted: Submission[] = [];
  /** Whether jobs wait for `finish`. Otherwise they end as they are submitted. */
  held = false;
  /** What S3 or the endpoint answers in place of its own answer. */
  refuses: ((asked: Asked) => Told | undefined) | undefined;
  /** Where the endpoint says that outputs will be. */
  outputsAt = 's3://jobs/out';
  /** Both fronts' clock. */
  now: () => number = Date.now;
  #server: Fixture | undefined;

  async start(): Promise<this> {
    const tell = (asked: Asked) => (asked.path.startsWith('/jobs/') ? this.#s3(asked) : this.#endpoint(asked));
    this.#server = await fixture(tell);
    return this;
  }

  async stop(): Promise<void> {
    await this.#server?.close();
  }

  get url(): string {
    return this.#server?.url ?? '';
  }

  /** Requests so far, in order: `PUT /jobs/in/…`. */
  get lines(): string[] {
    return this.requests.map(({ method, path }) => `${method} ${path}`);
  }

  get requests(): readonly Asked[] {
    return this.#server?.asked ?? [];
  }

  /** Keys below a prefix. */
  keys(prefix: string): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix));
  }

  /** As at the start. */
  clear(): void {
    this.objects.clear();
    this.submitted.length = 0;
    this.#server?.asked.splice(0);
    this.held = false;
    this.refuses = undefined;
    this.outputsAt = 's3://jobs/out';
    this.now = Date.now;
  }

  /** Ends every job that has been submitted. */
  finish(made?: Made): void {
    for (const each of this.submitted) this.#run(each, made);
  }

  /** Options of its pools, besides the preset. */
  get options() {
    return {
      values: { region: 'eu-central-1' },
      objects: { inputs: 's3://jobs/in', url: this.url, everyMs: 20 },
    };
  }

  /** A pool of images, for a file of models; its key is in the variables of `env`. */
  get pool() {
    const { objects, values } = this.options;
    return {
      connector: 'http',
      kind: 'generate',
      model: 'model',
      endpoints: [{ url: this.url, device: 'cpu0' }],
      apiKey: { env: { accessKeyId: 'JOBS_KEY_ID', secretAccessKey: 'JOBS_SECRET', sessionToken: 'JOBS_TOKEN' } },
      options: {
        preset: 'sagemaker-async',
        values,
        accepts: {
          type: 'object',
          properties: { size: { enum: ['512x512', '1024x1024'], default: '1024x1024' } },
          additionalProperties: false,
        },
        objects: { ...objects, deleteInputs: true },
      },
    };
  }

  readonly env = {
    JOBS_KEY_ID: AWS_KEYS.accessKeyId,
    JOBS_SECRET: AWS_KEYS.secretAccessKey,
    JOBS_TOKEN: AWS_KEYS.sessionToken,
  };

  /** PUT, GET, HEAD and DELETE of objects, with the bucket in the path. */
  #s3(asked: Asked): Told {
    const fault = signatureFault(asked, this.now(), 's3');
    if (fault) {
      const type = fault.headers?.['x-amzn-errortype'] ?? '';
      const date = fault.headers?.date;
      return s3Failure(403, REFUSALS[type] ?? 'AccessDenied', 'refused', date === undefined ? {} : { date });
    }
    const refused = this.refuses?.(asked);
    if (refused) return refused;
    const key = decodeURIComponent(asked.path.slice('/jobs/'.length));
    const found = this.objects.get(key);
    switch (asked.method) {
      case 'PUT':
        this.objects.set(key, { bytes: asked.bytes, type: asked.headers['content-type'] ?? '' });
        return { headers: { etag: '"0"' }, text: '' };
      case 'DELETE':
        this.objects.delete(key);
        return { status: 204 };
      default:
        if (!found) return s3Failure(404, 'NoSuchKey', 'The specified key does not exist.');
        return { headers: { 'content-type': found.type }, parts: asked.method === 'GET' ? [found.bytes] : [] };
    }
  }

  /** InvokeEndpointAsync. */
  #endpoint(asked: Asked): Told {
    const refused = signatureFault(asked, this.now()) ?? this.refuses?.(asked);
    if (refused) return refused;
    const { method, path, headers } = asked;
    const [, endpoint] = /^\/endpoints\/([\w-]+)\/async-invocations$/.exec(path) ?? [];
    if (method !== 'POST' || endpoint === undefined)
      return { status: 404, json: { message: 'UnknownOperationException' } };
    if (asked.bytes.length > 0) {
      const wrong = "Value at 'body' failed to satisfy constraint: Member must have length less than or equal to 0";
      return validation(`1 validation error detected: ${wrong}`);
    }
    if (endpoint !== 'model') return validation(`Endpoint ${endpoint} of account 111122223333 not found.`);
    const header = (name: string) => String(headers[`x-amzn-sagemaker-${name}`] ?? '');
    const [, input] = /^s3:\/\/jobs\/(.+)$/.exec(header('inputlocation')) ?? [];
    if (input === undefined) return validation(`Invalid input location: ${header('inputlocation')}`);
    for (const [name, least, most] of [
      ['requestttlseconds', 60, 21_600],
      ['invocationtimeoutseconds', 1, 3_600],
    ] as const) {
      const given = headers[`x-amzn-sagemaker-${name}`];
      const seconds = Number(given);
      if (given !== undefined && !(Number.isInteger(seconds) && seconds >= least && seconds <= most))
        return validation(`${name} must be ${least} to ${most}`);
    }
    const inferenceId = header('inference-id');
    if (!/^\S.{0,63}$/.test(inferenceId)) return validation(`Invalid inference id: ${inferenceId}`);
    const job = { input, inferenceId, headers };
    this.submitted.push(job);
    if (!this.held) this.#run(job);
    return {
      status: 202,
      headers: {
        'x-amzn-sagemaker-outputlocation': `${this.outputsAt}/${inferenceId}.out`,
        'x-amzn-sagemaker-failurelocation': `s3://jobs/failed/${inferenceId}-error.out`,
      },
      json: { InferenceId: inferenceId },
    };
  }

  #run(job: Submission, given?: Made): void {
    const input = this.objects.get(job.input);
    const made = given ?? (input ? container(input) : 'the input cannot be read');
    if (typeof made === 'string') {
      this.objects.set(`failed/${job.inferenceId}-error.out`, { bytes: Buffer.from(made), type: 'text/plain' });
    } else if (made) this.objects.set(`out/${job.inferenceId}.out`, made);
  }
}

const json = (value: unknown): Stored => ({ bytes: Buffer.from(JSON.stringify(value)), type: 'application/json' });

/** A container of several tasks. The text `slow` is never answered, `bad` is refused. */
function container({ bytes, type }: Stored): Made {
  if (type === 'audio/x-wav') return json({ text: `${bytes.subarray(0, 4)} heard` });
  const { inputs, instances, messages, parameters } = JSON.parse(bytes.toString());
  const text = messages?.at(-1).content ?? [inputs].flat()[0];
  if (text === 'slow') return undefined;
  if (text === 'bad') return 'Received client error (400) from primary with message "text must not be bad".';
  if (messages) {
    return json({
      choices: [{ message: { content: 'Paris, of course' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 7, completion_tokens: 4 },
    });
  }
  if (instances) return json({ predictions: instances });
  if (parameters) return { bytes: PNG, type: 'image/png' };
  if (Array.isArray(inputs)) return json(inputs.map(() => [3, 4]));
  return json([
    { label: 'yes', score: 0.75 },
    { label: 'no', score: 0.25 },
  ]);
}
