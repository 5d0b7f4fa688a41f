import http2 from 'node:http2';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectorOf, toInt16 } from '../../../../media/index.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import {
  inferenceService,
  readBytes,
  readTexts,
  tensorsOf,
  textTensor,
} from '../../../../protocols/open-inference/index.js';
import { freePort } from '../../../support/free-port.js';
import { narrates } from '../../../support/kserve-pipelines.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

/* One message an entry: what a stream's request gets of a run that speaks while it thinks. */

const Service = makeGenericClientConstructor(inferenceService, 'GRPCInferenceService');
type Response = { outputs: never[]; raw_output_contents: Buffer[]; parameters: Record<string, JsonObject>; id: string };
type Stream = Readable & { write(request: object): void; end(): void };

let gateway: TestGateway;
let port: number;
let client: Client & { ModelStreamInfer(): Stream };
/** The events of the run. */
let told: () => Iterable<RunEvent>;

beforeEach(async () => {
  port = await freePort();
  const grpc = { host: '127.0.0.1', port };
  const events = {
    async *follow() {
      let i = 0;
      for (const event of told()) yield { id: `${i++}-0`, event, json: JSON.stringify(event) };
    },
  };
  gateway = await testGateway({}, { pipelines: [narrates], grpc, events });
  await gateway.app.ready();
  const options = { 'grpc.enable_http_proxy': 0 };
  client = new Service(`127.0.0.1:${port}`, credentials.createInsecure(), options) as unknown as typeof client;
});
afterEach(async () => {
  client.close();
  await gateway.close();
});

const stored = (seconds: number): Promise<Artifact> =>
  gateway.deps.artifacts.put('default', Readable.from([wavFile({ seconds })]), inspectorOf('audio'));
const delta = (text: string, attempt = 1): RunEvent => ({
  ...{ type: 'stage.delta', stage: 'answer', path: 'answer', text, attempt },
});
const spoken = (number: number, text: string, at: number, audio: Artifact, path = 'say'): RunEvent => ({
  ...{ type: 'stage.audio', stage: path, path, attempt: 1, number, text, at, audio },
});
const ends = (speech: Artifact) => {
  gateway.temporal.onStart = (run) =>
    run.end({ output: { reply: 'One. Two.', speech: { ...speech } as unknown as Json }, stages: [] });
};

const { raw, ...header } = textTensor('text', [1], 'Count.');
const request = (parameters: Record<string, object> = {}, outputs: object[] = []) => ({
  ...{ model_name: 'narrates', id: '7', inputs: [header], raw_input_contents: [raw], outputs },
  parameters: { deltas: { bool_param: true }, ...parameters },
});

async function responsesTo(asked: object): Promise<Response[]> {
  const stream = client.ModelStreamInfer();
  stream.write(asked);
  stream.end();
  const responses: Response[] = [];
  for await (const { error_message, infer_response } of stream as AsyncIterable<{
    error_message: string;
    infer_response: Response;
  }>) {
    expect(error_message).toBe('');
    responses.push(infer_response);
  }
  return responses;
}

/** The parameters and the outputs' names of each response. */
const shownOf = (responses: readonly Response[]): Record<string, unknown>[] =>
  responses.map((response) => {
    const parameters = Object.entries(response.parameters).map(([name, value]) => [name, Object.values(value)[0]]);
    return { ...Object.fromEntries(parameters), outputs: [...tensorsOf(response as never).keys()] };
  });

describe('ModelStreamInfer with deltas', () => {
  it('sends each sentence’s audio as it comes, with its number and text, between the pieces of the text', async () => {
    const [one, two, other] = [await stored(0.1), await stored(0.2), await stored(0.3)];
    told = () => [
      delta('One. '),
      spoken(0, 'One. ', 0, one),
      spoken(0, 'Else. ', 0, other, 'another'),
      delta('Two.'),
      // A worker that takes over sends the last one again.
      spoken(0, 'One. ', 0, one),
      spoken(1, 'Two.', 5, two),
    ];
    ends(other);
    const responses = await responsesTo(request());
    const piece = { delta: true, triton_final_response: false, attempt: '1' };
    expect(shownOf(responses)).toEqual([
      { ...piece, outputs: ['reply'] },
      { ...piece, number: '0', text: 'One. ', at: '0', outputs: ['speech'] },
      { ...piece, outputs: ['reply'] },
      { ...piece, number: '1', text: 'Two.', at: '5', outputs: ['speech'] },
      {
        run: expect.any(String),
        plan: narrates.plan.version,
        triton_final_response: true,
        outputs: ['reply', 'speech'],
      },
    ]);
    const files = responses.flatMap((response) => {
      const speech = tensorsOf(response as never).get('speech');
      return speech ? readBytes(speech) : [];
    });
    expect(files).toEqual([0.1, 0.2, 0.3].map((seconds) => wavFile({ seconds })));
    const texts = responses.flatMap((response) => {
      const reply = tensorsOf(response as never).get('reply');
      return reply ? readTexts(reply) : [];
    });
    expect(texts).toEqual(['One. ', 'Two.', 'One. Two.']);
  });

  it('sends audio as samples, and only of the outputs that are asked for', async () => {
    const one = await stored(0.1);
    told = () => [delta('One. '), spoken(0, 'One. ', 0, one)];
    ends(one);
    const asked = request({ output_sample_rate: { int64_param: 16_000 } }, [{ name: 'speech' }]);
    const responses = await responsesTo(asked);
    expect(shownOf(responses).map(({ outputs }) => outputs)).toEqual([['speech'], ['speech']]);
    for (const response of responses) {
      const speech = tensorsOf(response as never).get('speech');
      expect(speech).toMatchObject({ datatype: 'FP32', shape: [1_600] });
      const floats = new Float32Array(new Uint8Array(speech?.raw ?? []).buffer);
      const { buffer } = toInt16(floats);
      expect(Buffer.from(buffer).equals(wavFile({ seconds: 0.1 }).subarray(44))).toBe(true);
    }
  });

  it('leaves out audio that cannot be read: the last response has it', async () => {
    const [one, two] = [await stored(0.1), await stored(0.2)];
    const lost = { ...one, uri: one.uri.replace(/.$/, (last) => (last === '0' ? '1' : '0')) };
    told = () => [spoken(0, 'One. ', 0, lost), spoken(1, 'Two.', 5, two)];
    ends(two);
    const shown = shownOf(await responsesTo(request()));
    expect(shown).toMatchObject([{ number: '1' }, { triton_final_response: true }]);
  });

  it('voids the text of a stage by a higher attempt also where a fallback counts from 1 again', async () => {
    const started = (model: string): RunEvent => ({
      ...{ type: 'stage.started', stage: 'answer', path: 'answer', kind: 'chat', model, attempt: 1 },
    });
    told = () => [started('llm'), delta('On'), started('other'), delta('One. ')];
    ends(await stored(0.1));
    const shown = shownOf(await responsesTo(request({}, [{ name: 'reply' }])));
    expect(shown.map(({ attempt }) => attempt)).toEqual(['1', '2', undefined]);
  });

  it('reads a run’s events no faster than the client takes its responses', async () => {
    const events = 400;
    let read = 0;
    told = function* () {
      while (read < events) {
        read += 1;
        yield delta('x'.repeat(10_000));
      }
    };
    ends(await stored(0.1));
    // A client of gRPC reads ahead; this one reads nothing.
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': '/inference.GRPCInferenceService/ModelStreamInfer',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    stream.on('error', () => undefined);
    const message = inferenceService.ModelStreamInfer?.requestSerialize(request()) ?? Buffer.alloc(0);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    stream.write(Buffer.concat([prefix, message]));
    let before = -1;
    while (read === 0 || read !== before) {
      before = read;
      await sleep(100);
    }
    expect(read).toBeLessThan(events);
    session.destroy();
  });
});
